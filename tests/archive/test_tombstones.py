"""What was deleted on purpose does not come home again, unless a person asks for it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import Tombstone, find_tombstone, tombstone_key, write_tombstone
from tasks.errors import DeletedOnPurpose, TombstoneUnreadable
from tasks.pipeline import Options, archive_recording
from tests.support.meddling import Between
from tests.support.meetings import Meeting, transcript

if TYPE_CHECKING:
    from tests.support.archiving import Archiving

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def bury(bench: Archiving, folder: str, kind: Any = "recording") -> Tombstone:
    """Write a tombstone for what lies in a folder, below the root."""
    below = folder.removeprefix("archive/")
    its_id = below.split("/")[-2].removeprefix("session-")
    tombstone = Tombstone(
        kind=kind, id=its_id, app_id=below.split("/")[0], folder=below, state="deleted", cause="request",
        reason="asked for", by="Kim", begun_at=NOW, deleted_at=NOW,
    )  # fmt: skip
    write_tombstone(bench.run().store, "archive/", tombstone)
    return tombstone


def test_a_deleted_recording_is_archived_neither_by_hand_nor_by_a_sweep_and_is_not_lost_either(
    rclone: Archiving,
) -> None:
    recording, other = rclone.add(100), rclone.add(100)
    bury(rclone, rclone.folder(recording))
    with pytest.raises(DeletedOnPurpose, match=r"on 2026-11-24 by Kim: asked for.*--despite-deletion"):
        rclone.archived(recording)
    with pytest.raises(DeletedOnPurpose):
        rclone.archived(recording, overwrite=True)
    plan = rclone.run().planned(datetime.now(UTC))
    assert [listed.id for listed in plan.to_archive] == [other.id]
    assert [(listed.id, known) for listed, known in plan.deleted] == [
        (recording.id, "deleted on purpose on 2026-11-24 by Kim: asked for")
    ]
    assert plan.lost == plan.not_downloadable == ()
    assert rclone.names(recording) == set()


def test_whoever_asks_for_it_all_the_same_gets_it_and_the_tombstone_says_so(rclone: Archiving) -> None:
    recording = rclone.add(100)
    bury(rclone, rclone.folder(recording))
    with closing(rclone.run()._session()) as session:
        assert archive_recording(session, recording.id, Options(despite_deletion=True)).transferred is not None
    tombstone = find_tombstone(rclone.run().store, rclone.folder(recording))
    assert tombstone is not None
    assert (tombstone.state, tombstone.is_in_force) == ("revoked", False)
    assert rclone.archived(recording).already_archived


@pytest.mark.parametrize("number", range(1, 8))
def test_a_deletion_that_comes_between_any_two_writes_of_a_run_leaves_no_bag(rclone: Archiving, number: int) -> None:
    recording = rclone.add(100)
    between = Between(number, lambda: bury(rclone, rclone.folder(recording)))
    if number == 7:  # the marker is the sixth write, and nothing is written after it
        rclone.run(between).archived(recording.id)
        assert not between.happened
        return
    with pytest.raises(DeletedOnPurpose):
        rclone.run(between).archived(recording.id)
    assert "bagit.txt" not in rclone.names(recording)


def test_a_tombstone_that_nobody_can_read_lets_nothing_be_archived_and_says_where_it_is(rclone: Archiving) -> None:
    recording = rclone.add(100)
    key = tombstone_key(rclone.folder(recording))
    rclone.s3.put_object(Bucket=rclone.bucket, Key=key, Body=b'{"format": 2}')
    with pytest.raises(TombstoneUnreadable, match=rf"{key}.*format"):
        rclone.archived(recording)


def test_a_deleted_sessions_documents_are_not_archived_again_but_the_recording_is(rclone: Archiving) -> None:
    meeting = Meeting.at(rclone)
    recording = meeting.add_recording(after_s=0)
    meeting.put("transcript", transcript("Hello"))
    bury(rclone, meeting.folder, "session")
    outcome = rclone.run().archived_with_session(recording.id)
    assert "was deleted on purpose" in outcome.failure
    assert rclone.stored_keys(meeting.folder) == []
    assert "bagit.txt" in rclone.names(recording)
    with pytest.raises(DeletedOnPurpose):
        rclone.run().archived_session(meeting.session.id)
    assert rclone.run().swept_sessions(datetime.now(UTC)).failed == []
    archived = rclone.run().archived_session(meeting.session.id, despite_deletion=True)
    assert archived.version == 1
    assert rclone.run().archived_session(meeting.session.id).version == 1
