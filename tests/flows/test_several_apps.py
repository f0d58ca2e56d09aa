"""All apps of an account are archived, each in its own folder, and one that cannot be looked at stops no other."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flows import archive_recording, archive_session, sweep_recordings
from flows.doctor import examine
from tasks.engine import Engine
from tasks.errors import ApiRefused, SweepIncomplete
from tasks.sweep import Sweep, rows, summary
from tests.standins.realtimekit import (
    APP_ID,
    Answer,
    MediaSource,
    RealtimeKitStandIn,
    StandInDocument,
    StandInRecording,
    StandInSession,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.flows.world import World
    from tests.standins.requests import ApiRequest

REFUSED = Answer.failure(10000, "Authentication error", 403)
AWAY = Answer.failure(1, "unavailable", 503)


@pytest.fixture
def another(plain_here: World) -> Iterator[RealtimeKitStandIn]:
    """Another app of the same account."""
    with RealtimeKitStandIn(app_id="another") as kit:
        yield plain_here.kit.add_app(kit)


def add(kit: RealtimeKitStandIn, hours: float = 3, **of_recording: Any) -> StandInRecording:
    """Make a recording of an app known that was stopped so many hours ago."""
    invoked = datetime.now(UTC) - timedelta(hours=hours)
    video = MediaSource(b"vide\0" * 100)
    return kit.add(StandInRecording(str(uuid.uuid4()), video=video, duration=0, invoked_time=invoked, **of_recording))


def sweep(*app_ids: str, **parameters: Any) -> Sweep:
    return sweep_recordings.sweep(Engine(), app_ids=app_ids, **parameters)


def incomplete(*app_ids: str) -> tuple[str, Sweep]:
    """Sweep, and return how it failed, and its result."""
    with pytest.raises(SweepIncomplete) as raised:
        sweep(*app_ids)
    assert isinstance(raised.value.result, Sweep)
    return str(raised.value), raised.value.result


def folders(world: World) -> set[tuple[str, str]]:
    """Return the apps and the names of what is archived."""
    listed = world.store.client().list_objects_v2(Bucket=world.bucket).get("Contents", [])
    bags = [item["Key"].split("/") for item in listed if item["Key"].endswith("/bagit.txt")]
    return {(bag[1], bag[5]) for bag in bags}


def failing(app_id: str, answer: Answer) -> Callable[[ApiRequest], Answer | None]:
    """Return a script that lets all requests for one app fail; `apps` for the list of apps."""
    place = f"/kit/{app_id}/" if app_id != "apps" else "/kit/apps"
    return lambda request: answer if place in f"{request.path}{'' if app_id == 'apps' else '/'}" else None


def test_all_apps_that_the_account_lists_are_swept_and_new_ones_are_included(
    plain_here: World, another: RealtimeKitStandIn
) -> None:
    plain_here.kit.largest_page_of_apps = 1
    mine, theirs = add(plain_here.kit), add(another)
    assert {(one.app_id, one.recording_id) for one in sweep("*").archived} == {
        (APP_ID, mine.id),
        ("another", theirs.id),
    }
    with RealtimeKitStandIn(app_id="a-new-one") as new:
        latest = add(plain_here.kit.add_app(new))
        assert [one.recording_id for one in sweep("*").archived] == [latest.id]
    assert folders(plain_here) == {(APP_ID, mine.id), ("another", theirs.id), ("a-new-one", latest.id)}


def test_an_app_that_cannot_be_read_stops_no_other_and_fails_the_run(
    plain_here: World, another: RealtimeKitStandIn
) -> None:
    mine = add(plain_here.kit)
    add(another)
    plain_here.kit.api_faults = failing("another", REFUSED)
    message, result = incomplete("*")
    assert "1 apps that could not be looked at" in message
    assert "another (Cloudflare's API refused the request (HTTP 403" in message
    assert [one.recording_id for one in result.archived] == [mine.id]
    assert [one.app_id for one in result.apps_failed] == ["another"]
    assert rows(result)[0]["app"].strip() == "another"
    assert "1 apps failed" in summary(result)
    assert not result.sessions_overdue


def test_figures_of_all_apps_are_not_replaced_while_one_cannot_be_read(
    plain_here: World, another: RealtimeKitStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plain_here.folder / "figures"
    folder.mkdir()
    monkeypatch.setenv("METRICS_FOLDER", str(folder))
    add(another)
    plain_here.kit.api_faults = failing("another", REFUSED)
    incomplete("*")
    assert list(folder.iterdir()) == []
    plain_here.kit.api_faults = []
    sweep("*")
    assert list(folder.iterdir())


def test_apps_that_are_named_do_not_stop_each_other_either(plain_here: World, another: RealtimeKitStandIn) -> None:
    theirs = add(another)
    plain_here.kit.api_faults = failing(APP_ID, REFUSED)
    message, result = incomplete(APP_ID, "another")
    assert APP_ID in message
    assert [one.recording_id for one in result.archived] == [theirs.id]


def test_where_the_apps_cannot_be_listed_that_of_the_settings_and_those_named_are_swept_and_the_run_fails(
    plain_here: World, another: RealtimeKitStandIn
) -> None:
    mine, theirs = add(plain_here.kit), add(another)
    plain_here.kit.api_faults = failing("apps", REFUSED)
    message, result = incomplete("*", "another")
    assert "* (Cloudflare's API refused the request" in message
    assert {one.recording_id for one in result.archived} == {mine.id, theirs.id}


def test_where_no_app_can_be_looked_at_the_run_fails_as_for_one(plain_here: World, another: RealtimeKitStandIn) -> None:
    del another
    plain_here.kit.api_faults = lambda _: REFUSED
    with pytest.raises(ApiRefused):
        sweep("*")


def test_an_api_that_is_away_is_waited_for_once_and_not_for_each_app(
    plain_here: World, another: RealtimeKitStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.engine.RETRY_DELAYS_S", [0.0])
    monkeypatch.setenv("TRANSFER_PATIENCE", "0.2")
    monkeypatch.setenv("TASK_RETRIES", "3")
    mine = add(plain_here.kit)
    with RealtimeKitStandIn(app_id="third") as third:
        plain_here.kit.add_app(third)
        plain_here.kit.api_faults = lambda request: (
            AWAY if "/another/" in request.path or "/third/" in request.path else None
        )
        _, result = incomplete("another", "third", APP_ID)
    assert [one.recording_id for one in result.archived] == [mine.id]
    asked = [request.path.split("/")[7] for request in plain_here.kit.api_requests]
    assert (asked.count("another"), asked.count("third")) == (4, 1)
    del another


@pytest.mark.parametrize(
    "app_ids", [("*",), (APP_ID.replace("-", ""),), (APP_ID, APP_ID.replace("-", "").upper(), "*")]
)
def test_an_app_is_swept_once_and_in_its_folder_however_its_id_is_written(
    plain_here: World, app_ids: tuple[str, ...]
) -> None:
    mine = add(plain_here.kit)
    assert [(one.app_id, one.recording_id) for one in sweep(*app_ids).archived] == [(APP_ID, mine.id)]
    assert folders(plain_here) == {(APP_ID, mine.id)}


def test_an_app_that_the_list_names_otherwise_than_the_settings_keeps_the_folder_that_it_has(
    plain_here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_here.kit.largest_page_of_apps = 1
    written = APP_ID.replace("-", "")
    monkeypatch.setenv("REALTIMEKIT_APP_ID", written)
    with RealtimeKitStandIn(app_id=written) as kit:
        plain_here.kit.add_app(kit)  # the API knows an app by both
        mine = add(kit)
        assert [(one.app_id, one.recording_id) for one in sweep("*").archived] == [(written, mine.id)]


def test_an_app_that_is_listed_by_no_id_is_told_loudly(plain_here: World) -> None:
    mine = add(plain_here.kit)
    odd = Answer.json({"success": True, "data": [{"id": APP_ID}, {"id": "../x"}, {"name": "no id"}, {}]})
    plain_here.kit.api_faults = failing("apps", odd)
    message, result = incomplete("*")
    assert "../x (The account lists an app with an id that none can have)" in message
    assert [one.recording_id for one in result.archived] == [mine.id]


@pytest.mark.parametrize("data", ["apps", {"apps": []}, [1]])
def test_a_list_of_apps_that_is_none_hides_nothing(plain_here: World, data: object) -> None:
    add(plain_here.kit)
    plain_here.kit.api_faults = failing("apps", Answer.json({"success": True, "data": data}))
    message, result = incomplete("*")
    assert "* (" in message
    assert len(result.archived) == 1


def test_a_recording_of_another_app_is_archived_with_its_session_in_that_apps_folder(
    plain_here: World, another: RealtimeKitStandIn
) -> None:
    session = another.add_session(StandInSession(chat=StandInDocument(MediaSource(b"chat", "text/csv"))))
    recording = add(another, details={"session_id": session.id})
    archived = archive_recording.archive(Engine(), recording.id, app_id="another")
    assert "/pre/another/" in archived.archive_url
    assert "/pre/another/" in archived.session_url
    assert folders(plain_here) == {("another", recording.id), ("another", f"session-{session.id}")}


def test_a_session_of_another_app_is_archived_in_that_apps_folder(
    plain_here: World, another: RealtimeKitStandIn
) -> None:
    session = another.add_session(StandInSession(chat=StandInDocument(MediaSource(b"chat", "text/csv"))))
    archived = archive_session.archive(Engine(), session.id, app_id="another")
    assert "/pre/another/" in archived.archive_url
    assert folders(plain_here) == {("another", f"session-{session.id}")}


def test_the_app_of_the_settings_keeps_its_folder_however_the_parameter_writes_it(plain_here: World) -> None:
    recording = add(plain_here.kit)
    archive_recording.archive(Engine(), recording.id, app_id=APP_ID.replace("-", ""), session=False)
    assert folders(plain_here) == {(APP_ID, recording.id)}


def test_the_doctor_looks_at_each_app_that_it_is_given(another: RealtimeKitStandIn) -> None:
    add(another)
    findings = {finding.name: finding for finding in examine(lambda _: None, ("another", "none", APP_ID)).findings}
    assert findings["app"].told == f"{APP_ID}, my-first-app"
    message = "another, another-app; its recordings may be read; 1 UPLOADED and not expired"
    assert (findings["app 2"].status, findings["app 2"].told) == ("ok", message)
    assert (findings["app 3"].status, findings["app 3"].told) == ("failed", "none is none of the account's apps")
    assert findings["app 3"].advice.startswith(f"Correct the app's id. There are: {APP_ID} (my-first-app), another")
    assert "app 4" not in findings
