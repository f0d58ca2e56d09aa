"""Servers and workers as on duty, and what may happen to them: a recording is brought home all the same.

Opt-in, as these tests take minutes: `uv run pytest -m duty`.
"""

from __future__ import annotations

import logging
import os
import signal
import time
import uuid
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.flows.duty import (
    PrefectServer,
    Running,
    asked,
    deploy,
    deployment_id,
    free_port,
    listening,
    started,
    state_of,
    worker,
)
from tests.flows.postgres import postgres
from tests.flows.world import World, eventually
from tests.standins.media import video_mp4
from tests.standins.realtimekit import (
    MediaSource,
    RealtimeKitStandIn,
    StandInDocument,
    StandInRecording,
    StandInSession,
    SyntheticContent,
)
from tests.standins.signer import Signer, session_event, status_update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOG = logging.getLogger(__name__)
pytestmark = [pytest.mark.duty, pytest.mark.timeout(600)]
A_START_S = 180
"""Two runs that start after one another, each a process that imports Prefect, on a machine that has more to do."""


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
    """Return the processes that a worker has started, one for each flow."""
    return [child.pid for child in psutil.Process(running.pid).children()]


def end_worker_by_kill(running: Running) -> None:
    running.kill()


def end_worker_by_sigterm(running: Running) -> None:
    os.kill(running.pid, signal.SIGTERM)
    running.stop()


def drain(running: Running) -> None:
    """End the flows first, as flows/README.md tells: then nothing is left Running on the server."""
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


def hurry(world: World) -> None:
    """Let the sweep be due in a moment, instead of minutes, and then once a minute.

    More often than a worker ends them, runs pile up. The server calls each of them late, all at once, and its SQLite,
    which one writer at a time may lock, answers nobody for up to a minute.
    """
    deployment = deployment_id(world, "every-15-minutes")
    (schedule,) = asked(world, "GET", f"deployments/{deployment}/schedules")
    soon = datetime.now(UTC) + timedelta(seconds=10)
    body = {"schedule": {"interval": 60, "anchor_date": soon.isoformat()}, "active": True}
    asked(world, "PATCH", f"deployments/{deployment}/schedules/{schedule['id']}", body)


def test_what_is_announced_and_what_is_not_is_archived_and_described(on_duty: World) -> None:
    """The schedule fires the sweep, a webhook starts a run, each archive's event starts a description.

    What the runs of the worker have done is in the figures that the webhook's process offers.
    """
    port = free_port()
    video = MediaSource(video_mp4(), "video/mp4")
    announced, unannounced = on_duty.add(video, duration=11), on_duty.add(video, duration=11)
    unannounced.status = "UPLOADING"
    options = ("--metrics-port", str(port))
    with worker(on_duty), Signer() as signer, listening(on_duty, signer, *options) as (_, address):
        body, headers = signer.delivery(status_update(announced.id))
        began = time.monotonic()
        answer = httpx.post(f"{address}/webhook", content=body, headers=headers, timeout=60)
        took = time.monotonic() - began
        assert answer.status_code == 202, answer.text
        eventually(lambda: archived(on_duty, announced))
        unannounced.status = "UPLOADED"
        hurry(on_duty)
        eventually(lambda: archived(on_duty, unannounced), A_START_S)
        recordings = (announced, unannounced)
        described = [eventually(partial(description, on_duty, recording), A_START_S) for recording in recordings]
        sweeps = on_duty.ask_prefect("flow_runs", flows={"name": {"any_": ["sweep-recordings"]}})
        eventually(partial(figures_show, port, on_duty.kit.app_id, recordings=2))
    for recording, said in zip(recordings, described, strict=True):
        (event,) = on_duty.events(recording)
        delays = [_seconds(event["occurred"], said[moment]) for moment in ("created", "start_time")]
        LOG.info("webhook to run %.2f s, event to run created %.2f s, to running %.2f s", took, *delays)
        assert any(key.endswith(f"{recording.id}.description.json") for key in keys(on_duty))
    assert any(run["state"]["type"] == "COMPLETED" and run["auto_scheduled"] for run in sweeps)
    assert len(on_duty.flow_runs(announced)) == 1


def figures_show(port: int, app_id: str, recordings: int) -> bool:
    """Tell whether the figures show so many archived recordings, and a sweep."""
    lines = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text.splitlines()
    swept = [line for line in lines if line.startswith("realtimekit_sweep_last_completed_timestamp_seconds{")]
    return bool(swept) and f'realtimekit_day_archived_recordings{{app_id="{app_id}"}} {recordings}.0' in lines


def description(world: World, recording: StandInRecording) -> dict[str, Any] | None:
    """Return the run that described a recording, once it is over."""
    runs: list[dict[str, Any]] = world.ask_prefect(
        "flow_runs", flow_runs={"name": {"any_": [f"describe {recording.id}"]}}
    )
    return next((run for run in runs if run["state"]["type"] == "COMPLETED"), None)


def _seconds(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def test_a_webhook_brings_a_sessions_documents_and_a_later_one_what_came_since(on_duty: World) -> None:
    session = on_duty.kit.add_session(StandInSession())
    on_duty.add(meeting_id=session.meeting_id, details={"session_id": session.id})  # without one, nothing is archived
    session.summary = StandInDocument(MediaSource(b"# Decisions", "text/plain"), "summary.txt", looks_before=1)
    with worker(on_duty), Signer() as signer, listening(on_duty, signer) as (_, address):
        for version, event in enumerate(("meeting.ended", "meeting.summary"), 1):
            body, headers = signer.delivery(session_event(event, session.id))
            answer = httpx.post(f"{address}/webhook", content=body, headers=headers, timeout=60)
            assert answer.status_code == 202, answer.text
            run = {"id": answer.json()["flow_run_id"]}
            assert state_of(on_duty, run)["type"] == "SCHEDULED"
            bring_forward(on_duty, run)
            eventually(lambda: state_of(on_duty, run)["type"] == "COMPLETED")  # noqa: B023 - asked within the round
            bag = f"session-{session.id}/v{version:04}/"
            stored = [key.partition(bag)[2] for key in keys(on_duty) if bag in key]
            assert ("bagit.txt" in stored, any("summary" in key for key in stored)) == (True, version == 2)


def bring_forward(world: World, run: dict[str, Any]) -> None:
    """Let a run that is scheduled for later begin now."""
    now = {"type": "SCHEDULED", "state_details": {"scheduled_time": datetime.now(UTC).isoformat()}}
    asked(world, "POST", f"flow_runs/{run['id']}/set_state", {"state": now, "force": True})


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


def test_workers_with_the_names_of_blocks_and_files_alone_archive_all_apps_that_a_sweep_hands_out(
    on_duty: World,
) -> None:
    key_file = on_duty.folder / "secret-key"
    key_file.write_text(f"{on_duty.store.secret_key}\n")
    with temporary_settings({PREFECT_API_URL: on_duty.prefect_api}):
        Secret(value=on_duty.kit.token).save("token-of-the-account")
        Secret(value=on_duty.store.access_key).save("key-of-the-store")
    references: dict[str, str | None] = {
        "CLOUDFLARE_API_TOKEN": "prefect:secret/token-of-the-account",
        "AWS_ACCESS_KEY_ID": "prefect:secret/key-of-the-store",
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_SECRET_ACCESS_KEY_FILE": str(key_file),
    }
    secrets = {on_duty.kit.token, on_duty.store.secret_key}
    seen: list[set[str]] = []
    with RealtimeKitStandIn(app_id="another") as other, worker(on_duty, settings=references) as running:

        def look(_: object) -> None:
            """Note what the environments of the worker's flows hold while these talk with RealtimeKit."""
            for pid in flow_pids(running):
                with suppress(psutil.Error):
                    seen.append(set(psutil.Process(pid).environ().values()))

        on_duty.kit.add_app(other)
        on_duty.kit.on_file_request = other.on_file_request = look
        invoked = datetime.now(UTC) - timedelta(hours=2)
        recordings = [on_duty.add(invoked_time=invoked), other.add(new_recording(invoked))]
        started(on_duty, "every-15-minutes", app_ids=["*"], hand_out=True, sessions="none")
        eventually(lambda: all(archived(on_duty, recording) for recording in recordings))
        log = (on_duty.folder / "worker.log").read_text()
    folders = {key.split("/")[1] for key in keys(on_duty) if key.endswith("/bagit.txt")}
    assert folders == {on_duty.kit.app_id, "another"}
    assert seen
    assert not any(secrets & values for values in seen)
    assert not [secret for secret in secrets if secret in log]


def new_recording(invoked: datetime) -> StandInRecording:
    return StandInRecording(str(uuid.uuid4()), video=MediaSource(b"vide\0" * 1000), invoked_time=invoked)
