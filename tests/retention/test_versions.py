"""Older versions and locks of the store: gone where that may be, and told where it may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.standins.object_versions import ObjectVersions
from tests.support.expiring import WHO, Expiring
from tests.support.meddling import Meddled

if TYPE_CHECKING:
    from tests.standins.realtimekit import StandInRecording


def archived(expiring: Expiring, versions: ObjectVersions) -> StandInRecording:
    """Archive a recording in a bucket with versioning, which the door is led through, too."""
    expiring.through(Meddled(expiring.bench.s3, versions))
    recording = expiring.bench.add(100)
    expiring.bench.run(versions).archived(recording.id)
    assert versions.left(recording.id) > 5
    return recording


def test_all_versions_are_deleted_for_good_where_the_store_keeps_them(expiring: Expiring) -> None:
    versions = ObjectVersions()
    recording = archived(expiring, versions)
    deleted, *_ = expiring.run(recording_ids=(recording.id,), **WHO).deleted
    assert (deleted.state, deleted.remains) == ("deleted", ())
    assert (deleted.versions_deleted or 0) > 5
    assert versions.left(recording.id) == 0
    assert not [key for key, ids in versions.markers.items() if ids and "_deleted" not in key]


@pytest.mark.parametrize("refuses", ["versions", "list_object_versions"])
def test_versions_that_these_credentials_may_not_delete_or_list_are_told_and_no_deletion_is_claimed(
    expiring: Expiring, refuses: str
) -> None:
    versions = ObjectVersions(refuses=refuses)
    recording = archived(expiring, versions)
    report, problem = expiring.incomplete(recording_ids=(recording.id,), **WHO)
    assert {its.state for its in report.deleted} == {"hidden"}
    assert "older versions remain in the store" in problem
    stone = expiring.tombstone(expiring.bench.folder(recording))
    assert stone is not None
    assert (stone.state, stone.deleted_at) == ("hidden", None)
    report, _ = expiring.incomplete()  # again, and no claim either though nothing is visible any more
    assert {its.state for its in report.unfinished} == {"hidden"}
    versions.refuses = ""
    assert {its.state for its in expiring.run().unfinished} == {"deleted"}
    assert versions.left(recording.id) == 0
    assert expiring.begun() == []


def test_no_deletion_is_claimed_where_the_store_keeps_versions_and_does_not_list_them(expiring: Expiring) -> None:
    recording = archived(expiring, ObjectVersions(lists=False))
    report, problem = expiring.incomplete(recording_ids=(recording.id,), **WHO)
    assert {its.state for its in report.deleted} == {"hidden"}
    assert "the store keeps older versions, and does not list them" in problem


def test_what_a_lock_keeps_is_told_with_its_date_and_deleted_once_the_lock_is_over(expiring: Expiring) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    versions = ObjectVersions(locked_until=until)
    recording = archived(expiring, versions)
    report, problem = expiring.incomplete(recording_ids=(recording.id,), **WHO)
    assert f"until {until:%Y-%m-%d %H:%M} UTC" in problem
    (remains,) = report.deleted[0].remains
    assert (report.deleted[0].state, remains.until, remains.objects) == ("hidden", until, versions.left(recording.id))
    assert expiring.bench.names(recording) == set()
    held = expiring.run()  # nothing that could be done, and no failure
    assert {its.state for its in held.unfinished} == {"hidden"}
    stone = expiring.tombstone(expiring.bench.folder(recording))
    assert stone is not None
    over = stone.model_copy(
        update={"remains": (remains.model_copy(update={"until": datetime(2026, 1, 1, tzinfo=UTC)}),)}
    )
    assert stone.is_locked(datetime.now(UTC))
    assert not over.is_locked(datetime.now(UTC))


def test_a_lock_that_is_over_is_no_reason_why_versions_stay(expiring: Expiring) -> None:
    versions = ObjectVersions(refuses="versions", locked_until=datetime.now(UTC) - timedelta(days=1))
    recording = archived(expiring, versions)
    expiring.policy("keep_days = 1")
    for request in ({"recording_ids": (recording.id,), **WHO}, {}):  # what the policy lets go, too
        report, problem = expiring.incomplete(**request)
        entry = next(its for its in (*report.deleted, *report.unfinished) if its.id == recording.id)
        assert [remains.until for remains in entry.remains] == [None]
        assert "does not let an older version go (AccessDenied)" in problem


def test_a_hold_keeps_older_versions_of_a_recording_of_which_nothing_is_visible(expiring: Expiring) -> None:
    versions = ObjectVersions(refuses="versions")
    recording = archived(expiring, versions)
    expiring.incomplete(recording_ids=(recording.id,), **WHO)
    left = versions.left(recording.id)
    versions.refuses = ""
    expiring.policy(f'keep_days = 90\n[[holds]]\nrecording_id = "{recording.id}"\nreason = "case"')
    report = expiring.run()
    assert [its.id for its in report.held] == [recording.id]
    assert versions.left(recording.id) == left > 5
