"""What a run lets go: the oldest first, no more than it may, and nothing that is held or not understood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.errors import PolicyInvalid
from tests.support.expiring import WHO, Expiring
from tests.support.meetings import Meeting, transcript

if TYPE_CHECKING:
    from tasks.retention import ExpiryReport


KNOWN = {"meeting": {"id": "board", "title": "Board"}}


def gone(report: ExpiryReport) -> list[str]:
    """Return the ids of the recordings that were deleted, or would be, in their order."""
    return [its.id for its in report.deleted if its.kind == "recording"]


def test_without_a_policy_nothing_expires_and_with_one_the_oldest_go_first_and_no_more_than_a_run_may(
    expiring: Expiring,
) -> None:
    oldest, older, young = (expiring.old(days) for days in (5.5, 4.5, 0.1))
    report = expiring.run()
    assert (report.policy_sha256, report.deleted, report.looked_at) == ("", (), 3)
    expiring.policy("keep_days = 2")
    assert gone(expiring.run(delete=False)) == [oldest.id, older.id]
    report = expiring.run(max_deletions=1)
    assert (gone(report), report.left) == ([oldest.id], 1)
    assert report.deleted[0].reason == "kept for more than 2 days, as the policy's default says"
    assert report.deleted[0].by == f"the policy of SHA-256 {report.policy_sha256[:16]}"
    assert gone(expiring.run()) == [older.id]
    assert expiring.run().deleted == ()
    assert "bagit.txt" in expiring.bench.names(young)


def test_a_hold_wins_over_age_and_over_a_request(expiring: Expiring) -> None:
    held, unknown, free = expiring.old(4, details=KNOWN), expiring.old(4), expiring.old(4, details=KNOWN)
    of_meeting = expiring.old(4, details={"meeting": {"id": "court"}})
    holds = f'[[holds]]\nrecording_id = "{held.id.upper()}"\nreason = "case 12"\n'
    holds += '[[holds]]\nmeeting_id = "court"\nreason = "case 13"'
    expiring.policy(f"keep_days = 1\n{holds}")
    report = expiring.run()
    assert {its.id: its.reason.partition(" by ")[0] for its in report.held} == {
        held.id: "held", of_meeting.id: "held", unknown.id: "may be held",
    }  # fmt: skip
    assert gone(report) == [free.id]
    report, problem = expiring.incomplete(recording_ids=(held.id,), **WHO)
    assert report.deleted == ()
    assert "held by recording_id" in problem
    assert "case 12" in problem


@pytest.mark.parametrize(
    "entry",
    [
        '[[holds]]\nrecording_id = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"\nreason = "case"',
        '[[holds]]\nmeeting_id = "m"\nreason = "case"',
        '[[rules]]\ntitle = "Boarb"\nkeep_days = "forever"',
        '[[rules]]\napp_id = "ap"\nkeep_days = 90',
    ],
)
def test_a_rule_or_a_hold_that_means_nothing_stops_all_unless_it_may(expiring: Expiring, entry: str) -> None:
    recording = expiring.old(4, details=KNOWN)
    before = expiring.rest()
    expiring.policy(f"keep_days = 1\n{entry}")
    with pytest.raises(PolicyInvalid, match="nothing in the archive is like that"):
        expiring.run()
    assert expiring.rest() == before
    expiring.policy(f"keep_days = 1\n{entry}\nmay_match_nothing = true")
    assert gone(expiring.run()) == [recording.id]


def test_a_meeting_is_known_by_its_session_too_and_a_session_without_recordings_goes_by_its_age(
    expiring: Expiring,
) -> None:
    bench = expiring.bench
    meeting, other = Meeting.at(bench, days_ago=4), Meeting.at(bench, days_ago=4)
    for its in (meeting, other):
        its.put("transcript", transcript("Hello"))
        bench.run().archived_session(its.id)
    expiring.policy(f'keep_days = 1\n[[rules]]\nmeeting_id = "{meeting.session.meeting_id}"\nkeep_days = 90')
    assert [(its.kind, its.id) for its in expiring.run().deleted] == [("session", other.id)]
    assert bench.stored_keys(other.folder) == []
    assert meeting.wrong() == []
