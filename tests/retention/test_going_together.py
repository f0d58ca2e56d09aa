"""What goes together, and what stays together: a recording and the documents of its session, when something fails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.archive import revoke_tombstone
from tests.support.expiring import WHO, Expiring, keep_markers

if TYPE_CHECKING:
    from tests.support.meetings import Meeting


def test_documents_stay_in_later_runs_too_as_long_as_the_marker_of_their_recording_does(
    expiring: Expiring, meeting: Meeting
) -> None:
    recording = meeting.add_recording(after_s=0)
    expiring.bench.run().archived_with_session(recording.id)
    before = expiring.rest()
    keep_markers(expiring, recording.id)
    for request in ({"recording_ids": (recording.id,), **WHO}, {}):
        report, _ = expiring.incomplete(**request)
        assert {(its.id, its.state) for its in (*report.deleted, *report.unfinished)} == {
            (recording.id, "begun"), (meeting.id, "begun"),
        }  # fmt: skip
        assert expiring.rest() == before
    expiring.through(expiring.bench.s3)
    assert {(its.id, its.state) for its in expiring.run().unfinished} == {
        (recording.id, "deleted"), (meeting.id, "deleted"),
    }  # fmt: skip
    assert expiring.rest() == set()
    assert expiring.begun() == []


def test_documents_stay_with_a_recording_that_somebody_wants_back_before_its_marker_could_go(
    expiring: Expiring, meeting: Meeting
) -> None:
    recording = meeting.add_recording(after_s=0)
    expiring.bench.run().archived_with_session(recording.id)
    before = expiring.rest()
    keep_markers(expiring, recording.id)
    expiring.incomplete(recording_ids=(recording.id,), **WHO)
    expiring.through(expiring.bench.s3)
    revoke_tombstone(expiring.bench.run().store, "archive/", expiring.bench.folder(recording), datetime.now(UTC))
    assert expiring.run().unfinished == ()
    assert (expiring.rest(), expiring.begun()) == (before, [])


def test_a_session_that_tells_no_meeting_is_not_called_held_as_it_goes_with_its_recording(
    expiring: Expiring, meeting: Meeting
) -> None:
    recording = meeting.add_recording(after_s=0)
    recording.details = {**recording.details, "meeting": {"id": "m"}}
    expiring.bench.run().archived_with_session(recording.id)
    expiring.put(f"{meeting.folder}v0001/session.json", b"{}")
    expiring.policy('keep_days = 90\n[[holds]]\nmeeting_id = "court"\nreason = "case"\nmay_match_nothing = true')
    report = expiring.run(recording_ids=(recording.id,), participant_ids=("user-0",), **WHO)
    assert report.held == ()
    assert {its.id for its in report.deleted} == {recording.id, meeting.id}


def test_documents_stay_for_a_recording_without_a_day_too(expiring: Expiring, meeting: Meeting) -> None:
    first, second = meeting.add_recording(after_s=0), meeting.add_recording(after_s=10)
    for its in (first, second):
        expiring.bench.run().archived_with_session(its.id)
    folder = expiring.bench.folder(second)
    timeless = "/".join([*folder.split("/")[:2], "0000/00/00", second.id, ""])
    for key, content in expiring.bench.objects().items():
        if key.startswith(folder):
            expiring.put(key.replace(folder, timeless), content)
            expiring.bench.s3.delete_object(Bucket=expiring.bench.bucket, Key=key)
    report = expiring.run(recording_ids=(first.id,), **WHO)
    assert [its.id for its in report.deleted] == [first.id]
    assert report.notices == (f"session {meeting.id} is kept: its documents are those of a recording that stays, too",)
    report = expiring.run(participant_ids=("user-0",), **WHO)
    assert {its.id for its in report.deleted} == {second.id, meeting.id}
    assert expiring.bench.stored_keys(timeless) == []


def test_documents_that_are_to_come_are_archived_for_a_recording_of_days_before(
    expiring: Expiring, meeting: Meeting
) -> None:
    first, second = meeting.add_recording(after_s=0), meeting.add_recording(after_s=-3 * 86_400)
    for its in (first, second):
        expiring.bench.archived(its)
    report = expiring.run(recording_ids=(first.id,), **WHO)
    assert [its.id for its in report.deleted] == [first.id]
