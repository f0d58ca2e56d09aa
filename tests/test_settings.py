"""Settings come from the environment, a .env file completes it, and one error names all that is wrong."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import httpx
import pytest

from tasks.archive.inventory import held_at
from tasks.errors import RecordingIdInvalid, SettingsInvalid
from tasks.realtimekit import parse_recording_id
from tasks.settings import AuditSettings, Settings, load_settings
from tasks.text.formatting import MIB
from tests.standins.realtimekit import APP_ID

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
TOKEN = "leak-canary-token"
REQUIRED = {
    "CLOUDFLARE_API_TOKEN": TOKEN,
    "CLOUDFLARE_ACCOUNT_ID": "a" * 32,
    "REALTIMEKIT_APP_ID": APP_ID,
    "ARCHIVE_URL": "s3://bucket/prefix",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give each test an environment of its own; what a .env file adds to it is gone afterwards."""
    monkeypatch.chdir(tmp_path)
    with mock.patch.dict(os.environ):
        for name in Settings.model_fields:
            os.environ.pop(name.upper(), None)
        os.environ.update(REQUIRED)
        yield


def problems(**changed: str) -> dict[str, str]:
    os.environ.update(changed)
    with pytest.raises(SettingsInvalid) as raised:
        load_settings(Settings)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return dict(problem.split(": ", 1) for problem in raised.value.problems)


def test_required_settings_suffice() -> None:
    settings = load_settings(Settings)
    assert settings.cloudflare_api_token.get_secret_value() == TOKEN
    assert settings.cloudflare_base_url == "https://api.cloudflare.com/client/v4"
    assert (settings.transfer_concurrency, settings.transfer_part_size) == (8, 8 * MIB)
    assert (settings.stall_timeout, settings.transfer_patience, settings.poll_interval) == (30, 300, 10)
    assert settings.task_retries == 3


def test_all_problems_are_named_at_once_and_no_values() -> None:
    wrong = {
        "CLOUDFLARE_API_TOKEN": "leak canary",
        "CLOUDFLARE_ACCOUNT_ID": "leak/../canary",
        "REALTIMEKIT_APP_ID": "",
        "ARCHIVE_URL": "https://leak",
        "CLOUDFLARE_BASE_URL": "ftp://leak",
        "TRANSFER_CONCURRENCY": "leak",
        "TRANSFER_PART_SIZE": "8leak",
        "STALL_TIMEOUT": "leak",
        "TRANSFER_PATIENCE": "-17171",
        "TASK_RETRIES": "17171",
        "POLL_INTERVAL": "nan",
        "ARCHIVE_STORAGE_CLASS": "leak canary",
        "ARCHIVE_SSE": "leak",
        "ARCHIVE_OBJECT_LOCK": "leak:17171",
        "ARCHIVE_TAGS": "leak",
        "ARCHIVE_ACL": "leak",
    }
    found = problems(**wrong)
    assert found.keys() == wrong.keys()
    assert found["REALTIMEKIT_APP_ID"] == "is missing"
    text = str(SettingsInvalid(tuple(f"{name}: {problem}" for name, problem in found.items())))
    assert "leak" not in text
    assert "17171" not in text


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("empty", ["", None])
def test_what_is_empty_is_missing(name: str, empty: str | None) -> None:
    del os.environ[name]
    assert problems(**({} if empty is None else {name: empty})) == {name: "is missing"}


def test_a_dotenv_file_completes_but_does_not_override() -> None:
    del os.environ["ARCHIVE_URL"]
    os.environ["REALTIMEKIT_APP_ID"] = ""
    lines = ["ARCHIVE_URL=s3://from-file", "CLOUDFLARE_API_TOKEN=other", "REALTIMEKIT_APP_ID='quoted'", "AWS_REGION=x"]
    Path(".env").write_text("\n".join([*lines, "# comment", "TASK_RETRIES="]), encoding="utf-8-sig")
    settings = load_settings(Settings)
    assert (settings.bucket, settings.realtimekit_app_id, settings.task_retries) == ("from-file", "quoted", 3)
    assert settings.cloudflare_api_token.get_secret_value() == TOKEN
    assert os.environ["AWS_REGION"] == "x"


def test_of_a_dotenv_file_the_environment_gets_only_what_libraries_read_there() -> None:
    os.environ.clear()
    of_libraries = {"AWS_SECRET_ACCESS_KEY": "key", "https_proxy": "http://127.0.0.1:9", "AWS_SESSION_TOKEN": "token"}
    lines = REQUIRED | of_libraries | {"transfer_concurrency": "3", "OTHER_PASSWORD": "password"}
    Path(".env").write_text("\n".join(f"{name}='{value}'" for name, value in lines.items()), encoding="utf-8")
    settings = load_settings(Settings)
    assert settings.cloudflare_api_token.get_secret_value() == TOKEN
    assert settings.transfer_concurrency == 3
    assert dict(os.environ) == of_libraries | {"NO_PROXY": "localhost,127.0.0.1,::1"}


def test_an_audit_needs_no_app() -> None:
    del os.environ["REALTIMEKIT_APP_ID"]
    assert load_settings(AuditSettings).realtimekit_app_id == ""
    os.environ["REALTIMEKIT_APP_ID"] = "a/b"
    with pytest.raises(SettingsInvalid, match="REALTIMEKIT_APP_ID: must be the app's id"):
        load_settings(AuditSettings)


def test_another_dotenv_file_can_be_named_or_none() -> None:
    del os.environ["ARCHIVE_URL"]
    Path(".env").write_text("ARCHIVE_URL=s3://default", encoding="utf-8")
    Path("other.env").write_text("ARCHIVE_URL=s3://other", encoding="utf-8")
    with pytest.raises(SettingsInvalid):
        load_settings(Settings, None)
    assert load_settings(Settings, "other.env").bucket == "other"


@pytest.mark.parametrize(
    "content",
    [b"ARCHIVE_URL=s3://\xff\xfe leak-canary", b"AWS_REGION=leak\0canary", "ARCHIVE_URL=s3://leak".encode("utf-16")],
)
def test_a_dotenv_file_that_cannot_be_read_is_a_problem_beside_the_others(content: bytes) -> None:
    Path(".env").write_bytes(content)
    found = problems(TASK_RETRIES="x")
    assert found.keys() == {".env", "TASK_RETRIES"}
    assert "leak" not in str(found)


@pytest.mark.parametrize("app_id", [APP_ID, "a" * 32, "a" * 64, "app_1"])
def test_an_apps_id_is_a_uuid_or_as_short_as_older_ones(app_id: str) -> None:
    os.environ["REALTIMEKIT_APP_ID"] = app_id
    assert load_settings(Settings).realtimekit_app_id == app_id
    assert load_settings(AuditSettings).realtimekit_app_id == app_id
    assert held_at(f"{app_id}/2026/11/20/{ID}/").app_id == app_id


@pytest.mark.parametrize("app_id", ["a" * 65, "a/b", "..", "a b"])
def test_what_cannot_be_an_apps_id_is_told_with_an_example(app_id: str) -> None:
    (problem,) = problems(REALTIMEKIT_APP_ID=app_id).values()
    assert "such as 14a396e7-ca44-4937-bf1f-050a69118543: 1 to 64 letters" in problem
    assert held_at(f"{app_id}/2026/11/20/{ID}/").app_id == ""


def test_nothing_shows_the_token() -> None:
    settings = load_settings(Settings)
    shown = [repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()]
    assert not any(TOKEN in text for text in shown)
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own bytes


@pytest.mark.parametrize("token", ["two words", "new\nline", "tokén", "bell\a", "\u200btoken", "Bearer token", " "])
def test_a_token_that_no_header_takes_is_refused(token: str) -> None:
    assert problems(CLOUDFLARE_API_TOKEN=token) == {
        "CLOUDFLARE_API_TOKEN": "must be printable ASCII without spaces: the token alone, without Bearer"
    }


def test_blanks_around_values_do_not_count() -> None:
    os.environ.update({name: f" {value}\n" for name, value in REQUIRED.items()})
    os.environ.update(AWS_SESSION_TOKEN="token\n", AWS_ENDPOINT_URL_S3="http://127.0.0.1:9\r\n")
    settings = load_settings(Settings)
    assert settings.cloudflare_api_token.get_secret_value() == TOKEN
    assert (settings.cloudflare_account_id, settings.archive_url) == ("a" * 32, "s3://bucket/prefix")
    assert (os.environ["AWS_SESSION_TOKEN"], os.environ["AWS_ENDPOINT_URL_S3"]) == ("token", "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("HTTP_PROXY", "http://user:Leak#1@host:9", "must be like http://HOST:PORT"),
        ("https_proxy", "http://user:1234#leak@host:9", "must be like http://HOST:PORT"),
        ("HTTPS_PROXY", "http://user:le/ak@host:9", "must be like http://HOST:PORT"),
        ("ALL_PROXY", "leak://host", "must be like http://HOST:PORT"),
        ("http_proxy", "http://", "must be like http://HOST:PORT"),
        ("HTTP_PROXY", "http://host:leak", "must be like http://HOST:PORT"),
        ("HTTP_PROXY", "http://ho\nst:9", "must be like http://HOST:PORT"),
        ("ALL_PROXY", "socks5://leak@host:9", "is a SOCKS proxy, which is not supported here"),
        ("SSL_CERT_FILE", "/leak/nowhere.pem", "leads to no file with certificates (PEM)"),
        ("SSL_CERT_DIR", "/leak/nowhere", "leads to no file with certificates (PEM)"),
        ("AWS_CA_BUNDLE", "/dev/null", "leads to no file with certificates (PEM)"),
        ("AWS_SESSION_TOKEN", "leak\ncanary", "must be printable ASCII without blanks and line ends"),
        ("AWS_SECRET_ACCESS_KEY", "leak canary", "must be printable ASCII without blanks and line ends"),
        ("AWS_ACCESS_KEY_ID", "l\u00eback", "must be printable ASCII without blanks and line ends"),
        ("AWS_REGION", "leak\n1", "must not hold line ends or other control characters"),
    ],
)
def test_what_libraries_would_choke_on_is_told_without_its_value(name: str, value: str, problem: str) -> None:
    found = problems(**{name: value, "TASK_RETRIES": "x"})
    assert found.keys() == {name, "TASK_RETRIES"}
    assert found[name].startswith(problem)
    assert "leak" not in str(found).lower()


@pytest.mark.parametrize(
    "value", ["http://host:9", "host:9", "https://user:p%23ss@host", "HTTP://[::1]:9/", "http://u:a b@h"]
)
def test_a_proxy_that_can_be_used_is_no_problem(value: str) -> None:
    os.environ["HTTPS_PROXY"] = value
    load_settings(Settings)
    httpx.Client().close()


@pytest.mark.parametrize(
    ("text", "size"), [("8MiB", 8 * MIB), ("16mib", 16 * MIB), ("10MB", 10_000_000), ("6000000", 6_000_000)]
)
def test_sizes_are_written_as_people_say_them(text: str, size: int) -> None:
    os.environ["TRANSFER_PART_SIZE"] = text
    assert load_settings(Settings).transfer_part_size == size


@pytest.mark.parametrize("text", ["4MiB", "6GiB", "8 parts", "-8MiB", "nan", "9" * 400, "1e9"])
def test_sizes_that_no_store_takes_are_refused(text: str) -> None:
    assert problems(TRANSFER_PART_SIZE=text).keys() == {"TRANSFER_PART_SIZE"}


@pytest.mark.parametrize("text", ["0", "-1", "65", "1.5", "9" * 5000, "true", "0x8"])
def test_concurrency_is_a_small_whole_number(text: str) -> None:
    assert problems(TRANSFER_CONCURRENCY=text).keys() == {"TRANSFER_CONCURRENCY"}


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "86401", "soon"])
def test_times_are_positive_seconds_of_a_day_at_most(text: str) -> None:
    assert problems(STALL_TIMEOUT=text).keys() == {"STALL_TIMEOUT"}


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://my.bucket-1/a/b c/", "my.bucket-1", "a/b c"),
        ("s3://bucket//a/", "bucket", "a"),
    ],
)
def test_an_archive_url_names_bucket_and_prefix(url: str, bucket: str, prefix: str) -> None:
    os.environ["ARCHIVE_URL"] = url
    settings = load_settings(Settings)
    assert (settings.bucket, settings.prefix) == (bucket, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "bucket",
        "https://bucket",
        "s3:/bucket",
        "s3://",
        "s3://b",
        "s3:///prefix",
        "s3://-bucket",
        "s3://key:secret@bucket",
        "s3://bucket/../other",
        "s3://bucket/a/./b",
        "s3://bucket/a//b",
        "s3://bucket/a?b",
        "s3://bucket/ü",
        "s3://bucket/a\nb",
        "s3://bucket/a\\b",
        "s3://bucket/" + "a" * 500,
    ],
)
def test_a_malformed_archive_url_is_refused(url: str) -> None:
    assert problems(ARCHIVE_URL=url)["ARCHIVE_URL"].startswith(
        "must look like s3://bucket/prefix; a prefix has letters"
    )


def test_a_base_url_loses_the_slash_at_its_end() -> None:
    os.environ["CLOUDFLARE_BASE_URL"] = "http://127.0.0.1:8080/client/v4/"
    assert load_settings(Settings).cloudflare_base_url == "http://127.0.0.1:8080/client/v4"


@pytest.mark.parametrize(
    "url",
    [
        "api.cloudflare.com",
        "ftp://api",
        "https://",
        "https:///v4",
        "https://user:password@api",
        "https://api/v4?a=b",
        "https://api/v4#a",
        "https://api:port/",
        "https://a b/",
        "https://api/\nX: y",
    ],
)
def test_a_malformed_base_url_is_refused(url: str) -> None:
    assert problems(CLOUDFLARE_BASE_URL=url).keys() == {"CLOUDFLARE_BASE_URL"}


def test_a_recordings_id_is_brought_into_its_canonical_form() -> None:
    assert parse_recording_id(f" {ID.upper()}\n") == ID


@pytest.mark.parametrize(
    "text", ["", "../" + ID, ID + "/..", ID[:-1], ID + "\n0", ID.replace("-", ""), "x" * 5000, "é"]
)
def test_what_is_no_uuid_is_no_recordings_id(text: str) -> None:
    with pytest.raises(RecordingIdInvalid) as raised:
        parse_recording_id(text)
    assert len(str(raised.value)) < 300
