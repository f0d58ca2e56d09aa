"""The alarms, each once and for real: Prefect's server sends them to a webhook on loopback."""

from __future__ import annotations

import io
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import alarms as door
from flows.audit_archive import audit_archive
from flows.sweep_recordings import sweep_recordings
from tasks.engine import AT_RISK, LOST, SWEPT, WHOLE_LABEL
from tasks.errors import DamageFound, SweepIncomplete
from tasks.orchestration import alarm_receiver, alarm_rules, alarms
from tasks.orchestration.alarm_receiver import OURS
from tasks.orchestration.alarm_states import missing_alarms
from tasks.orchestration.prefect_checks import PrefectChecks
from tests.flows.duty import POOL, PrefectServer, asked
from tests.flows.test_audit_archive import archived, flip
from tests.flows.test_sweep_recordings import WEEK_H, aged
from tests.flows.world import eventually
from tests.support.chat import PATH, listening_chat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect.events.schemas.events import Event

    from tests.flows.world import World
    from tests.support.chat import Chat

IMGHDR = "ignore:'imghdr' is deprecated:DeprecationWarning"
"""Apprise loads the module."""
pytestmark = [pytest.mark.duty, pytest.mark.timeout(240), pytest.mark.filterwarnings(IMGHDR)]
Captured = pytest.CaptureFixture[str]

SOON, LATER = timedelta(seconds=10), timedelta(seconds=11)
"""Prefect allows no less than ten seconds."""
MISSING, STILL_MISSING = (f"No sweep of all recordings completed for {time.seconds} seconds" for time in (SOON, LATER))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    settings = {
        "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.1",
        "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "1",
        "PREFECT_UI_URL": "http://prefect.example.com",
    }
    with PrefectServer(tmp_path_factory.mktemp("server"), **settings) as running:
        yield running


@pytest.fixture
def on_duty(plain_here: World, server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """This very process, set up for a Prefect server with all of its services."""
    monkeypatch.setattr(alarms, "RELOAD_S", 0)  # the one process of this server is told at once
    monkeypatch.setenv("PREFECT_API_URL", server.api)
    with ExitStack() as stack:
        stack.enter_context(temporary_settings({PREFECT_API_URL: server.api}))
        with alarms.open_alarms() as (book, _):
            book.remove()
        yield replace(plain_here, prefect_api=server.api)
        EventsWorker.drain_all(timeout=10)


@pytest.fixture
def chat() -> Iterator[Chat]:
    with listening_chat() as listening:
        yield listening


def test_each_alarm_rings_once_and_says_what_to_do(
    on_duty: World, server: PrefectServer, chat: Chat, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(on_duty, "POST", "work_pools/", {"name": POOL, "type": "process"})
    heartbeat = {"name": "worker", "heartbeat_interval_seconds": 1}
    asked(on_duty, "POST", f"work_pools/{POOL}/workers/heartbeat", heartbeat)
    monkeypatch.setenv("ALARMS_TO", chat.url)
    assert door.main(["--test"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"The test message arrived at {OURS}."
    broken, key = archived(on_duty)
    flip(on_duty, key)
    with pytest.raises(DamageFound):
        audit_archive()
    recording = aged(on_duty, WEEK_H - 2, file_size=1)
    for _ in range(2):
        fail_to_sweep()
    recording.invoked_time -= timedelta(hours=4)
    recording.expired = True
    fail_to_sweep()
    told = {
        "This is a test": "Nothing is to be done",
        f"No worker polls the work pool {POOL}": f"uv run prefect worker start --pool {POOL}",
        f"The archive of {broken.id} is DAMAGED": f"python -m flows.archive_recording {broken.id} --overwrite",
        "The run audit of ": "uv run python -m flows.audit_archive",
        f"Recording {recording.id} of the app {on_duty.kit.app_id} is AT RISK": "python -m flows.archive_recording",
        f"Recording {recording.id} of the app {on_duty.kit.app_id} is LOST": "look for a copy",
        "The run sweep of ": "uv run python -m flows.sweep_recordings",
    }
    eventually(lambda: all(count_of(chat, begins) for begins in told))
    sweeps = {"event": {"name": [SWEPT]}, "resource": {"labels": {WHOLE_LABEL: ["yes"]}}}
    eventually(lambda: sum(bool(one["related"]) for one in on_duty.ask_prefect("events", filter=sweeps)["events"]) == 3)
    for begins, todo in told.items():
        texts = [text for text in chat.texts if text.startswith(begins)]
        assert len(texts) == 1, (begins, chat.texts)
        assert todo in texts[0]
        assert ("http://prefect.example.com/runs/flow-run/" in texts[0]) == begins.startswith(("The ", "Recording "))
    assert len(chat.texts) == len(told), chat.texts
    assert chat.paths == {PATH}
    shown = asked(on_duty, "POST", "automations/filter", {}), asked(on_duty, "POST", "block_documents/filter", {})
    assert "se%26cret" not in f"{shown} {(server.folder / 'server.log').read_text()}"


def count_of(chat: Chat, text: str) -> int:
    """Return how many messages hold a text."""
    return sum(text in told for told in chat.texts)


def send(*events: str) -> list[Event]:
    """Send events of a recording or a sweep, as a sweep does, and return them."""
    with alarms.open_alarms() as (_, client):
        return [
            alarms.send_event(client, event, f"realtimekit.{name}", name, {WHOLE_LABEL: "yes"})
            for event in events
            for name in ["sweep.app" if event == SWEPT else "recording.one"]
        ]


def automations(world: World) -> dict[str, Any]:
    """Return what the server has, by name."""
    return {one["name"]: one for one in asked(world, "POST", "automations/filter", {})}


def content(automation: dict[str, Any]) -> dict[str, Any]:
    """Return what an automation is made from."""
    return {name: automation[name] for name in ("name", "description", "enabled", "tags", "trigger", "actions")}


def fail_to_sweep() -> None:
    with pytest.raises(SweepIncomplete):
        sweep_recordings(sessions="none")


@pytest.mark.usefixtures("on_duty")
def test_a_missing_sweep_rings_once_and_later_again_and_a_restart_forgets_nothing(
    server: PrefectServer, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_alarms = alarm_rules.make_alarms
    monkeypatch.setattr(alarms, "make_alarms", lambda *_: make_alarms(SOON, LATER))
    monkeypatch.setenv("ALARMS_TO", chat.url)
    assert door.main(["--test"]) == 0  # by then, the server knows all alarms
    send(AT_RISK, SWEPT)
    eventually(lambda: count_of(chat, MISSING) and count_of(chat, STILL_MISSING))
    assert [count_of(chat, text) for text in ("AT RISK", MISSING, STILL_MISSING)] == [1, 1, 1]
    assert all("The last one completed at" in text for text in chat.texts if "sweep of all" in text)
    (swept,) = send(SWEPT)
    eventually(lambda: server.clocks_of(swept) == 2)  # both alarms of a missing sweep wait for the next one
    server.stop()
    server.start()
    send(AT_RISK, LOST)
    eventually(lambda: count_of(chat, MISSING) == 2 and count_of(chat, "LOST"))
    assert [count_of(chat, text) for text in ("AT RISK", "LOST", MISSING)] == [1, 1, 2]


def test_set_up_again_nothing_is_doubled_and_what_is_off_stays_off(
    on_duty: World, chat: Chat, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    with alarms.open_alarms() as (book, client):
        book.remove()
        assert missing_alarms(book.states()[0])
    assert door.main(["--test"]) == 1
    assert "There are no alarms" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{chat.url}\n"))
    assert door.main(["--to", "-"]) == 0
    first = automations(on_duty)
    double, changed = first["RealtimeKit: a run failed"], first["RealtimeKit: a recording is lost"]
    asked(on_duty, "POST", "automations/", content(double))
    mine = content(changed) | {"description": "Mine", "enabled": False}
    asked(on_duty, "PUT", f"automations/{changed['id']}", mine)
    capsys.readouterr()
    assert door.main([]) == 0
    assert sorted(line.partition(":")[0] for line in capsys.readouterr().out.splitlines()) == [
        "Corrected", "Removed, as it was there twice",
    ]  # fmt: skip
    assert automations(on_duty).keys() == first.keys()
    assert len(asked(on_duty, "POST", "automations/filter", {})) == len(first)
    assert door.main([]) == 0
    assert "already" in capsys.readouterr().out
    assert door.main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert "OFF  RealtimeKit: a recording is lost" in listed
    assert listed.count("\non ") + listed.startswith("on ") == len(first) - 1
    assert f"Sent to: {OURS}" in listed
    assert PrefectChecks().alarms().told == "turned off: RealtimeKit: a recording is lost"
    chat.status = 500
    monkeypatch.setattr(alarm_receiver, "_AGAIN", {})
    monkeypatch.setenv("ALARMS_TO", chat.url)
    assert door.main(["--test"]) == 1
    assert "error=500" in (failure := capsys.readouterr().err)
    assert "se%26cret" not in failure
    assert door.main(["--remove"]) == 0
    with alarms.open_alarms() as (_, client):
        assert automations(on_duty) == {}
        assert alarm_receiver.find_block(client, OURS) is None
