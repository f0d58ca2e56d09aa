"""What goes together, and what stays together: a recording and the documents of its session, when something fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.expiring import WHO, Expiring, keep_markers
from tests.support.meetings import Meeting, transcript

if TYPE_CHECKING:
    from tests.support.archiving import Archiving


@pytest.fixture
def expiring(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> Expiring:
    return Expiring(rclone, monkeypatch)


@pytest.fixture
def meeting(rclone: Archiving) -> Meeting:
    meeting = Meeting.at(rclone)
    meeting.put("transcript", transcript("Hello"))
    return meeting


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
