"""What RealtimeKit says of a recording is read tolerantly, whatever it sends."""

import json
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.realtimekit.models import MediaFile, Recording
from tasks.realtimekit.parsing import parse_archived, parse_recording
from tests.standins.realtimekit import DROP
from tests.support.anything import ANY_DETAILS, ID, NINE, NOON, described, steady


def parsed(**changed: object) -> Recording:
    return parse_recording(described(**changed))


def video(**changed: object) -> MediaFile:
    return next(media for media in parsed(**changed).media if media.kind == "video")


def tracks(download_url: object) -> list[tuple[str, str, str]]:
    found = parsed(download_url=download_url, audio_download_url=None).media
    assert {media.kind for media in found} <= {"tracks"}
    return [(media.layer, media.name, media.url) for media in found]


def test_a_documented_answer_is_read_whole() -> None:
    recording = parsed()
    assert (recording.id, recording.status, recording.duration_s) == (ID, "UPLOADED", 3600)
    assert recording.invoked_time == recording.day == NINE
    seen, heard = recording.media
    assert (seen.kind, seen.name, seen.size, seen.expires_at) == ("video", f"{ID}.mp4", 5, NOON)
    assert (heard.kind, heard.name, heard.size) == ("audio", f"{ID}_audio.mp4", None)
    assert recording.without_url == ()


@pytest.mark.parametrize(
    ("sent", "size"),
    [
        (2044680, 2044680),
        ("2044680", 2044680),
        (" 7 ", 7),
        (2044680.0, 2044680),
        ("2044680.0", 2044680),
        (2**53 + 1, 2**53 + 1),
        (str(2**53 + 1), 2**53 + 1),
        (0, None),
        ("0", None),
        (0.0, None),
        (-5, None),
        ("-5", None),
        (1.5, None),
        (True, None),
        (None, None),
        (DROP, None),
        ("", None),
        ("big", None),
        ([5], None),
        ({}, None),
        (2**63, None),
        (10**400, None),
        ("9" * 5000, None),
        ("0" * 5000 + "1", 1),
        (math.nan, None),
        (math.inf, None),
        ("Infinity", None),
    ],
)
def test_a_size_is_whole_positive_bytes_or_not_known(sent: object, size: int | None) -> None:
    assert video(file_size=sent).size == size


@pytest.mark.parametrize("field", sorted(described()))
@pytest.mark.parametrize("value", [None, DROP, 42, True, "", [], {}, [None], "\ud800", 10**400, math.nan])
def test_any_field_may_be_missing_or_of_another_type(field: str, value: object) -> None:
    recording = parsed(**{field: value})
    assert isinstance(recording.media, tuple)
    assert repr(recording)


def test_unknown_fields_and_statuses_are_kept() -> None:
    recording = parsed(status="transcoding", something_new={"a": 1})
    assert recording.status == "TRANSCODING"
    assert recording.details["something_new"] == {"a": 1}


@pytest.mark.parametrize("status", [None, "", 7, "A\nB", "\x1b[31m", "x" * 100, "ÜPLOADED"])
def test_a_status_that_is_no_word_is_unknown(status: object) -> None:
    assert parsed(status=status).status == "UNKNOWN"


@pytest.mark.parametrize("value", ["../..", "a/b", "a\r\nX-Evil: 1", "é", "x" * 65, 7, None])
def test_identifiers_that_cannot_be_such_count_as_absent(value: object) -> None:
    recording = parsed(id=value, session_id=value, storage_config={"type": value})
    assert (recording.id, recording.session_id, recording.storage_type) == ("", "", "")


@pytest.mark.parametrize(
    ("sent", "when"),
    [
        ("2026-11-20T12:00:00.000Z", NOON),
        ("2026-11-20T12:00:00.123456789Z", NOON.replace(microsecond=123456)),
        ("2026-11-20T14:00:00+02:00", NOON),
        ("2026-11-20T12:00:00", NOON),
        ("2026-11-20 12:00:00", NOON),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("9999-12-30T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("yesterday", None),
        ("", None),
        (1700000000, None),
        (None, None),
    ],
)
def test_times_are_utc_and_naive_ones_are_taken_for_it(sent: object, when: datetime | None) -> None:
    assert parsed(invoked_time=sent).invoked_time == when


def test_a_recording_is_ordered_by_the_first_time_it_has() -> None:
    times = {"invoked_time": None, "started_time": None, "stopped_time": "2026-11-20T12:00:00Z"}
    assert parsed(**times).day == NOON
    assert parsed(**times | {"stopped_time": None}).day is None


def test_a_file_has_left_the_bucket_seven_days_after_the_recordings_end() -> None:
    recording = parsed(invoked_time="2026-11-19T12:00:00Z", stopped_time="2026-11-20T12:00:00Z")
    assert not recording.has_left_the_bucket(NOON + timedelta(days=7))
    assert recording.has_left_the_bucket(NOON + timedelta(days=7, seconds=1))
    assert not parsed(invoked_time=None, started_time=None, stopped_time=None).has_left_the_bucket(NOON)


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b"null", b"[" * 200_000, b"9" * 10_000])
def test_what_is_no_recording_is_none_whatever_it_is(text: bytes) -> None:
    assert parse_archived(text) is None


def test_an_archived_recording_is_read_from_its_details() -> None:
    recording = parse_archived(b'{"recording_duration": 7, "stopped_time": "2026-11-20T12:00:00Z"}')
    assert recording is not None
    assert (recording.duration_s, recording.expires) == (7.0, NOON + timedelta(days=7))


@pytest.mark.parametrize("name", ["audio_download_url", "download_audio_url"])
def test_the_audio_export_is_found_under_both_names(name: str) -> None:
    changed = {"download_url": None, "audio_download_url": None, "output_file_name": None}
    (audio,) = parsed(**changed | {name: "https://host/a/sound%20track.mp3?sig=s"}).media
    assert (audio.kind, audio.name) == ("audio", "sound track.mp3")


def test_a_name_that_is_a_template_or_missing_is_taken_from_the_url() -> None:
    for name in ("{{prefix}}_{{unix_ms}}.mp4", None, "", 7):
        assert video(output_file_name=name).name == f"{ID}.mp4"
    assert video(download_url="https://host/", output_file_name=None).name == ""


def test_tracks_are_listed_by_layer_and_name() -> None:
    files = {"a.webm": {"download_url": "https://host/a"}, "b.webm": {"download_url": "https://host/b"}}
    layers = [
        {"layer_name": "default", "download_urls": files},
        {"layer_name": "screen", "download_urls": {"a.webm": {"download_url": "https://host/c"}}},
    ]
    assert tracks(layers) == [
        ("default", "a.webm", "https://host/a"),
        ("default", "b.webm", "https://host/b"),
        ("screen", "a.webm", "https://host/c"),
    ]


@pytest.mark.parametrize(
    "shape",
    [
        [{"layer_name": None, "download_urls": {"a.webm": {"download_url": "https://host/a.webm"}}}],
        [{"download_urls": {"a.webm": "https://host/a.webm"}}],
        {"layer_name": "default", "download_urls": {"a.webm": {"download_url": "https://host/a.webm"}}},
        ["https://host/a.webm"],
        [["https://host/a.webm"]],
        {"links": ["https://host/a.webm"]},
        {"a.webm": "https://host/a.webm"},
        {"a.webm": {"download_url": "https://host/a.webm", "codec": "opus", "size": None, "tags": {"a": 1}}},
        {"default": {"download_urls": {"a.webm": {"download_url": "https://host/a.webm"}}}},
        {"default": {"a.webm": "https://host/a.webm"}},
        {"default": ["https://host/a.webm"]},
        {"downloadUrls": {"a.webm": {"downloadUrl": "https://host/a.webm"}}, "layerName": "default"},
        [{"layerName": "default", "downloadUrls": ["https://host/a.webm"]}],
        [{"download_urls": [{"file_name": "a.webm", "download_url": "https://host/b"}]}],
        [{"download_urls": {"a.webm": {"download_url": "https://host/b"}, "b": {}}}],
        {"url": "https://host/a.webm"},
        {"url": "https://host/a.webm", "links": ["https://host/a.webm"]},
        json.dumps([{"download_urls": {"a.webm": {"download_url": "https://host/a.webm"}}}]),
        {"download_url": json.dumps(["https://host/a.webm"])},
    ],
)
def test_tracks_are_found_in_shapes_that_differ_a_little(shape: object) -> None:
    ((layer, name, url),) = tracks(shape)
    assert (layer, name, url.replace("/b", "/a.webm")) == ("default", "a.webm", "https://host/a.webm")


WORDS = ["download_url", "downloadUrls", "links", "default", "a.webm", "layer_name", "name", "files", "codec"]
URLS = st.integers(0, 99).map(lambda number: f"https://host/{number}.webm?X-Amz-Signature=s")
NESTED = st.recursive(
    URLS | st.none() | st.integers() | st.sampled_from(["opus", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=20,
)


@steady
@given(NESTED, st.sampled_from([json.dumps, lambda shape: shape]))
def test_no_url_below_a_download_url_is_passed_over_whatever_the_shape(
    shape: object, sent: Callable[[Any], Any]
) -> None:
    text = json.dumps(shape)
    urls = set(re.findall(r"https://[^\"]+", text))
    recording = parsed(download_url=sent(shape), audio_download_url=None)
    assert {media.url for media in recording.media} == urls
    if shape and isinstance(shape, list | dict) and not urls:
        assert recording.without_url or "{}" in text or "[]" in text


def test_what_lies_too_deep_to_be_looked_into_is_told_as_a_file_without_a_url() -> None:
    shape: object = "https://host/a.webm"
    for _ in range(200):
        shape = [shape]
    assert parsed(download_url=shape).without_url == ("tracks/default",)


def test_the_layers_of_unknown_shapes_are_the_nearest_keys() -> None:
    shape = {"screen": {"a.webm": "https://host/1"}, "default": {"links": ["https://host/b.webm"]}}
    assert tracks(shape) == [("default", "b.webm", "https://host/b.webm"), ("screen", "a.webm", "https://host/1")]


@pytest.mark.parametrize(
    ("shape", "missing"),
    [
        ([{"download_urls": {"a.webm": {"download_url": None}}}], "tracks/default/a.webm"),
        ([{"download_urls": {"a.webm": {}}}], "tracks/default/a.webm"),
        ([{"download_urls": {"a.webm": None}}], "tracks/default/a.webm"),
        ([{"download_urls": {"a.webm": {"download_url": "ftp://host/a"}}}], "tracks/default/a.webm"),
        ([{"layer_name": "x"}], "tracks/x"),
        ([None], "tracks/default"),
        ([[]], "tracks/default"),
        ("file:///etc/passwd", "video"),
        ("https://", "video"),
        ("https://host:port/", "video"),
        ("https://host/\ud800", "video"),
        ("https://xn--/", "video"),
        (42, "video"),
        (True, "video"),
    ],
)
def test_a_file_that_is_named_without_a_usable_url_is_not_forgotten(shape: object, missing: str) -> None:
    recording = parsed(download_url=shape)
    assert recording.without_url == (missing,)
    assert [media.kind for media in recording.media] == ["audio"]


@pytest.mark.parametrize("nothing", [None, DROP, "", [], {}, [{"layer_name": "default", "download_urls": {}}]])
def test_a_recording_without_files_names_none(nothing: object) -> None:
    recording = parsed(download_url=nothing, audio_download_url=nothing if not isinstance(nothing, list) else None)
    assert (recording.media, recording.without_url) == ((), ())


def layer(name: str, file: str, url: str) -> dict[str, object]:
    return {"layer_name": name, "download_urls": {file: {"download_url": url}}}


def test_labels_stay_when_urls_are_refreshed_and_never_coincide() -> None:
    layers = [
        layer("a/b", "c.webm", "https://host/1"),
        layer("a", "b/c.webm", "https://host/2"),
        layer("a%00002Fb", "c.webm", "https://host/3"),
        layer("same", "c.webm", "https://host/4?sig=z"),
        layer("same", "c.webm", "https://host/5?sig=y"),
        layer("same-2", "c.webm", "https://host/6"),
    ]
    first = {media.label: media.url for media in parsed(download_url=layers).media if media.kind == "tracks"}
    assert sorted(first.values()) == sorted(tracked[2] for tracked in tracks(layers))
    assert len(first) == 6
    fresh = [json.loads(json.dumps(each).replace("sig=", "sig=fresh")) for each in reversed(layers)]
    second = {media.label: media.url for media in parsed(download_url=fresh).media if media.kind == "tracks"}
    assert second == {label: url.replace("sig=", "sig=fresh") for label, url in first.items()}


def test_many_tracks_of_one_name_are_told_apart_in_no_time() -> None:
    layers = [layer("same", "a.webm", f"https://host/{number}") for number in range(3000)]
    assert len({media.label for media in parsed(download_url=layers).media}) == 3001


def test_a_label_is_one_printable_line() -> None:
    tracks = parsed(download_url=[layer("default", "a\nINFO all is well\x1b[2J\u202e/../b%.webm", "https://host/1")])
    label = next(media.label for media in tracks.media if media.kind == "tracks")
    assert label.isprintable()
    assert label.count("/") == 2


def test_a_video_stays_the_same_file_when_the_api_names_it_otherwise() -> None:
    assert video(output_file_name="a.mp4").label == video(output_file_name="b.mp4").label


def test_no_repr_shows_a_url_or_a_secret() -> None:
    shown = repr(parsed(storage_config={"type": "sftp", "password": "leak-canary"}))
    assert "Signature" not in shown
    assert "leak-canary" not in shown


@steady
@given(ANY_DETAILS)
def test_no_json_at_all_crashes_the_reading(details: dict[str, Any]) -> None:
    recording = parse_recording(details)
    labels = [*(media.label for media in recording.media), *recording.without_url]
    assert len(labels) == len(set(labels))
    assert repr(recording)
