"""A hold wins in every path: over requests, over what has begun, and for what a held recording shares with others."""

from __future__ import annotations

import pytest

from tasks.errors import PolicyInvalid
from tests.support.expiring import WHO, Expiring, keep_markers
from tests.support.meetings import Meeting, transcript

COURT = {"meeting": {"id": "0a1b2c3d-6e1a-4fe4-a799-aa6d9a6ab26e"}}
HOLD = f'keep_days = 90\n[[holds]]\nmeeting_id = "{COURT["meeting"]["id"]}"\nreason = "case"'


def test_a_hold_of_a_meeting_wins_over_a_deletion_that_began_before_it(expiring: Expiring) -> None:
    recording = expiring.old(1, details=COURT)
    keep_markers(expiring, recording.id)
    expiring.incomplete(recording_ids=(recording.id,), **WHO)
    expiring.through(expiring.bench.s3)
    before = expiring.rest()
    expiring.policy(HOLD)
    report = expiring.run()
    assert [its.id for its in report.held] == [recording.id]
    assert expiring.rest() == before


def test_a_sessions_documents_stay_for_a_recording_that_is_held_since_their_deletion_began(expiring: Expiring) -> None:
    meeting = Meeting.at(expiring.bench)
    meeting.put("transcript", transcript("Hello"))
    recording = meeting.add_recording(after_s=10)
    expiring.bench.run().archived_with_session(recording.id)
    keep_markers(expiring, recording.id)
    expiring.incomplete(recording_ids=(recording.id,), **WHO)
    expiring.through(expiring.bench.s3)
    expiring.policy(f'keep_days = 90\n[[holds]]\nrecording_id = "{recording.id}"\nreason = "case"')
    report = expiring.run()
    assert {its.id for its in report.held} == {recording.id, meeting.id}
    assert meeting.wrong() == []
    assert meeting.versions()


def test_a_meetings_id_in_capitals_holds_what_a_request_asks_for(expiring: Expiring) -> None:
    recording = expiring.old(1, details=COURT)
    expiring.policy(HOLD.replace(COURT["meeting"]["id"], COURT["meeting"]["id"].upper()))
    report, _ = expiring.incomplete(recording_ids=(recording.id,), **WHO)
    assert [its.id for its in report.held] == [recording.id]
    assert "bagit.txt" in expiring.bench.names(recording)


def test_a_hold_that_means_nothing_stops_a_request_too(expiring: Expiring) -> None:
    recording = expiring.old(1, details=COURT)
    expiring.policy(HOLD.replace("0a1b2c3d", "0a1b2c3e"))
    before = expiring.rest()
    with pytest.raises(PolicyInvalid, match="nothing in the archive is like that"):
        expiring.run(recording_ids=(recording.id,), **WHO)
    assert expiring.rest() == before


def test_a_held_recordings_documents_stay_though_another_recording_of_the_session_was_half_deleted(
    expiring: Expiring,
) -> None:
    meeting = Meeting.at(expiring.bench)
    meeting.put("transcript", transcript("Hello"))
    first, second = meeting.add_recording(after_s=10), meeting.add_recording(after_s=20)
    expiring.bench.run().archived_with_session(first.id)
    expiring.run(recording_ids=(first.id,), **WHO)
    expiring.bench.run().archived_with_session(second.id)
    folder = expiring.bench.folder(first)
    stone = expiring.tombstone(folder)
    of_session = expiring.tombstone(meeting.folder)
    assert stone is not None
    assert of_session is not None
    below = stone.folder.rstrip("/")
    begun = stone.model_copy(update={"state": "begun", "with_sessions": (of_session.folder,)})
    expiring.put(f"archive/_deleted/{below}.json", begun.model_dump_json().encode())
    expiring.put(f"archive/_deleted/_begun/{below}")  # as if a run had been killed
    bag = f"{meeting.folder}v0001/"
    expiring.put(f"{bag}bagit.txt")
    expiring.policy(f'keep_days = 90\n[[holds]]\nrecording_id = "{second.id}"\nreason = "case"')
    report = expiring.run()
    assert "bagit.txt" in expiring.bench.names(second)
    assert f"{bag}bagit.txt" in expiring.bench.stored_keys(bag)
    assert [its.id for its in report.held] == [meeting.id]
