"""Tombstones that are not what they should be delete nothing, and keep nobody's recordings from the archive."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.archive import tombstone_key
from tasks.errors import TombstoneUnreadable
from tests.support.expiring import WHO, Expiring, keep_markers


@pytest.mark.parametrize("scope", ["another", "app", "no slash", "sessions"])
def test_a_tombstone_that_names_another_folder_than_its_own_deletes_nothing_there(
    expiring: Expiring, scope: str
) -> None:
    gone, other = expiring.old(1), expiring.old(1)
    expiring.run(recording_ids=(gone.id,), **WHO)
    folder = expiring.bench.folder(gone).removeprefix("archive/")
    stone = expiring.tombstone(f"archive/{folder}")
    assert stone is not None
    others = expiring.bench.folder(other).removeprefix("archive/")
    app = f"{folder.partition('/')[0]}/"
    updates: dict[str, dict[str, object]] = {
        "another": {"folder": others},
        "app": {"folder": app},
        "no slash": {"folder": folder.rstrip("/")[:-12]},
        "sessions": {"with_sessions": (app, others)},
    }
    wrong = stone.model_copy(update={"state": "begun"} | updates[scope])
    expiring.put(f"archive/_deleted/{folder.rstrip('/')}.json", wrong.model_dump_json().encode())
    expiring.put(f"archive/_deleted/_begun/{folder.rstrip('/')}")
    before = expiring.rest()
    report, problem = expiring.incomplete()
    assert (report.deleted, report.unfinished, len(report.failed)) == ((), (), 1)
    assert f"_deleted/{folder.rstrip('/')}.json" in problem
    assert expiring.rest() == before


def test_an_unfinished_deletion_whose_tombstone_cannot_be_read_keeps_no_other_from_being_finished(
    expiring: Expiring,
) -> None:
    unreadable, other, old = (expiring.bench.folder(expiring.old(days)) for days in (1, 1, 100))
    keep_markers(expiring, "")
    for folder in (unreadable, other):
        expiring.incomplete(recording_ids=(folder.split("/")[-2],), **WHO)
    expiring.through(expiring.bench.s3)
    expiring.put(tombstone_key(unreadable), b"{")
    expiring.policy("keep_days = 30")
    report, problem = expiring.incomplete()
    assert tombstone_key(unreadable) in problem
    finished = {its.id for its in (*report.unfinished, *report.deleted) if its.state == "deleted"}
    assert {folder.split("/")[-2] for folder in (other, old)} <= finished
    assert {key.rpartition("/data/")[0] for key in expiring.rest() if "/data/" in key} == {unreadable.rstrip("/")}
    assert (expiring.bench.stored_keys(other), expiring.bench.stored_keys(old)) == ([], [])


@pytest.mark.parametrize("content", [b"", b"{", b'{"format": 2}'])
def test_a_tombstone_that_cannot_be_read_keeps_no_other_recording_from_the_archive(
    expiring: Expiring, content: bytes
) -> None:
    bench = expiring.bench
    unreadable, other = bench.add(100), bench.add(100)
    expiring.put(f"archive/_deleted/{bench.folder(unreadable).removeprefix('archive/').rstrip('/')}.json", content)
    plan = bench.run().planned(datetime.now(UTC))
    assert other.id in [listed.id for listed in plan.to_archive]
    with pytest.raises(TombstoneUnreadable):
        bench.archived(unreadable)
