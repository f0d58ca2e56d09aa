"""The second copy's settings: what is not set is as for the archive, and its keys may stand where all secrets may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.copy_settings import CopySettings, CopyStoreSettings
from tasks.errors import SettingsInvalid
from tasks.settings import load_settings
from tasks.text import redact

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "leak-canary-secret"


@pytest.fixture(autouse=True)
def archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARCHIVE_URL", "s3://first/archive")
    monkeypatch.setenv("ARCHIVE_COPY_URL", "s3://second/")


def test_what_is_not_set_is_as_for_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFER_CONCURRENCY", "3")
    of_copy = load_settings(CopySettings).of_copy()
    assert (of_copy.bucket, of_copy.root, of_copy.transfer_concurrency) == ("second", "", 3)
    assert of_copy.store_access == {"keys": None, "profile": "", "endpoint_url": "", "region": ""}


def test_its_keys_come_from_variables_files_and_dotenv_and_are_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(f"{CANARY}\n")
    (tmp_path / ".env").write_text("ARCHIVE_COPY_ACCESS_KEY_ID=key\nARCHIVE_COPY_REGION=eu-north-1\n")
    monkeypatch.setenv("ARCHIVE_COPY_SECRET_ACCESS_KEY_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("ARCHIVE_COPY_SESSION_TOKEN", f"{CANARY}-token")
    settings = load_settings(CopySettings)
    options = settings.of_copy().store_access
    assert options["keys"]
    assert (options["keys"].access_key, options["keys"].secret_key, options["region"]) == ("key", CANARY, "eu-north-1")
    assert settings.store_keys is None, "the archive's are boto3's"
    assert settings.origins["ARCHIVE_COPY_ACCESS_KEY_ID"] == "the file .env"
    assert CANARY not in repr(settings) + repr(options) + redact(f"{CANARY}, {CANARY}-token")
    (tmp_path / "secret").write_text("another")
    renewed = options["keys"].renew()
    assert renewed
    assert (renewed.access_key, renewed.secret_key) == ("key", "another")


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"ARCHIVE_COPY_URL": ""}, "ARCHIVE_COPY_URL: is missing"),
        ({"ARCHIVE_COPY_URL": "second"}, "ARCHIVE_COPY_URL: must look like s3://bucket/prefix"),
        ({"ARCHIVE_COPY_ENDPOINT_URL": "s3.example.com"}, "ARCHIVE_COPY_ENDPOINT_URL: must be an http"),
        (
            {"ARCHIVE_COPY_ACCESS_KEY_ID": "key"},
            "ARCHIVE_COPY_SECRET_ACCESS_KEY: is missing, although ARCHIVE_COPY_ACCESS_KEY_ID comes from the env",
        ),
        (
            {"ARCHIVE_COPY_ACCESS_KEY_ID": "key", "ARCHIVE_COPY_SECRET_ACCESS_KEY": f"{CANARY} x"},
            "ARCHIVE_COPY_SECRET_ACCESS_KEY: must be printable ASCII",
        ),
        (
            {"ARCHIVE_COPY_ACCESS_KEY_ID": "key", "ARCHIVE_COPY_CREDENTIALS": "prefect:aws-credentials/x"},
            "ARCHIVE_COPY_CREDENTIALS: is set, and so is ARCHIVE_COPY_ACCESS_KEY_ID",
        ),
        ({"ARCHIVE_COPY_ACCESS_KEY_ID": "prefect:secret/x"}, "names the Prefect block secret/x, .*none is configured"),
        (
            {
                "ARCHIVE_COPY_PROFILE": "other",
                "ARCHIVE_COPY_ACCESS_KEY_ID": "key",
                "ARCHIVE_COPY_SECRET_ACCESS_KEY": CANARY,
            },
            "ARCHIVE_COPY_PROFILE: is set, and so are keys",
        ),
    ],
)
def test_what_is_wrong_is_told_at_the_start(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], problem: str
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid, match=problem) as raised:
        load_settings(CopySettings).of_copy()
    assert CANARY not in str(raised.value)


def test_without_a_url_there_is_no_second_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHIVE_COPY_URL")
    assert load_settings(CopyStoreSettings).archive_copy_url == ""
