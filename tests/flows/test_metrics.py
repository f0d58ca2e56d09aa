"""What Prometheus reads: figures of all runs, out of the events that Prefect's server keeps."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from flows.audit_archive import audit_archive
from tasks.errors import DamageFound, SweepIncomplete, TransferStopped
from tasks.figures import AuditFigures, SweepFigures
from tasks.orchestration import event_figures, metrics
from tests.flows.duty import free_port, listening
from tests.flows.running import archive_recording, sweep_recordings
from tests.flows.surface.examples import example
from tests.flows.world import eventually
from tests.standins.realtimekit import Answer, RealtimeKitStandIn
from tests.standins.signer import Signer
from tests.support.impostor import impersonating

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from prefect.client.schemas.events import EventPage

    from tests.flows.world import World

NOW = datetime.now(UTC)
SWEPT_AT = "sweep_last_completed_timestamp_seconds"
pytestmark = pytest.mark.usefixtures("prefect_api")
Read = dict[tuple[str, ...], float]


@pytest.fixture
def kit() -> Iterator[RealtimeKitStandIn]:
    """RealtimeKit with an app of its own, as all tests share Prefect's server."""
    with RealtimeKitStandIn(app_id=f"app-{uuid.uuid4().hex[:8]}") as running:
        yield running


@asynccontextmanager
async def served() -> AsyncIterator[httpx.AsyncClient]:
    app = metrics.new_metrics_app()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://metrics.test") as client,
    ):
        yield client


def answer(**headers: str) -> httpx.Response:
    """Return the answer of a process that nobody has asked yet."""

    async def ask() -> httpx.Response:
        async with served() as client:
            return await client.get("/metrics", headers=headers)

    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        return asyncio.run(ask())


def read() -> Read:
    return values_of(answer())


def values_of(answered: httpx.Response) -> Read:
    assert answered.status_code == 200, answered.text
    assert answered.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = [sample for metric in parse_text(answered.text) for sample in metric.samples]
    return {(sample.name.removeprefix("realtimekit_"), *sample.labels.values()): sample.value for sample in samples}


def once(condition: Callable[[Read], bool]) -> Read:
    """Return what is read as soon as it is so: events come a moment later; a busy server is a 503 meanwhile."""

    def look() -> Read | None:
        answered = answer()
        if answered.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return None
        values = values_of(answered)
        return values if condition(values) else None

    values: Read = eventually(look)
    return values


def emit(api: str, *events: tuple[str, str, datetime, dict[str, Any]]) -> None:
    """Send events as a worker does: name, resource, time, payload."""
    body = [
        {
            "id": str(uuid.uuid4()),
            "event": name,
            "resource": {"prefect.resource.id": resource},
            "occurred": occurred.isoformat(),
            "payload": payload,
        }
        for name, resource, occurred, payload in events
    ]
    httpx.post(f"{api}/events", json=body, timeout=30).raise_for_status()


def archived(app_id: str, occurred: datetime = NOW, **payload: Any) -> tuple[str, str, datetime, dict[str, Any]]:
    recording_id = payload.pop("recording_id", str(uuid.uuid4()))
    url = f"s3://bucket/pre/{app_id}/2026/11/20/{recording_id}/"
    known = {"recording_id": recording_id, "archive_url": url, "files": [], "bytes": 10, "duration_s": None}
    return "realtimekit.recording.archived", f"realtimekit.recording.{recording_id}", occurred, known | payload


def swept(app_id: str, occurred: datetime, **figures: Any) -> tuple[str, str, datetime, dict[str, Any]]:
    payload = example(SweepFigures, looked_at_all=True, **figures).model_dump(mode="json")
    return "realtimekit.sweep.completed", f"realtimekit.sweep.{app_id}", occurred, payload


def test_a_sweep_that_fails_as_something_is_at_risk_is_told_with_all_figures_and_nothing_secret(here: World) -> None:
    app = here.kit.app_id
    ready = here.add(invoked_time=NOW - timedelta(hours=2), duration=3600)
    urgent = here.add(invoked_time=NOW - timedelta(days=6, hours=20), duration=0, file_size=1)
    here.add(status="RECORDING")
    here.kit.file_faults = [None, Answer(403)]
    with pytest.raises(SweepIncomplete) as raised:
        sweep_recordings(at_once=1)
    (event,) = eventually(lambda: events(here, f"realtimekit.sweep.{app}"))
    assert event["event"] == "realtimekit.sweep.completed"
    assert set(event["payload"]) == set(SweepFigures.model_fields)
    result: Any = raised.value.result
    assert {name: event["payload"][name] for name in result.figures.model_dump()} == result.figures.model_dump()
    values = once(lambda values: ("day_archived_recordings", app) in values)
    counts = {"archived": 1, "at_risk": 1, "failed": 1, "lost": 0, "awaited": 1, "already_archived": 0, "partial": 0}
    assert {name: values[f"sweep_{name}_recordings", app] for name in counts} == counts
    assert values["sweep_archived_bytes", app] == values["day_archived_bytes", app] == 5000
    assert 3600 <= values["sweep_lag_p50_seconds", app] == values["day_lag_p95_seconds", app] < 3600 + 600
    assert values["sweep_lag_unknown_recordings", app] == 0
    assert values["day_archived_recordings", app] == 1
    assert values["day_window_seconds",] == pytest.approx(86_400)
    assert NOW.timestamp() <= values[SWEPT_AT, app] <= time.time()
    text = answer().text + json.dumps(event["payload"])
    assert not [name for name in (ready.id, urgent.id, ready.video_name, here.kit.token, "X-Amz-") if name in text]


def events(world: World, resource: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.ask_prefect("events", filter={"resource": {"id": [resource]}})["events"]
    return found


def test_a_sweep_that_dies_half_way_is_not_completed_and_what_it_archived_counts(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = here.kit.app_id
    sweep_recordings()
    before = once(lambda values: (SWEPT_AT, app) in values)
    here.add(invoked_time=NOW - timedelta(hours=2))

    def die(*_: Any, **__: Any) -> None:
        raise TransferStopped

    monkeypatch.setattr("flows.sweep_recordings.sweep_sessions", die)
    with pytest.raises(TransferStopped):
        sweep_recordings()
    after = once(lambda values: values["day_archived_recordings", app] == 1)
    at = (SWEPT_AT, app)
    assert (after[at], after["sweep_archived_recordings", app]) == (before[at], 0)


@pytest.mark.parametrize("options", [{"dry_run": True}, {"invoked_within_hours": 5}, {"meeting_id": "abcdef-ghijkl"}])
def test_a_sweep_of_nothing_or_of_some_recordings_is_none_of_all(here: World, options: dict[str, Any]) -> None:
    sweep_recordings(**options)
    sweep_recordings(app_ids=(here.kit.app_id,))
    values = once(lambda values: (SWEPT_AT, here.kit.app_id) in values)
    told = [event["payload"]["looked_at_all"] for event in events(here, f"realtimekit.sweep.{here.kit.app_id}")]
    assert told == [True] + [False] * (not options.get("dry_run"))
    assert values["sweep_at_risk_recordings", here.kit.app_id] == 0


def test_a_run_of_one_recording_counts_with_what_it_took(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_RETRIES", "1")
    monkeypatch.setattr("tasks.orchestration.engine.RETRY_DELAYS_S", [0.0])
    recording, asked = here.add(invoked_time=NOW - timedelta(minutes=50), duration=60 * 20), []

    def fail_once(_: Any) -> Answer | None:
        asked.append(1)
        return Answer(429, headers={"Retry-After": "500"}) if len(asked) == 1 else None

    here.kit.api_faults = fail_once
    here.kit.file_faults = [Answer(403)]
    result = archive_recording(recording.id, session=False)
    assert (result.refreshes, result.retries) == (1, 1)
    assert result.lag_s is not None
    assert 60 * 30 <= result.lag_s < 60 * 40
    app = here.kit.app_id
    values = once(lambda values: ("day_archived_recordings", app) in values)
    assert (values["day_url_refreshes", app], values["day_stage_retries", app]) == (1, 1)
    assert values["day_lag_p50_seconds", app] == result.lag_s
    again = archive_recording(recording.id, session=False, overwrite=True)
    assert (again.lag_s, archive_recording(recording.id, session=False).lag_s) == (None, None)


def test_an_audit_that_finds_damage_is_told_with_its_coverage(here: World) -> None:
    done = [archive_recording(here.add().id, session=False) for _ in range(2)]
    archive = f"{here.bucket}/pre"
    audit_archive(max_gigabytes=0.000_000_001)
    values = once(lambda values: ("audit_recordings", archive) in values)
    covered = {"recordings": 2, "covered_recordings": 1, "never_reread_recordings": 1, "damaged_recordings": 0}
    assert {name: values[f"audit_{name}", archive] for name in covered} == covered
    assert values["audit_read_bytes", archive] > 0
    key = (done[0].archive_url + done[0].files[0].path).removeprefix(f"s3://{here.bucket}/")
    here.store.client().put_object(Bucket=here.bucket, Key=key, Body=b"x" * done[0].files[0].size)
    with pytest.raises(DamageFound):
        audit_archive()
    audit_archive_of_another_app()
    once(lambda values: values["audit_damaged_recordings", archive] == 1)
    eventually(lambda: len(told := events(here, f"realtimekit.audit.{archive}")) == 3 and told)
    assert read()["audit_damaged_recordings", archive] == 1
    for event in events(here, f"realtimekit.audit.{archive}"):
        assert set(event["payload"]) == set(AuditFigures.model_fields)


def audit_archive_of_another_app() -> None:
    assert audit_archive(app_ids=("another",)).damaged == ()


# Events as they may come


def test_a_day_of_recordings_is_read_in_pages_and_then_only_what_is_new(
    prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, sizes = f"app-{uuid.uuid4().hex[:8]}", list[int]()
    monkeypatch.setattr(metrics, "CACHED_S", 0.0)
    early = datetime.now(UTC) - timedelta(hours=3)
    emit(prefect_api, *(archived(app, early - timedelta(seconds=number), lag_s=number) for number in range(101)))
    emit(prefect_api, archived(app, early - timedelta(hours=22)), archived(app, early + timedelta(hours=9)))
    once(lambda values: values.get(("day_archived_recordings", app)) == 101)
    original = PrefectClient.read_events

    async def counted(*args: Any, **options: Any) -> EventPage:
        page = await original(*args, **options)
        sizes.append(len([event for event in page.events if app in str(event.payload.get("archive_url"))]))
        return page

    monkeypatch.setattr(PrefectClient, "read_events", counted)

    async def ask() -> None:
        async with served() as client:
            first = (await client.get("/metrics")).text
            assert f'realtimekit_day_lag_p50_seconds{{app_id="{app}"}} 50.0' in first
            assert sum(sizes) >= 101
            sizes.clear()
            emit(prefect_api, archived(app, bytes=5))
            wanted = f'realtimekit_day_archived_bytes{{app_id="{app}"}} 1015.0'
            deadline = time.monotonic() + 60
            while wanted not in (await client.get("/metrics")).text:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            assert max(sizes) <= 1

    asyncio.run(ask())


def test_the_last_sweep_counts_in_whatever_order_events_come_and_malformed_ones_hold_up_nothing(
    prefect_api: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, ended = f"app-{uuid.uuid4().hex[:8]}", datetime.now(UTC) - timedelta(days=3)
    name, resource, occurred, payload = swept(app, ended + timedelta(hours=1))
    malformed = {figure: value for figure, value in payload.items() if figure != "at_risk"}
    twice = str(uuid.uuid4())
    emit(
        prefect_api,
        swept(app, ended, at_risk=2, bytes=7),
        swept(app, ended - timedelta(hours=1), at_risk=5),
        (name, resource, occurred, malformed),
        archived(app, recording_id=twice),
        archived(app, NOW - timedelta(minutes=1), recording_id=twice, lag_s=30.0),
        ("realtimekit.recording.archived", "realtimekit.recording.x", NOW, {"bytes": "many"}),
    )
    values = once(lambda values: (SWEPT_AT, app) in values and len(events_of(prefect_api, twice)) == 2)
    assert values[SWEPT_AT, app] == pytest.approx(ended.timestamp())
    assert values["sweep_at_risk_recordings", app] == 2
    assert read()["day_archived_recordings", app] == 1
    assert read()["day_lag_p50_seconds", app] == 30
    assert "realtimekit.sweep.completed" in caplog.text or "realtimekit.recording.archived" in caplog.text


def events_of(api: str, recording_id: str) -> list[dict[str, Any]]:
    about = {"resource": {"id": [f"realtimekit.recording.{recording_id}"]}}
    found: list[dict[str, Any]] = httpx.post(f"{api}/events/filter", json={"filter": about}, timeout=30).json()[
        "events"
    ]
    return found


def test_recordings_that_cannot_be_read_in_time_shorten_the_window_and_hold_up_nothing(
    prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, latest = f"app-{uuid.uuid4().hex[:8]}", datetime.now(UTC) - timedelta(minutes=1)
    emit(prefect_api, *(archived(app, latest - timedelta(seconds=number)) for number in range(60)))
    once(lambda values: values.get(("day_archived_recordings", app)) == 60)
    monkeypatch.setattr(event_figures, "READ_WITHIN_S", -1.0)
    values = read()
    assert values["day_archived_recordings", app] <= 50
    assert values["day_window_seconds",] < 3600


# Prefect's server away


def test_a_server_that_is_away_is_a_plain_503() -> None:
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        answered = answer()
    assert (answered.status_code, answered.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert answered.text.startswith("Prefect's server does not tell its events")
    assert "127.0.0.1" not in answered.text


@pytest.mark.parametrize("others", [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"SSH-2.0-OpenSSH\r\n", b""])
def test_something_else_in_the_servers_place_is_a_503(others: bytes) -> None:
    with impersonating() as impostor, temporary_settings({PREFECT_API_URL: f"{impostor.origin}/api"}):
        impostor.answers = [others]
        assert answer().status_code == 503


def test_a_server_that_hangs_is_a_503_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "ANSWERED_WITHIN_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with temporary_settings({PREFECT_API_URL: url}):
            began = time.monotonic()
            assert answer().status_code == 503
            assert time.monotonic() - began < 10


def test_prefect_is_asked_only_when_somebody_asks_and_once_for_all_who_ask_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []
    original = PrefectClient.read_events

    async def counted(*args: Any, **options: Any) -> EventPage:
        asked.append(time.monotonic())
        return await original(*args, **options)

    monkeypatch.setattr(PrefectClient, "read_events", counted)

    async def ask() -> None:
        async with served() as client:
            assert not asked
            answers = await asyncio.gather(*(client.get("/metrics") for _ in range(8)))
            assert {answered.status_code for answered in answers} == {200}
            first = len(asked)
            assert (await client.get("/metrics")).status_code == 200
            assert len(asked) == first
            monkeypatch.setattr(metrics, "CACHED_S", 0.0)
            assert (await client.get("/metrics")).status_code == 200
            assert len(asked) > first

    asyncio.run(ask())


# The processes


def test_a_sweeps_process_that_fails_as_somebody_has_to_look_has_sent_its_figures(here: World) -> None:
    here.add(invoked_time=NOW - timedelta(days=6, hours=20), duration=0, file_size=1)
    command = [sys.executable, "-m", "flows.sweep_recordings"]
    environment = here.environment()
    done = subprocess.run(command, cwd=here.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (event,) = eventually(lambda: events(here, f"realtimekit.sweep.{here.kit.app_id}"), within_s=30)
    assert event["payload"]["at_risk"] == len(json.loads(done.stdout)["at_risk"]) == 1


def test_the_webhooks_process_offers_the_figures_on_this_machine_and_not_where_the_internet_comes_in(
    here: World,
) -> None:
    port = free_port()
    options = ("--metrics-port", str(port))
    url = f"http://127.0.0.1:{port}/metrics"
    with Signer() as signer, listening(here, signer, *options) as (process, address):
        accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}
        answered = httpx.get(url, headers=accept, timeout=30)
        assert answered.status_code == 200
        assert answered.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        parse: Any = openmetrics.text_string_to_metric_families
        assert "realtimekit_day_window_seconds" in {metric.name for metric in parse(answered.text)}
        assert httpx.get(f"{address}/metrics", timeout=30).status_code == 404
        with listening(here, signer, *options) as (second, other):
            assert httpx.get(f"{other}/health", timeout=30).is_success, "a port that is taken holds up no webhook"
            assert f"No figures for Prometheus: 127.0.0.1, port {port}" in (here.folder / "webhook.log").read_text()
            second.send_signal(signal.SIGTERM)
            assert second.wait(20) == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_while_the_figures_wait_for_prefect_webhooks_are_answered_and_the_process_ends_when_told_to(
    here: World,
) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as silent, Signer() as signer, ThreadPoolExecutor(1) as threads:
        prefect = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        options = ("--metrics-port", str(port))
        with listening(here, signer, *options, PREFECT_API_URL=prefect) as (process, address):
            waiting = threads.submit(httpx.get, f"http://127.0.0.1:{port}/metrics", timeout=30)
            asked, _ = silent.accept()
            assert httpx.get(f"{address}/health", timeout=5).is_success
            assert httpx.post(f"{address}/webhook", content=b"{}", timeout=5).status_code == 403
            assert not waiting.done()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert waiting.exception() or waiting.result().status_code == 503
            asked.close()
    assert "Traceback" not in (here.folder / "webhook.log").read_text()
