"""An audit counts a session once, whatever its versions, and reports each damaged version with its session."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tasks.audit import describe_unfinished, rows, summarize_damage, summary
from tests.support.auditing import audited
from tests.support.meddling import refusal
from tests.support.meetings import SUMMARY, Meeting, chat, transcript

if TYPE_CHECKING:
    from tests.support.archiving import Archiving
    from tests.support.auditing import Audited

HELLO = transcript("Hello")
TRANSCRIPT = "data/transcript.csv"
TWO_DAYS = timedelta(days=2)


def with_versions(bench: Archiving, count: int) -> Meeting:
    """Archive a session in so many versions, of which each holds the transcript."""
    meeting = Meeting.at(bench)
    come = [("transcript", HELLO), ("chat", chat("hi")), ("summary", SUMMARY)]
    for kind, content in come[:count]:
        meeting.put(kind, content)
        bench.run().archived_session(meeting.id)
    assert list(meeting.versions()) == list(range(1, count + 1))
    return meeting


def alter(meeting: Meeting, version: int) -> None:
    """Replace the transcript of a version by another one of the same size."""
    bench, key = meeting.bench, f"{meeting.folder}v{version:04}/{TRANSCRIPT}"
    bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=HELLO.replace(b"H", b"h"))


def delete(meeting: Meeting, version: int, name: str = "") -> None:
    """Delete a file of a version, or all of the version's files."""
    bench = meeting.bench
    for key in bench.stored_keys(f"{meeting.folder}v{version:04}/{name}"):
        bench.s3.delete_object(Bucket=bench.bucket, Key=key)


def of_sessions(found: Audited) -> list[tuple[str, int, bool, list[tuple[str, str]]]]:
    """Return the damaged versions: session, version, whether a newer one supersedes it, and what is wrong."""
    assert found.report.damaged == (), "no recording is damaged"
    return [
        (damage.session_id, damage.version, damage.superseded, [(f.kind, f.path) for f in damage.findings])
        for damage in found.report.damaged_sessions
    ]


def test_a_session_counts_once_whatever_its_versions_and_never_as_a_recording(rclone: Archiving) -> None:
    rclone.archived(rclone.add(1000))
    with_versions(rclone, 3)
    with_versions(rclone, 1)
    listed = audited(rclone, deep=False).report
    assert (listed.coverage.recordings, listed.coverage.never_reread) == (1, 1)
    assert (listed.sessions.sessions, listed.sessions.never_reread) == (2, 2)
    assert (listed.sessions.older_versions, listed.sessions.older_never_reread) == (2, 2)
    read = audited(rclone).report
    assert (read.reread, read.sessions_reread, read.older_versions_reread) == (1, 2, 2)
    assert (read.coverage.recordings, read.coverage.reread_within) == (1, 1)
    assert "All 1 recordings re-read within 31 days; oldest 0 days. All 2 sessions re-read within 31 days" in summary(
        read
    )
    assert "; 2 older versions. This audit re-read 1 recordings, 2 sessions, 2 older versions: " in summary(read)
    assert [row["outcome"] for row in rows(read)] == [str(read.coverage), str(read.sessions)]
    later = audited(rclone, deep=False, later=timedelta(days=40)).report
    assert later.sessions.reread_within == 0
    assert later.sessions.oldest_days == pytest.approx(40, abs=0.1)


def test_an_archive_of_sessions_alone_has_no_recording_and_is_not_empty(rclone: Archiving) -> None:
    with_versions(rclone, 2)
    found = audited(rclone)
    assert found.notices == set()
    assert summary(found.report).startswith("There is no recording. All 1 sessions re-read within 31 days")


def test_a_damaged_newest_version_is_as_loud_as_a_damaged_recording(rclone: Archiving) -> None:
    meeting = with_versions(rclone, 2)
    alter(meeting, 2)
    found = audited(rclone)
    assert of_sessions(found) == [(meeting.id, 2, False, [("altered", TRANSCRIPT)])]
    assert [damage.superseded for damage in found.told] == [False]
    message = summarize_damage(found.report)
    assert message.startswith(f"1 sessions damaged: session {meeting.id}, version 2 (")
    assert TRANSCRIPT in message
    assert "1 sessions DAMAGED" in summary(found.report)
    (row,) = rows(found.report)
    assert (row["outcome"], row["recording"]) == ("DAMAGED: altered", "")
    assert row["session"] == f"{meeting.id}, version 2"
    assert summarize_damage(audited(rclone, deep=False).report) == message.replace(
        f"; {found.report.damaged_sessions[0].to_do}",
        f"; found {found.report.damaged_sessions[0].found_at:%Y-%m-%d}, not looked at again yet; "
        f"{found.report.damaged_sessions[0].to_do}",
    )


def test_a_damaged_version_that_a_newer_one_supersedes_is_told_and_fails_nothing(rclone: Archiving) -> None:
    meeting = with_versions(rclone, 3)
    alter(meeting, 1)
    delete(meeting, 2, "session.json")
    found = audited(rclone)
    assert of_sessions(found) == [
        (meeting.id, 1, True, [("altered", TRANSCRIPT)]),
        (meeting.id, 2, True, [("missing", "session.json")]),
    ]
    assert {damage.superseded for damage in found.told} == {True}
    assert summarize_damage(found.report) == ""
    assert "2 older versions of sessions damaged" in summary(found.report)
    assert "DAMAGED" not in summary(found.report)
    assert [row["outcome"] for row in rows(found.report)] == [
        "older version damaged: altered", "older version damaged: missing",
    ]  # fmt: skip
    assert found.report.sessions.reread_within == 1, "the newest version was read, and is whole"


def test_damage_is_that_of_an_older_version_once_a_newer_one_is_committed(rclone: Archiving) -> None:
    meeting = with_versions(rclone, 1)
    alter(meeting, 1)
    assert summarize_damage(audited(rclone).report)
    meeting.put("summary", SUMMARY)
    rclone.run().archived_session(meeting.id)
    found = audited(rclone, deep=False)
    assert of_sessions(found) == [(meeting.id, 1, True, [("altered", TRANSCRIPT)])]
    assert summarize_damage(found.report) == ""


def test_what_the_table_says_makes_a_damaged_session_whole_again(rclone: Archiving) -> None:
    meeting = with_versions(rclone, 2)
    alter(meeting, 2)
    (damaged,) = audited(rclone).report.damaged_sessions
    assert damaged.to_do.endswith(f"are moved away: uv run python -m flows.archive_session {meeting.id}")
    delete(meeting, 2, TRANSCRIPT)
    assert rclone.run().archived_session(meeting.id).version == 3
    found = audited(rclone)
    assert of_sessions(found) == [(meeting.id, 2, True, [("missing", TRANSCRIPT), ("miscounted", "data/")])]
    assert summarize_damage(found.report) == ""


@pytest.mark.parametrize("name", ["bagit.txt", ""])
def test_a_version_that_is_lost_is_loud_unless_a_newer_one_is_committed(rclone: Archiving, name: str) -> None:
    meeting = with_versions(rclone, 3)
    audited(rclone)
    delete(meeting, 1, name)
    assert of_sessions(audited(rclone, deep=False, later=TWO_DAYS)) == [(meeting.id, 1, True, [("missing", name)])]
    delete(meeting, 3, name)
    found = audited(rclone, deep=False, later=TWO_DAYS)
    assert of_sessions(found)[-1] == (meeting.id, 3, False, [("missing", name)])
    assert f"{meeting.id}, version 3" in summarize_damage(found.report)
    assert found.report.sessions.sessions == 1, "the version before is the newest committed one now"


def test_a_version_that_cannot_be_read_is_told_with_its_session(rclone: Archiving) -> None:
    meeting = with_versions(rclone, 2)

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and request["Key"].endswith(f"v0002/{TRANSCRIPT}"):
            raise refusal("AccessDenied", 403)
        return send()

    found = audited(rclone, meddle)
    assert (found.findings, found.report.unread) == ({}, ())
    (unread,) = found.report.unread_sessions
    assert (unread.session_id, unread.version) == (meeting.id, 2)
    assert f"1 versions of sessions cannot be read: {meeting.id}, version 2 (" in describe_unfinished(found.report)
    assert "1 could not be read" in summary(found.report)
    assert [row["session"] for row in rows(found.report)] == [f"{meeting.id}, version 2"]


def test_recordings_and_newest_versions_are_read_before_versions_that_are_superseded(rclone: Archiving) -> None:
    meeting, recording = with_versions(rclone, 3), rclone.add(1000)
    rclone.archived(recording)
    turns = [audited(rclone, size=1).reread for _ in range(4)]
    name = f"session-{meeting.id}"
    assert turns[0] | turns[1] == {recording.id, f"{name}/v0003"}
    assert turns[2:] == [{f"{name}/v0001"}, {f"{name}/v0002"}]
