"""What goes wrong with sessions costs a sweep no more than its time, and raises no alarm without a reason."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from tests.standins.realtimekit import Answer
from tests.support.meetings import SUMMARY, Meeting, transcript

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.standins.requests import ApiRequest
    from tests.support.archiving import Archiving

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Clock:
    """A timer that runs out when a test says so."""

    running: ClassVar[list[Clock]] = []

    def __init__(self, _seconds: float, call: Callable[[], None]) -> None:
        self.call = call

    def start(self) -> None:
        """Begin."""
        self.running.append(self)

    def cancel(self) -> None:
        """End."""
        self.running.remove(self)


def recorded(bench: Archiving, hours_ago: float, **more: Any) -> Meeting:
    """Let a session with a recording begin so many hours ago."""
    meeting = Meeting.at(bench, days_ago=hours_ago / 24, **more)
    meeting.add_recording()
    return meeting


def test_a_session_that_takes_too_long_is_ended_and_keeps_no_other_waiting_the_next_time(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, slow, last = (recorded(rclone, hours) for hours in (50, 40, 30))
    monkeypatch.setattr("tasks.session.Timer", Clock)

    def end(request: ApiRequest) -> Answer | None:
        if slow.id not in request.path:
            return None
        Clock.running[-1].call()
        return Answer(503, {"Retry-After": "60"})

    rclone.kit.api_faults = end
    now = datetime.now(UTC)
    result = rclone.run().swept_sessions(now)
    assert ([it.session_id for it in result.archived], result.failed) == ([first.id], [])
    rclone.kit.api_faults = []
    again = rclone.run().swept_sessions(now + HOUR)
    assert [it.session_id for it in again.archived] == [last.id, slow.id]


def test_a_chat_that_is_to_be_kept_for_long_need_not_exist(rclone: Archiving) -> None:
    settings = {"persist_chat": True, "transcribe_on_end": True, "summarize_on_end": False}
    meeting = recorded(rclone, 2, settings=settings)
    meeting.put("transcript", transcript("Hello"))
    silent = recorded(rclone, 2, settings=settings)
    now = datetime.now(UTC)
    rclone.run().swept_sessions(now)
    result = rclone.run().swept_sessions(now + 6 * DAY)
    assert [(it.session_id, it.reason) for it in result.overdue] == [
        (silent.id, "The meeting's settings ask for transcript, and nothing has come.")
    ]


def test_a_session_that_goes_on_for_hours_after_its_recording_is_archived_soon_after_its_end(rclone: Archiving) -> None:
    meeting, now = recorded(rclone, 13, status="LIVE"), datetime.now(UTC) - 11 * HOUR
    for hours in range(9):
        assert rclone.run().swept_sessions(now + hours * HOUR).archived == []
    meeting.session.status = "ENDED"
    meeting.put("summary", SUMMARY)
    assert len(rclone.run().swept_sessions(now + 10 * HOUR).archived) == 1


def test_participants_that_could_not_be_read_are_asked_for_again(rclone: Archiving) -> None:
    meeting, now = recorded(rclone, 2), datetime.now(UTC)
    rclone.kit.api_faults = lambda request: Answer(400) if "/participants" in request.path else None
    rclone.run().swept_sessions(now)
    assert meeting.findings()[-1] == "The participants could not be read."
    rclone.kit.api_faults = []
    assert len(rclone.run().swept_sessions(now + 5 * HOUR).archived) == 1
    assert b"Mary" in meeting.newest()["participants.json"]
    assert "The participants could not be read." not in meeting.findings()


def test_a_session_that_the_api_does_not_know_yet_is_asked_for_again(rclone: Archiving) -> None:
    meeting, now = recorded(rclone, 2), datetime.now(UTC)
    meeting.put("transcript", transcript("Hello"))
    rclone.kit.api_faults = lambda request: Answer.refusal(404, "?") if meeting.id in request.path else None
    assert [it.session_id for it in rclone.run().swept_sessions(now).failed] == [meeting.id]
    assert rclone.run().swept_sessions(now + HOUR).failed == []
    rclone.kit.api_faults = []
    assert [it.session_id for it in rclone.run().swept_sessions(now + 2 * HOUR).archived] == [meeting.id]


def test_the_sessions_of_the_last_of_very_many_apps_are_archived_too(rclone: Archiving) -> None:
    meeting, others = recorded(rclone, 2), [str(uuid.uuid4()) for _ in range(40)]
    swept = rclone.run().swept_sessions(datetime.now(UTC), before=others)
    assert [it.session_id for it in swept.archived] == [meeting.id]


def test_sessions_with_a_recording_are_archived_though_the_others_cannot_be_listed(rclone: Archiving) -> None:
    meeting = recorded(rclone, 2)
    rclone.kit.api_faults = lambda request: Answer(400) if request.path.endswith("/sessions") else None
    swept = rclone.run().swept_sessions(datetime.now(UTC), "all")
    assert [it.session_id for it in swept.archived] == [meeting.id]
    assert swept.overdue[0].reason.startswith("The app's sessions could not be looked at. ")


def test_what_nobody_foresaw_about_sessions_is_told_and_hides_nothing_of_the_recordings(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(rclone, 2)
    monkeypatch.setattr("tasks.sweep.sessions.due_sessions", lambda *_: 1 / 0)
    (overdue,) = rclone.run().swept_sessions(datetime.now(UTC)).overdue
    assert "ZeroDivisionError, which nobody foresaw." in overdue.reason


def test_what_a_sweep_has_stated_for_good_stays_as_it_is(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> None:
    meeting, now = recorded(rclone, 2), datetime.now(UTC)
    for days in (0, 6.88, 7):
        rclone.run().swept_sessions(now + days * DAY)
    stated = meeting.findings()
    assert "The chat never came within the 7 days that RealtimeKit keeps it." in stated
    monkeypatch.setattr("tasks.realtimekit.session_models.RETENTION", timedelta(0))
    assert rclone.run().archived_session(meeting.id).is_complete
    assert meeting.findings() == stated
