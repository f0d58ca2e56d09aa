"""What the rest of the house makes of a deletion: audit, catalog, restore, library and sweep know that it was meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tasks.archive import open_bag
from tasks.errors import DeletedOnPurpose
from tasks.library.bag_download import zip_bag
from tests.support.auditing import audited, audited_by
from tests.support.cataloguing import rows, sessions, update
from tests.support.expiring import WHO, Expiring
from tests.support.restoring import restored

if TYPE_CHECKING:
    from pathlib import Path

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving
    from tests.support.meetings import Meeting

TWO_DAYS = timedelta(days=2)


@pytest.fixture
def recording(rclone: Archiving, meeting: Meeting) -> StandInRecording:
    recording = meeting.add_recording(after_s=0)
    rclone.run().archived_with_session(recording.id)
    return recording


def test_an_audit_takes_a_deletion_for_none_of_its_damage_and_tells_of_one_that_is_not_finished(
    expiring: Expiring, recording: StandInRecording
) -> None:
    bench = expiring.bench
    other = expiring.old(1)
    audited(bench)
    before = bench.objects()
    expiring.run(recording_ids=(recording.id,), **WHO)
    done = audited_by(bench.run(), later=TWO_DAYS)
    assert (done.findings, done.told, done.notices) == ({}, [], set())
    assert done.reread == {other.id}
    for key, content in before.items():
        if recording.id in key and not key.endswith(("/bagit.txt", ".vtt", ".txt")):
            expiring.put(key, content)  # as if a run had been killed in the middle of it
    expiring.put(f"archive/_deleted/_begun/{bench.folder(recording).removeprefix('archive/').rstrip('/')}")
    stone = expiring.tombstone(bench.folder(recording))
    assert stone is not None
    begun = stone.model_copy(update={"state": "begun", "deleted_at": None})
    expiring.put(f"archive/_deleted/{begun.folder.rstrip('/')}.json", begun.model_dump_json().encode())
    half = audited_by(bench.run(), later=2 * TWO_DAYS)
    assert (half.findings, half.told) == ({}, [])
    assert half.notices == {"deletion not finished"}
    (notice,) = half.report.notices  # of the recording alone
    assert "deletion begun on" in notice.detail
    assert "by Kim: asked for" in notice.detail


def test_the_catalog_forgets_a_deleted_recording_and_who_took_part(
    expiring: Expiring, meeting: Meeting, recording: StandInRecording
) -> None:
    other = expiring.old(1)
    update(expiring.bench)
    assert rows(expiring.bench)[recording.id]["participants"] == ["Mary 0", "Mary 1"]
    folder = expiring.bench.folder(recording)
    expiring.run(recording_ids=(recording.id,), **WHO)
    update(expiring.bench, archive_url=f"s3://{expiring.bench.bucket}/{folder}")  # as the event of it asks for
    assert rows(expiring.bench).keys() == {other.id}
    assert sessions(expiring.bench) == []
    assert meeting.id not in str(rows(expiring.bench))


def test_whoever_wants_it_back_is_told_when_and_why_it_was_deleted(
    expiring: Expiring, recording: StandInRecording, tmp_path: Path
) -> None:
    bench = expiring.bench
    expiring.run(recording_ids=(recording.id,), **WHO)
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    (bag,) = restored(bench, tmp_path, recording).bags
    assert [(its.kind, its.detail) for its in bag.problems] == [
        ("not archived", f"deleted on purpose on {today} by Kim: asked for")
    ]
    folder, store = bench.folder(recording), bench.run().store
    with pytest.raises(DeletedOnPurpose, match=f"on {today} by Kim: asked for"):
        open_bag(store, f"s3://{bench.bucket}/archive", f"s3://{bench.bucket}/{folder}", recording.id)
    with pytest.raises(DeletedOnPurpose):
        zip_bag(store, folder, "name")
    plan = bench.run().planned(datetime.now(UTC) + timedelta(days=8))  # its seven days are over
    assert [listed.id for listed, _ in plan.deleted] == [recording.id]
    assert plan.lost == ()
