"""Secrets are read from files at each run, are registered for redaction, and never get into the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from tasks.errors import SettingsInvalid
from tasks.library.settings import LibrarySettings
from tasks.s3.client import new_s3_client
from tasks.s3.multipart import Store
from tasks.settings import ArchiveSettings, Settings, WebhookSettings, load_settings
from tasks.text import redact
from tests.test_settings import REQUIRED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.archiving import Archiving

CANARY = "leak-canary-secret"
KEY_FILES = {
    "AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID_FILE",
    "AWS_SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY_FILE",
    "AWS_SESSION_TOKEN": "AWS_SESSION_TOKEN_FILE",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with mock.patch.dict(os.environ):
        os.environ.update(REQUIRED)
        for name in ("PREFECT_API_URL", "LIBRARY_PASSWORD"):
            os.environ.pop(name, None)
        os.environ["PREFECT_PROFILES_PATH"] = str(tmp_path / "none.toml")
        yield


def secret_file(content: bytes | str, name: str = "secret") -> str:
    path = Path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path.absolute())


def problems(**changed: str) -> list[str]:
    os.environ.update(changed)
    with pytest.raises(SettingsInvalid) as raised:
        load_settings(Settings)
    assert CANARY not in str(raised.value)
    return list(raised.value.problems)


def token_file(content: bytes | str) -> str:
    """Have the token in a file instead of the environment."""
    os.environ.pop("CLOUDFLARE_API_TOKEN", None)
    os.environ["CLOUDFLARE_API_TOKEN_FILE"] = path = secret_file(content)
    return path


@pytest.mark.parametrize("content", [CANARY, f"{CANARY}\n", f"{CANARY}\r\n", f"\ufeff{CANARY}\n"])
def test_a_token_is_read_from_the_file_that_its_variable_names(content: str) -> None:
    path = token_file(content)
    before = dict(os.environ)
    settings = load_settings(Settings)
    assert settings.cloudflare_api_token.get_secret_value() == CANARY
    assert settings.origins["CLOUDFLARE_API_TOKEN"] == f"the file {path}"
    assert dict(os.environ) == before
    assert CANARY not in repr(settings) + redact(f"a log line with {CANARY}")


def test_a_file_is_read_at_each_run_so_that_a_secret_may_be_changed_under_way() -> None:
    token_file("old-token")
    assert load_settings(Settings).cloudflare_api_token.get_secret_value() == "old-token"
    token_file("new-token")
    assert load_settings(Settings).cloudflare_api_token.get_secret_value() == "new-token"


def test_a_dotenv_file_may_name_files_too_which_the_environment_does_not_get() -> None:
    names = [*KEY_FILES.values(), "CLOUDFLARE_API_TOKEN_FILE"]
    lines = [f"{name}={secret_file(f'{name}-value', name)}" for name in names]
    Path(".env").write_text("\n".join(lines), encoding="utf-8")
    del os.environ["CLOUDFLARE_API_TOKEN"]
    for _ in range(2):
        settings = load_settings(Settings)
        assert settings.cloudflare_api_token.get_secret_value() == "CLOUDFLARE_API_TOKEN_FILE-value"
        assert settings.store_keys is not None
        assert settings.store_keys.secret_key == "AWS_SECRET_ACCESS_KEY_FILE-value"
        assert settings.store_keys.token == "AWS_SESSION_TOKEN_FILE-value"
    assert not [name for name in os.environ if name in names or "-value" in os.environ[name]]


def test_where_each_secret_came_from_is_known() -> None:
    Path(".env").write_text("AWS_ACCESS_KEY_ID=from-dotenv", encoding="utf-8")
    os.environ["AWS_SECRET_ACCESS_KEY_FILE"] = path = secret_file(CANARY)
    for _ in range(2):  # libraries find what is in .env in the environment from then on
        assert load_settings(Settings).origins == {
            "CLOUDFLARE_API_TOKEN": "the environment",
            "AWS_ACCESS_KEY_ID": "the file .env",
            "AWS_SECRET_ACCESS_KEY": f"the file {path}",
        }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        (b"\xff\xfe leak-canary-secret", "is no text in UTF-8"),
        (CANARY * 4000, "has more than 64 KiB: it cannot be the secret alone"),
    ],
)
def test_a_file_that_holds_no_secret_is_told_by_its_variable_and_path(content: bytes | str, problem: str) -> None:
    path = token_file(content)
    assert problems() == [f"CLOUDFLARE_API_TOKEN_FILE: {path} {problem}"]


def test_a_file_that_is_not_there_or_none_is_a_problem_beside_the_others(tmp_path: Path) -> None:
    del os.environ["CLOUDFLARE_API_TOKEN"]
    os.mkfifo("pipe")  # nobody writes into it
    for path, problem in (("none", "cannot be read (FileNotFoundError)"), ("pipe", "is no file"), (".", "is no file")):
        listed = problems(CLOUDFLARE_API_TOKEN_FILE=str(tmp_path / path), TASK_RETRIES="x")
        assert listed == ["TASK_RETRIES: must be a number", f"CLOUDFLARE_API_TOKEN_FILE: {tmp_path / path} {problem}"]


@pytest.mark.parametrize("value", [CANARY, f"/{CANARY}", f"leak/{CANARY}", CANARY * 100, f"{CANARY}/\n"])
def test_a_secret_that_somebody_sets_in_the_place_of_its_path_is_not_shown(value: str) -> None:
    del os.environ["CLOUDFLARE_API_TOKEN"]
    (problem,) = problems(CLOUDFLARE_API_TOKEN_FILE=value)
    assert problem.startswith(
        "CLOUDFLARE_API_TOKEN_FILE: its value, which is to be the path of a file, and is not shown"
    )


def test_a_value_of_a_file_that_no_header_takes_is_told_with_the_file() -> None:
    path = token_file("two words")
    (problem,) = problems()
    assert problem.endswith(f"the token alone, without Bearer (from the file {path})")


@pytest.mark.parametrize("in_dotenv", ["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_TOKEN_FILE", ""])
def test_a_value_and_a_file_for_the_same_secret_are_a_problem_that_names_both(in_dotenv: str) -> None:
    os.environ["CLOUDFLARE_API_TOKEN_FILE"] = secret_file(CANARY)
    if in_dotenv:
        Path(".env").write_text(f"{in_dotenv}={os.environ.pop(in_dotenv)}", encoding="utf-8")
    assert problems() == ["CLOUDFLARE_API_TOKEN: is set, and so is CLOUDFLARE_API_TOKEN_FILE; keep one of them"]


def test_half_of_the_stores_keys_is_a_problem_that_says_which_half() -> None:
    path = secret_file(CANARY)
    assert problems(AWS_SECRET_ACCESS_KEY_FILE=path) == [
        f"AWS_ACCESS_KEY_ID: is missing, although AWS_SECRET_ACCESS_KEY comes from the file {path}"
    ]


def test_a_key_with_blanks_in_its_file_is_told_with_the_file() -> None:
    path = secret_file("leak-canary- secret")
    listed = problems(AWS_SECRET_ACCESS_KEY_FILE=path, AWS_ACCESS_KEY_ID="key")
    assert listed == [
        f"AWS_SECRET_ACCESS_KEY: must be printable ASCII without blanks and line ends (from the file {path})"
    ]


def test_boto3s_own_variables_that_name_files_stay_its_own(tmp_path: Path) -> None:
    own = {"AWS_CONFIG_FILE": "a", "AWS_SHARED_CREDENTIALS_FILE": "b", "AWS_WEB_IDENTITY_TOKEN_FILE": "c"}
    lines = "\n".join(f"{name}={tmp_path / path}" for name, path in own.items())
    Path(".env").write_text(lines, encoding="utf-8")
    for name in own:
        os.environ.pop(name, None)
    assert load_settings(Settings).store_keys is None
    assert {name: os.environ[name] for name in own} == {name: str(tmp_path / path) for name, path in own.items()}


def test_the_librarys_password_may_be_in_a_file() -> None:
    os.environ["LIBRARY_PASSWORD_FILE"] = secret_file("a long password\n")
    assert load_settings(LibrarySettings).library_password.get_secret_value() == "a long password"


def test_a_command_reads_no_file_of_a_secret_that_it_does_not_need() -> None:
    os.environ["CLOUDFLARE_API_TOKEN_FILE"] = os.environ["LIBRARY_PASSWORD_FILE"] = "/nowhere"
    os.environ["AWS_SECRET_ACCESS_KEY_FILE"] = "/nowhere"
    assert load_settings(WebhookSettings).origins == {}
    with pytest.raises(SettingsInvalid, match="AWS_SECRET_ACCESS_KEY_FILE") as raised:
        load_settings(ArchiveSettings)
    assert len(raised.value.problems) == 1


def test_the_store_is_reached_with_keys_of_files_and_with_new_ones_once_these_have_expired(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.s3.credentials.MIN_RELOAD_INTERVAL_S", 0.0)
    keys = {"AWS_ACCESS_KEY_ID": rclone.server.access_key, "AWS_SECRET_ACCESS_KEY": rclone.server.secret_key}
    for name, value in (keys | {"AWS_SESSION_TOKEN": "old-session"}).items():
        os.environ.pop(name, None)
        os.environ[KEY_FILES[name]] = secret_file(f"{value}\n", name)
    client = new_s3_client(2, keys=load_settings(ArchiveSettings).store_keys)
    seen: list[str] = []
    client.meta.events.register(
        "before-send.s3", lambda request, **_: seen.append(str(request.headers["X-Amz-Security-Token"]))
    )
    store = Store(client, rclone.bucket, 10)
    store.put("key", b"bytes", "video/mp4")
    credentials = client._request_signer._credentials  # type: ignore[attr-defined]
    Path("AWS_SESSION_TOKEN").unlink()  # a moment in which somebody writes it anew
    credentials.note({"Error": {"Code": "ExpiredToken"}})
    assert store.get("key") == b"bytes"
    secret_file("new-session", "AWS_SESSION_TOKEN")
    assert store.get("key") == b"bytes"
    assert [token.strip("b'") for token in seen] == ["old-session", "old-session", "new-session"]


@pytest.mark.parametrize("name", ["CLOUDFLARE_API_TOKEN", "REALTIMEKIT_APP_ID", "TASK_RETRIES", "AWS_ACCESS_KEY_ID"])
def test_a_prefect_block_without_a_server_is_told_in_one_sentence(name: str) -> None:
    (problem,) = problems(**{name: "prefect:secret/some-name"})
    assert problem == (
        f"{name}: names the Prefect block secret/some-name, which a Prefect server keeps, and none is configured: "
        "set PREFECT_API_URL, or give the value itself or a file that holds it"
    )


def test_a_block_is_a_problem_beside_a_dotenv_file_that_prefect_cannot_read_either() -> None:
    Path(".env").write_bytes(b"ARCHIVE_URL=s3://\xff\xfe")
    listed = problems(CLOUDFLARE_API_TOKEN="prefect:secret/x")
    assert [problem.partition(":")[0] for problem in listed] == [".env", "CLOUDFLARE_API_TOKEN"]


@pytest.mark.parametrize(
    "reference", ["prefect:", "prefect:secret", "prefect:secret/", "prefect:secret/../x", "prefect:string/x"]
)
def test_what_names_no_block_of_a_secret_is_refused(reference: str) -> None:
    assert problems(CLOUDFLARE_API_TOKEN=reference) == [
        "CLOUDFLARE_API_TOKEN: must be prefect:secret/NAME, with the name of a Prefect block of that type"
    ]


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_ENDPOINT_URL_S3", "HTTPS_PROXY"])
def test_what_libraries_read_by_themselves_cannot_name_a_block(name: str) -> None:
    (problem,) = problems(**{name: "prefect:secret/x"})
    assert problem.startswith(f"{name}: is read by a library that knows no Prefect blocks")


def test_a_block_of_credentials_beside_other_keys_is_a_problem_that_names_both() -> None:
    listed = problems(ARCHIVE_CREDENTIALS="prefect:aws-credentials/r2", AWS_ACCESS_KEY_ID="key")
    assert listed == ["ARCHIVE_CREDENTIALS: is set, and so is AWS_ACCESS_KEY_ID; keep one of them"]


@pytest.mark.parametrize("text", ["leak-canary-secret", "prefect:secret/x"])
def test_credentials_that_are_no_block_of_them_are_refused(text: str) -> None:
    listed = problems(ARCHIVE_CREDENTIALS=text)
    assert listed == [
        "ARCHIVE_CREDENTIALS: must be prefect:aws-credentials/NAME, with the name of a Prefect block of that type"
    ]
