"""What is archived or shown holds no secret, wherever it hides, and stays otherwise as it was."""

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given

from tasks.archive.file_names import safe_name
from tasks.errors import SourceUnavailable
from tasks.text.redaction import REMOVED, redact, redact_details, redact_text, register_secrets
from tests.standins.realtimekit import LEAKY_STORAGE_CONFIG
from tests.support.anything import ANY_DETAILS, described, steady

PRESIGNED = "https://user:leak@files.example.com/a/b.mp4?X-Amz-Credential=leak&X-Amz-Signature=leak#leak"


def archived(details: dict[str, Any]) -> str:
    """Return the text that is archived of these details; it is plain JSON."""
    text = json.dumps(redact_details(details), allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode()) == redact_details(details)
    return text


def test_harmless_details_are_archived_as_they_came() -> None:
    details = {
        "id": "182bd5e5",
        "file_size": 5,
        "recording_duration": 1.5,
        "output_file_name": "Ümläut 🎥.mp4",
        "stopped_time": None,
        "start_reason": {"caller": {"name": "Ann: at 10", "user_Id": "u", "type": "USER"}, "reason": "API_CALL"},
        "tags": ["a", 1, True, None, {"b": "https://example.com/page"}],
    }
    assert redact_details(details) == details


def test_every_secret_of_a_storage_config_is_removed_and_the_harmless_kept() -> None:
    details = described(storage_config=dict(LEAKY_STORAGE_CONFIG))
    assert "leak-canary" not in archived(details)
    kept = redact_details(details)["storage_config"]
    assert kept == {
        "type": "sftp",
        "auth_method": "PASSWORD",
        "bucket": "customer-bucket",
        "host": "sftp.example.com",
        "path": "recordings",
        "port": 22,
        "region": "us-east-1",
    }


@pytest.mark.parametrize("name", ["storage_config", "storageConfig", "Storage-Config", "old_storage_config"])
@pytest.mark.parametrize(
    "value",
    [
        {"some_new_field": "leak"},
        {"type": {"nested": "leak"}},
        {"path": ["leak"]},
        [{"username": "leak"}],
        json.dumps({"anything": "leak"}),
        {"host": "user:leak@host?leak", "path": PRESIGNED} | {"host": "https://user:leak@host"},
    ],
)
def test_only_what_is_known_to_be_harmless_is_kept_of_a_storage_config(name: str, value: object) -> None:
    assert "leak" not in archived({"deep": [{name: value}]})


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passphrase",
        "db_pwd",
        "secret",
        "clientSecret",
        "token",
        "auth_token",
        "credentials",
        "access_key",
        "accessKeyId",
        "access-key",
        "apiKey",
        "private_key",
        "stream_key",
        "SSH-KEY",
        "X-Amz-Signature",
        "authorization",
        "auth",
        "Cookie",
        "connection_string",
        "jwt",
        "sas_url",
    ],
)
@pytest.mark.parametrize("value", ["leak", ["leak"], {"a": {"b": "leak"}}, 1337])
def test_fields_that_sound_secret_are_removed_at_any_depth(name: str, value: object) -> None:
    text = archived({name: value, "a": [{"b": {name: value}}]})
    assert "leak" not in text
    assert "1337" not in text
    assert text.count(REMOVED) >= 2


@pytest.mark.parametrize(
    "details",
    [
        {"download_url": PRESIGNED},
        {"downloadUrl": PRESIGNED, "download_audio_url": PRESIGNED},
        {"download_url": [{"layer_name": "x", "download_urls": {"a.webm": {"download_url": PRESIGNED}}}]},
        {"download_url": [{"layer_name": "x", "download_urls": {"a.webm": PRESIGNED}}]},
        {"download_url": [PRESIGNED]},
        {"preview": [[{"deep": {"link": PRESIGNED}}]]},
        {"text": f"see <{PRESIGNED}> and '{PRESIGNED}', ({PRESIGNED})"},
        {PRESIGNED: 1, "a": {PRESIGNED: {}}},
        {"json": json.dumps({"url": PRESIGNED})},
        {"json": json.dumps({"url": PRESIGNED}).replace("/", "\\/")},
        {"upper": PRESIGNED.upper().replace("LEAK", "leak")},
        {"relative": "/a/b.mp4?X-Amz-Signature=leak&x-goog-signature=leak&sig=leak"},
        {"encoded": "a%3FX-Amz-Signature%3Dleak"},
        {"sftp": "sftp://user:pass/leak@host/path", "rtmp": "rtmp://live.example.com/app/leak"},
        {"header": "Authorization: Bearer leak-canary-token"},
        {"pem": "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4\nleak\n-----END RSA PRIVATE KEY-----\n"},
        {"azure": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=leak==;EndpointSuffix=core"},
        {"nested": json.dumps({"password": "leak", "secret": "leak"})},
    ],
)
def test_no_presigned_url_and_no_secret_in_a_text_is_archived(details: dict[str, Any]) -> None:
    assert "leak" not in archived(details)


def test_the_expiry_of_urls_goes_with_them() -> None:
    assert redact_details({"download_url_expiry": "x", "a": [{"downloadUrlExpiry": "x"}]}) == {"a": [{}]}


def test_two_looks_at_the_same_recording_archive_the_same() -> None:
    details = described(download_url=PRESIGNED)
    assert redact_details(details) == redact_details(details | {"download_url": PRESIGNED + "&again"})


def test_deep_nesting_is_cut_off() -> None:
    deep: Any = "leak"
    for _ in range(10_000):
        deep = {"a": [deep]}
    assert "leak" not in archived({"deep": deep})


def test_what_json_cannot_say_is_left_out() -> None:
    kept = redact_details({"a": math.nan, "b": -math.inf, "c": "half a pair: \ud83c", "\udfff": 1})
    assert kept == {"a": None, "b": None, "c": "half a pair: ?", "?": 1}


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a:",
        "://",
        "x-amz-",
        "a_",
        "input_value=",
        "invalid header value b'",
        "bearer ",
        "bearer",
        " ",
        "-----BEGIN ",
        'token" ',
        "http://@",
        "'\\:",
    ],
)
def test_no_text_takes_long_to_search(piece: str) -> None:
    began = time.process_time()
    redact_text(piece * (500_000 // len(piece)))
    assert time.process_time() - began < 3


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("no URL: just text, a=b", "no URL: just text, a=b"),
        ("s3://bucket/a b/file#1.mp4 is missing", "s3://bucket/a b/file#1.mp4 is missing"),
        (PRESIGNED, "https://files.example.com/a/b.mp4"),
        ('at "http://host:9000/b/k?uploadId=1": refused', 'at "http://host:9000/b/k refused'),
        ("https://host/p?a=b@c", "https://***"),
        ("Basic programming for bearers of bad news", "Basic programming for bearers of bad news"),
        ("Invalid token: expired", "Invalid token: expired"),
        ("ValueError: Invalid header value b'a\\nb'\nmore", "ValueError: Invalid header value b***\nmore"),
        ('Illegal header value b"a": no', "Illegal header value b***"),
        ("Illegal header name b'a b'", "Illegal header name b***"),
        ("[type=x, input_value='a, b', input_type=str]", "[type=x, input_value=***, input_type=str]"),
    ],
)
def test_a_text_keeps_what_may_be_shown(text: str, kept: str) -> None:
    assert redact_text(text) == kept


def test_a_secret_that_was_made_known_is_shown_nowhere_but_archived_names_do_not_depend_on_it() -> None:
    register_secrets(["leak-canary\n-second line", "leak/canary", "abc", None])
    told = "b'leak-canary\\n-second line', http://host/leak%2Fcanary, leak/canary; abc"
    assert redact(told) == "b'***\\n***', http://host/***, ***; abc"
    assert "leak" not in str(SourceUnavailable("a.mp4", told))
    assert redact_details({"name": "leak-canary.mp4"}) == {"name": "leak-canary.mp4"}
    assert safe_name("leak-canary.mp4", "") == "leak-canary.mp4"


@steady
@given(ANY_DETAILS)
def test_any_json_at_all_can_be_archived(details: dict[str, Any]) -> None:
    again = redact_details(json.loads(archived(details)))
    assert again == redact_details(details)
