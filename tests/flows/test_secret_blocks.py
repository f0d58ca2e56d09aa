"""Settings may name Prefect blocks: they are loaded inside the run, and nobody else sees what these hold."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, ClassVar

import pytest
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import SecretStr

from flows.archive_recording import main
from flows.doctor import examine
from tasks.errors import PrefectUnavailable, SettingsInvalid
from tasks.settings import ArchiveSettings, Settings, load_settings
from tests.flows.test_secrets import TALKATIVE, _database, _leaks, _secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.flows.world import World

TOKEN_BLOCK = "prefect:secret/cloudflare-api-token"


class AwsCredentials(Block):
    """Stands for the block of the same name and form in prefect-aws, which is not installed here."""

    _block_type_name: ClassVar[str] = "AWS Credentials"
    _block_type_slug: ClassVar[str] = "aws-credentials"

    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: str | None = None
    region_name: str | None = None


def keep_in_blocks(world: World) -> dict[str, str | None]:
    """Keep the token and the store's keys in blocks, and return what the environment has in their place."""
    values = {
        "CLOUDFLARE_API_TOKEN": world.kit.token,
        "AWS_ACCESS_KEY_ID": world.store.access_key,
        "AWS_SECRET_ACCESS_KEY": world.store.secret_key,
    }
    names = {name: name.lower().replace("_", "-") for name in values}
    for name, value in values.items():
        Secret(value=value).save(names[name], overwrite=True)
    return {name: f"prefect:secret/{block}" for name, block in names.items()}


def test_a_recording_is_archived_with_secrets_that_blocks_hold(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in keep_in_blocks(here).items():
        monkeypatch.setenv(name, str(value))
    before = dict(os.environ)
    recording = here.add()
    assert main([recording.id]) == 0
    assert "bagit.txt" in here.objects()
    secrets = {here.kit.token, here.store.secret_key}
    assert not {name for name, value in os.environ.items() if before.get(name) != value and value in secrets}


def test_what_blocks_hold_is_told_to_nobody(world: World) -> None:
    recording = world.add_large(3)
    blocks = {"CLOUDFLARE_API_TOKEN": TOKEN_BLOCK} | keep_in_blocks(world)
    run = world.run(recording.id, **TALKATIVE | blocks)
    assert run.returncode == 0, run.stderr[-2000:]
    told = {"stdout": run.stdout, "stderr": run.stderr, "Prefect's database": _database(world, recording)}
    told |= {key: body.decode(errors="replace") for key, body in world.objects().items() if "data/" not in key}
    assert recording.id in told["Prefect's database"]
    assert _leaks(told, _secrets(world)) == []


def test_the_stores_keys_may_come_from_a_block_of_aws_credentials(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = AwsCredentials(
        aws_access_key_id=here.store.access_key, aws_secret_access_key=SecretStr(here.store.secret_key)
    )
    keys.save("archive", overwrite=True)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("ARCHIVE_CREDENTIALS", "prefect:aws-credentials/archive")
    assert main([here.add().id]) == 0
    assert "bagit.txt" in here.objects()
    origins = load_settings(ArchiveSettings).origins
    assert set(origins.values()) == {"the Prefect block aws-credentials/archive"}


@pytest.mark.usefixtures("here")
def test_credentials_without_keys_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    AwsCredentials(region_name="eu-central-1").save("no-keys", overwrite=True)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("ARCHIVE_CREDENTIALS", "prefect:aws-credentials/no-keys")
    with pytest.raises(SettingsInvalid) as raised:
        load_settings(ArchiveSettings)
    assert raised.value.problems == (
        "ARCHIVE_CREDENTIALS: the block aws-credentials/no-keys holds no access key with its secret",
    )


def test_any_setting_may_be_in_a_block(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Secret(value="7").save("task-retries", overwrite=True)
    Secret(value=here.kit.app_id).save("app", overwrite=True)
    monkeypatch.setenv("TASK_RETRIES", "prefect:secret/task-retries")
    (here.folder / ".env").write_text("REALTIMEKIT_APP_ID=prefect:secret/app\n", encoding="utf-8")
    monkeypatch.delenv("REALTIMEKIT_APP_ID")
    settings = load_settings(Settings)
    assert (settings.task_retries, settings.realtimekit_app_id) == (7, here.kit.app_id)


def test_a_block_that_is_missing_is_wrong_usage_and_told_with_the_server(
    here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "prefect:secret/no-such-block")
    assert main([here.add().id]) == 2
    server = here.prefect_api.removeprefix("http://").removesuffix("/api")
    missing = f"CLOUDFLARE_API_TOKEN: there is no Prefect block secret/no-such-block on {server}: make it, or correct"
    assert missing in capsys.readouterr().err


@pytest.mark.parametrize("value", [{"token": "leak-canary"}, "", "leak canary"])
def test_a_block_that_holds_no_such_secret_is_told_without_its_value(
    here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: object
) -> None:
    Secret(value=value).save("odd", overwrite=True)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "prefect:secret/odd")
    assert main([here.add().id]) == 2
    told = capsys.readouterr().err
    assert "secret/odd" in told
    assert "canary" not in told


@pytest.fixture
def away(here: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world, with a token in a block, and without its server."""
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN_BLOCK)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        yield here


@pytest.mark.usefixtures("away")
def test_a_server_that_is_away_is_no_error_of_the_settings() -> None:
    with pytest.raises(PrefectUnavailable, match=r"127\.0\.0\.1:9 does not answer") as raised:
        load_settings(Settings)
    assert raised.value.retryable
    assert raised.value.__context__ is None


@pytest.mark.usefixtures("away")
def test_the_doctor_tells_of_a_server_that_is_away_and_looks_at_all_that_needs_none_of_it() -> None:
    findings = {finding.name: finding for finding in examine(lambda _: None).findings}
    assert findings["settings"].status == "failed"
    assert "a Prefect block cannot be read" in findings["settings"].told
    assert findings["bucket"].status == "ok"


def test_the_doctor_says_where_secrets_came_from(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key_file = here.folder / "key"
    key_file.write_text(here.store.secret_key)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", str(keep_in_blocks(here)["CLOUDFLARE_API_TOKEN"]))
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY_FILE", str(key_file))
    checkup = examine(lambda _: None)
    findings = {finding.name: finding for finding in checkup.findings}
    assert findings["secrets"].told == (
        "CLOUDFLARE_API_TOKEN from the Prefect block secret/cloudflare-api-token; AWS_ACCESS_KEY_ID from the "
        f"environment; AWS_SECRET_ACCESS_KEY from the file {key_file}"
    )
    assert findings["credentials"].told.startswith(f"found (the file {key_file})")
    assert {findings[name].status for name in ("token", "account", "bucket", "write")} == {"ok"}
    assert here.store.secret_key not in json.dumps(checkup.model_dump())
