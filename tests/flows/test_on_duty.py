"""Servers and workers as on duty, and what may happen to them: a recording is brought home all the same.

Opt-in, as these tests take minutes: `uv run pytest -m duty`.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.flows.duty import PrefectServer, Running, deploy, started, state_of, worker
from tests.flows.postgres import postgres
from tests.flows.world import World, eventually
from tests.standins.realtimekit import MediaSource, SyntheticContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.standins.realtimekit import StandInRecording

pytestmark = [pytest.mark.duty, pytest.mark.timeout(400)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PrefectServer]:
    with PrefectServer(tmp_path) as running:
        yield running


@pytest.fixture
def on_duty(world: World, server: PrefectServer) -> World:
    here = replace(world, prefect_api=server.api)
    deploy(here)
    return here


def archived(world: World, recording: StandInRecording) -> bool:
    return any(key.endswith(f"{recording.id}/bagit.txt") for key in keys(world))


def keys(world: World) -> list[str]:
    pages = world.store.client().get_paginator("list_objects_v2").paginate(Bucket=world.bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def flow_pids(running: Running) -> list[int]:
    """Return the processes of the flows that a worker runs."""
    return [child.pid for child in psutil.Process(running.pid).children(recursive=True)]


def end_worker_by_kill(running: Running) -> None:
    running.kill()


def end_worker_by_sigterm(running: Running) -> None:
    os.kill(running.pid, signal.SIGTERM)
    running.stop()


def drain(running: Running) -> None:
    """End the flows first, as the README tells: then nothing is left Running on the server."""
    for pid in flow_pids(running):
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not flow_pids(running))
    running.stop()


@pytest.mark.parametrize("end", [end_worker_by_kill, end_worker_by_sigterm, drain])
def test_what_a_worker_had_stored_when_it_ended_is_not_fetched_again(
    on_duty: World, end: Callable[[Running], None]
) -> None:
    recording = on_duty.add_large(parts=8)
    with on_duty.gate(passing=4) as gate, worker(on_duty) as first:
        run = started(on_duty, "on-demand", recording_id=recording.id)
        assert gate.reached.wait(90)
        eventually(lambda: len(on_duty.stored_parts()) >= 3)
        end(first)
    stored, before = on_duty.stored_parts(), len(on_duty.kit.file_requests)
    assert not archived(on_duty, recording)
    if end is drain:
        assert state_of(on_duty, run)["type"] == "CRASHED"
    with worker(on_duty, "second"):
        started(on_duty, "on-demand", recording_id=recording.id)
        eventually(lambda: archived(on_duty, recording))
    assert len(on_duty.kit.file_requests) - before <= 8 - len(stored) + 1  # and one that asks what the source has


def test_two_workers_at_a_server_on_postgresql_share_twenty_recordings(world: World, tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(postgres())
        server = stack.enter_context(PrefectServer(tmp_path, PREFECT_API_DATABASE_CONNECTION_URL=url))
        here = replace(world, prefect_api=server.api)
        deploy(here)
        recordings = [here.add(MediaSource(SyntheticContent(200_000, seed))) for seed in range(20)]
        runs = [started(here, "on-demand", recording_id=recording.id) for recording in recordings]
        for name in ("one", "two"):
            stack.enter_context(worker(here, name, limit=2))
        eventually(lambda: all(state_of(here, run)["type"] == "COMPLETED" for run in runs), within_s=300)
        assert all(archived(here, recording) for recording in recordings)
        at_work = {name for name in ("one", "two") if "submitting" in (here.folder / f"{name}.log").read_text()}
        assert at_work == {"one", "two"}
