"""A sweep brings home what belongs to the sessions of recordings, whenever it comes, and says what never came."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.standins.realtimekit import Answer
from tests.support.auditing import audited
from tests.support.meddling import refusal
from tests.support.meetings import SUMMARY, Meeting, chat, transcript

if TYPE_CHECKING:
    from tasks.sweep.sessions import SessionSweep
    from tests.support.archiving import Archiving

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HELLO, CHAT = transcript("Hello"), chat("Hi")


def recorded(bench: Archiving, hours_ago: float = 2, **more: Any) -> Meeting:
    """Let a session with a recording begin so many hours ago."""
    meeting = Meeting.at(bench, days_ago=hours_ago / 24, **more)
    meeting.add_recording()
    return meeting


def sweep(bench: Archiving, later: timedelta = timedelta(0)) -> SessionSweep:
    return bench.run().swept_sessions(datetime.now(UTC) + later)


def requests(bench: Archiving) -> list[str]:
    """Return the paths that were asked for of sessions, without what stands before a session's id."""
    paths = [request.path for request in bench.kit.api_requests]
    return [path.partition("/sessions/")[2].partition("/")[2] or "details" for path in paths if "/sessions/" in path]


def asked(bench: Archiving, later: timedelta) -> list[str]:
    """Sweep, and return what was asked for of sessions."""
    before = len(requests(bench))
    sweep(bench, later)
    return requests(bench)[before:]


def test_what_comes_at_once_and_what_comes_late_is_archived_and_then_nothing_is_asked_any_more(
    bench: Archiving,
) -> None:
    meeting = recorded(bench)
    meeting.put("transcript", HELLO)
    first = sweep(bench)
    assert [it.session_id for it in first.archived] == [meeting.id]
    assert first.archived[0].archive_url.endswith("/v0001/")
    assert asked(bench, timedelta(minutes=5)) == []
    assert asked(bench, 5 * HOUR) == ["chat", "summary"]
    meeting.put("summary", SUMMARY)
    meeting.put("chat", CHAT, "chat.json", "application/json")
    (added,) = sweep(bench, 6 * DAY).archived
    assert added.archive_url.endswith("/v0002/")
    assert meeting.payload() == {
        "data/transcript.csv": HELLO,
        "data/chat.json": CHAT,
        "data/summary.md": SUMMARY,
    }
    assert meeting.wrong() == []
    assert asked(bench, 8 * DAY) == []


def test_what_never_came_is_stated_at_the_end_without_a_request(bench: Archiving) -> None:
    meeting = recorded(bench, settings={})
    meeting.put("transcript", HELLO)
    sweep(bench)
    assert asked(bench, 6 * DAY + 21 * HOUR) == ["chat", "summary"]
    before = len(requests(bench))
    (closed,) = sweep(bench, 7 * DAY).archived
    assert requests(bench)[before:] == []
    never = "never came within the 7 days that RealtimeKit keeps it."
    assert meeting.findings() == [f"The chat {never}", f"The summary {never}"]
    assert never in closed.reason
    assert meeting.payload() == {"data/transcript.csv": HELLO}
    assert b"display_name" in meeting.newest()["participants.json"]
    assert (
        "Mary" in meeting.newest()["participants.json"].decode() or meeting.newest()["participants.json"] != b"null\n"
    )
    assert meeting.wrong() == []
    assert sweep(bench, 8 * DAY).archived == []


def test_what_the_meetings_settings_ask_for_is_told_once_with_a_day_left_and_of_others_nothing_is(
    rclone: Archiving,
) -> None:
    expecting = recorded(rclone, settings={"transcribe_on_end": True, "summarize_on_end": False})
    recorded(rclone, settings={})
    assert sweep(rclone).overdue == []
    assert sweep(rclone, 5 * DAY).overdue == []
    (overdue,) = sweep(rclone, 6 * DAY + 12 * HOUR).overdue
    assert overdue.session_id == expecting.id
    assert overdue.reason == "The meeting's settings ask for transcript, and nothing has come."
    assert sweep(rclone, 6 * DAY + 13 * HOUR).overdue == []


def test_a_failure_stops_no_other_session_and_is_told_with_a_day_left(rclone: Archiving) -> None:
    broken, other = recorded(rclone), recorded(rclone, settings={})
    rclone.kit.api_faults = lambda request: Answer(400) if broken.id in request.path else None
    first = sweep(rclone)
    assert [it.session_id for it in first.failed] == [broken.id]
    assert [it.session_id for it in first.archived] == [other.id]
    assert asked(rclone, timedelta(minutes=5)) == []  # not in each sweep
    late = sweep(rclone, 6 * DAY + 12 * HOUR)
    assert [it.session_id for it in late.overdue] == [broken.id]
    assert [it.session_id for it in sweep(rclone, 6 * DAY + 12.5 * HOUR).overdue] == [broken.id]
    rclone.kit.api_faults = []
    assert [it.session_id for it in sweep(rclone, 6 * DAY + 20 * HOUR).archived] == [broken.id]


def test_a_token_that_may_read_no_session_is_tried_once_a_sweep(rclone: Archiving) -> None:
    for _ in range(3):
        recorded(rclone)
    rclone.kit.api_faults = lambda request: Answer(403) if "/sessions/" in request.path else None
    assert asked(rclone, timedelta(0)) == ["details"]
    assert sweep(rclone).archived == []


def test_a_session_that_is_still_live_is_no_failure_and_is_archived_after_its_end(rclone: Archiving) -> None:
    meeting = recorded(rclone, status="LIVE")
    first = sweep(rclone)
    assert (first.failed, first.archived) == ([], [])
    meeting.session.status = "ENDED"
    assert [it.session_id for it in sweep(rclone, 5 * HOUR).archived] == [meeting.id]


@pytest.mark.parametrize("content", [None, b"", b"null", b'{"version":1,"sessions":[]}', b'{"version":9}', b"\xff{"])
def test_without_what_earlier_sweeps_knew_sessions_are_asked_about_again_and_nothing_is_lost(
    rclone: Archiving, content: bytes | None
) -> None:
    meeting = recorded(rclone)
    meeting.put("transcript", HELLO)
    sweep(rclone)
    (key,) = rclone.stored_keys("archive/_sessions/")
    if content is None:
        rclone.s3.delete_object(Bucket=rclone.bucket, Key=key)
    else:
        rclone.s3.put_object(Bucket=rclone.bucket, Key=key, Body=content)
    before = meeting.versions()
    again = sweep(rclone)
    assert (again.failed, again.archived) == ([], [])
    assert meeting.versions() == before


def test_sessions_without_a_recording_are_archived_if_a_person_wants_all(rclone: Archiving) -> None:
    unrecorded = Meeting.at(rclone, days_ago=0.5)
    unrecorded.put("chat", CHAT, "chat.json", "application/json")
    now = datetime.now(UTC)
    assert rclone.run().swept_sessions(now).archived == []
    assert rclone.run().swept_sessions(now, "all", dry_run=True).archived == []
    assert unrecorded.versions() == {}
    assert [it.session_id for it in rclone.run().swept_sessions(now, "all").archived] == [unrecorded.id]


def test_an_audit_takes_no_notice_of_what_sweeps_know(rclone: Archiving) -> None:
    recorded(rclone)
    sweep(rclone)
    assert rclone.stored_keys("archive/_sessions/")
    assert not audited(rclone).notices


def test_a_session_that_the_api_does_not_know_is_told_once_and_nobody_has_to_look(rclone: Archiving) -> None:
    rclone.add(5000, invoked_time=datetime.now(UTC) - 6.5 * DAY, duration=0)
    first = sweep(rclone)
    assert (len(first.failed), first.overdue) == (1, [])
    again = sweep(rclone, 7 * HOUR)
    assert (again.failed, again.overdue) == ([], [])


def test_an_api_that_is_away_is_not_tried_with_each_session(rclone: Archiving) -> None:
    for _ in range(5):
        recorded(rclone)
    rclone.kit.api_faults = lambda request: Answer(503) if "/sessions/" in request.path else None
    assert len(rclone.run(patience_s=0.5).swept_sessions(datetime.now(UTC)).failed) == 3


def test_a_store_that_fails_is_told_loudly_and_hides_nothing_that_was_done(rclone: Archiving) -> None:
    meeting = recorded(rclone)

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "put_object" and "/_sessions/" in request["Key"]:
            raise refusal("AccessDenied", 403)
        return send()

    swept = rclone.run(meddle).swept_sessions(datetime.now(UTC))
    assert [it.session_id for it in swept.archived] == [meeting.id]
    assert swept.overdue[0].reason.startswith("The app's sessions could not be looked at. ")


def test_a_dry_run_asks_and_writes_nothing(rclone: Archiving) -> None:
    meeting = recorded(rclone)
    before = len(requests(rclone))
    dry = rclone.run().swept_sessions(datetime.now(UTC), dry_run=True)
    assert [it.session_id for it in dry.left] == [meeting.id]
    assert (requests(rclone)[before:], rclone.stored_keys()) == ([], [])


def test_what_sweeps_know_holds_no_name_and_no_url(rclone: Archiving) -> None:
    meeting = recorded(rclone, title="secret-title")
    meeting.put("transcript", HELLO)
    sweep(rclone)
    (key,) = rclone.stored_keys("archive/_sessions/")
    known = json.loads(rclone.objects()[key])
    assert known["sessions"][meeting.id].keys() == {"looked_at", "ended", "day", "awaited", "expected", "archived"}
