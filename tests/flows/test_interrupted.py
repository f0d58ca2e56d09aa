"""A run that is ended in mid-transfer, however, costs little; the next one carries on."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import httpx

from tests.flows.relay import Relay
from tests.flows.world import PART, World, eventually

if TYPE_CHECKING:
    from tests.standins.realtimekit import FileRequest, StandInRecording

PARTS = 16
ENDS_SOON_S = 10
SIGNALS = [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)]


def test_the_next_run_fetches_no_finished_part_again(either: World) -> None:
    world = either
    recording = world.add_large(PARTS)
    stored: set[int] = set()
    for sent, exit_code in SIGNALS:
        stored = interrupted(world, recording, stored, sent, exit_code)
    again = requests_of_a_run(world, recording)
    # The source has to be asked once what it holds; that answer is the first part's, and not read to its end.
    assert not {request.start // PART + 1 for request in again} & (stored - {1})
    assert sum(request.sent for request in again) <= (PARTS - len(stored) + 1) * PART


def interrupted(
    world: World, recording: StandInRecording, stored: set[int], sent: signal.Signals, exit_code: int
) -> set[int]:
    """Let a run store some parts more, end it while it waits for the source, and return all parts stored."""
    already = len(world.kit.file_requests)
    with world.gate(passing=already + 4) as gate, world.running(recording.id) as process:
        assert gate.reached.wait(30)
        found: set[int] = eventually(lambda: len(parts := world.stored_parts()) >= len(stored) + 3 and parts)
        assert found > stored
        started = time.monotonic()
        process.send_signal(sent)
        stdout, stderr = process.communicate(timeout=60)
        assert time.monotonic() - started < ENDS_SOON_S
    assert process.returncode == exit_code, stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    assert ("carries on" in stderr) == (sent is signal.SIGINT)
    assert world.kit.wait_idle()
    return found


def requests_of_a_run(world: World, recording: StandInRecording) -> list[FileRequest]:
    """Let a run finish, and return what it asked the source for."""
    already = len(world.kit.file_requests)
    run = world.run(recording.id)
    assert run.returncode == 0, run.stderr
    (file,) = json.loads(run.stdout)["files"]
    assert file["sha256"] == recording.video.sha256()  # type: ignore[union-attr]
    return world.kit.file_requests[already:]


def test_a_prefect_server_that_dies_costs_no_recording(world: World) -> None:
    recording = world.add_large(PARTS)
    relay = Relay(httpx.URL(world.prefect_api).port or 0)
    dead_soon: dict[str, str | None] = {"PREFECT_API_URL": f"{relay.url}/api", "PREFECT_CLIENT_MAX_RETRIES": "0"}
    with relay, world.gate(passing=2) as gate, world.running(recording.id, changes=dead_soon) as process:
        assert gate.reached.wait(30)
        relay.cut()
        gate.opened.set()
        (line, told) = process.stdout.readline(), ""
        # Prefect goes on trying to send each of its events for 7 s; the end of that is not waited for.
        while "could not be told" not in told:
            told += process.stderr.readline()
    assert json.loads(line)["files"][0]["sha256"] == recording.video.sha256()  # type: ignore[union-attr]
    assert "bagit.txt" in world.objects()
    assert "Traceback" not in told
