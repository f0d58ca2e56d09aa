"""No secret leaves the process it was given to: not into logs at any level, not to Prefect, not into the archive."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NoReturn

import pytest
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL

from flows.archive_recording import main
from tests.flows.world import MIB, PART, World, eventually
from tests.standins.realtimekit import LEAKY_STORAGE_CONFIG, Answer, Drop, MediaSource, SyntheticContent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import StandInRecording

TALKATIVE = {
    "PREFECT_LOGGING_LEVEL": "DEBUG",
    "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
    "CLOUDFLARE_API_TOKEN": "stand-in-token",
    "TRANSFER_PATIENCE": "1",
}


def _troubled(world: World) -> dict[str, str]:
    """Let links expire and connections drop, and let it end well."""
    world.kit.links_expire_after_requests = 2
    world.kit.file_faults = [None, Drop(1000, "rst"), Answer.slow_down(None)]
    return {}


def _link_refused(world: World) -> dict[str, str]:
    world.kit.expiry_dialect = "signature-403"
    world.kit.links_expire_after_requests = 0
    return {}


def _store_refuses(_: World) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": "another"}


CASES: list[tuple[Callable[[World], dict[str, str]], int]] = [
    (_troubled, 0), (_link_refused, 1), (_store_refuses, 1),
]  # fmt: skip


@pytest.mark.parametrize(("prepare", "exit_code"), CASES)
def test_no_secret_is_told_to_anybody(
    either: World, prepare: Callable[[World], dict[str, str]], exit_code: int
) -> None:
    world = either
    changes = TALKATIVE | {"CLOUDFLARE_API_TOKEN": world.kit.token} | prepare(world)
    audio = MediaSource(SyntheticContent(PART), "audio/mpeg")
    recording = world.add_large(3, audio=audio, storage_config=LEAKY_STORAGE_CONFIG)
    run = world.run(recording.id, **changes)
    assert run.returncode == exit_code, run.stderr[-2000:]

    told = {"stdout": run.stdout, "stderr": run.stderr}
    if world.prefect_api:
        told["Prefect's database"] = _database(world, recording)
        assert recording.id in told["Prefect's database"]
    told |= {key: body.decode(errors="replace") for key, body in world.objects().items() if "data/" not in key}
    assert recording.id in told["stderr"]
    assert _leaks(told, _secrets(world)) == []
    assert " | DEBUG " in told["stderr"]
    assert len(told["stderr"]) < MIB, "the recording itself is in the log"


def test_an_error_that_nobody_foresaw_tells_no_secret_either(
    either_here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = either_here
    secret, header = "leak-canary-password", "leak-canary of a header"
    monkeypatch.setenv("HTTP_PROXY", f"http://user:{secret}@127.0.0.1:9")
    recording = world.add()

    def commit(*_: object, **__: object) -> NoReturn:
        message = f"no way through http://user:{secret}@127.0.0.1:9, {secret}: Invalid header value b'{header}'"
        raise ZeroDivisionError(message)

    monkeypatch.setattr("tasks.transfer.transfer.Transfer.commit", commit)
    assert main([recording.id]) == 1
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    told = {"stderr": stderr}
    if world.prefect_api:
        told["Prefect's database"] = _database(world, recording)
    assert _leaks(told, [secret, header]) == []
    for text in told.values():
        assert "ZeroDivisionError, which nobody foresaw, at line" in text
    assert "Traceback" in told.get("Prefect's database", stderr)


def _secrets(world: World) -> list[str]:
    minted = list(world.kit._links._links)
    assert minted
    return [world.kit.token, "leak-canary", world.store.secret_key, *minted]


def _leaks(told: dict[str, str], secrets: list[str]) -> list[str]:
    return [f"{secret} in {where}" for where, text in told.items() for secret in secrets if secret in text]


def _database(world: World, recording: StandInRecording) -> str:
    """Return all that Prefect's server has stored, once it knows how the run ended and has its logs."""
    (run,) = world.flow_runs(recording)
    eventually(lambda: any("Finished in state" in line for line in world.logged(flow_run_id=run["id"])))
    path = str(PREFECT_SERVER_DATABASE_CONNECTION_URL.value()).partition("///")[2]
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return "\n".join(database.iterdump())


def test_the_search_would_find_a_leak() -> None:
    assert _leaks({"stderr": "a log line with leak-canary-secret"}, ["leak-canary"]) == ["leak-canary in stderr"]
