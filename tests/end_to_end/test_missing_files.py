"""A file that the API names without a URL keeps the others from being an archive, and not from being safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.errors import NothingToDownload
from tests.standins.realtimekit import MediaSource, StandInRecording, SyntheticContent
from tests.support.archiving import Archiving, payload
from tests.support.bags import bag_of, stored_payload

if TYPE_CHECKING:
    from pathlib import Path


def with_one_missing(bench: Archiving) -> StandInRecording:
    """Return a recording of ten tracks, one of several parts, of which the API hands out nine."""
    sizes = {f"{number}.webm": 1000 + number for number in range(9)} | {"9.webm": bench.part + 9}
    tracks = {name: MediaSource(SyntheticContent(size, seed=size), "video/webm") for name, size in sizes.items()}
    return bench.add(tracks={"default": tracks}, file_size=None, without_url=["default/3.webm"])


def test_the_others_are_stored_but_not_committed_and_the_next_run_needs_only_what_was_missing(
    bench: Archiving, tmp_path: Path
) -> None:
    recording = with_one_missing(bench)
    with pytest.raises(
        NothingToDownload, match=r"tracks/default/3\.webm.* 9 other files are stored in s3://"
    ) as raised:
        bench.archived(recording)
    assert not raised.value.retryable
    names = bench.names(recording)
    assert {name for name in names if name.startswith("data/")} == {
        f"data/tracks/default/{number}.webm" for number in range(10) if number != 3
    }
    assert "bagit.txt" not in names
    assert bench.uploads() == []
    recording.without_url = ()
    run = bench.run()
    run.archived(recording.id)
    assert set(+run.counted.read) == {"data/tracks/default/3.webm"}
    assert stored_payload(bag_of(bench, tmp_path)) == sorted(payload(recording).values())
    assert bench.left_over() == []


def test_a_person_may_archive_the_others_and_the_bag_says_what_is_missing_until_it_is_overwritten(
    bench: Archiving, tmp_path: Path
) -> None:
    recording = with_one_missing(bench)
    partial = bench.archived(recording, partial=True)
    missing = "tracks/default/3.webm is missing: the API hands out no usable URL for it."
    assert (len(partial.files), partial.findings[-1]) == (9, missing)
    assert f"Archive-Finding: {missing}\n" in (bag_of(bench, tmp_path / "partial") / "bag-info.txt").read_text()
    assert bench.archived(recording).findings == partial.findings
    recording.without_url = ()
    whole = bench.archived(recording, overwrite=True)
    assert (len(whole.files), missing in whole.findings) == (10, False)
    assert bench.left_over() == []


def test_an_archive_is_not_overwritten_while_a_file_is_missing_and_nothing_is_moved_for_it(rclone: Archiving) -> None:
    recording = with_one_missing(rclone)
    missing, recording.without_url = recording.without_url, ()
    whole = rclone.archived(recording)
    recording.without_url = missing
    asked = len(rclone.kit.file_requests)
    with pytest.raises(NothingToDownload, match=r"3\.webm"):
        rclone.archived(recording, overwrite=True)
    assert len(rclone.kit.file_requests) == asked
    assert rclone.archived(recording).files == whole.files
    assert rclone.left_over() == []


def test_a_whole_archive_that_another_run_has_committed_meanwhile_counts(rclone: Archiving) -> None:
    recording = with_one_missing(rclone)
    run = rclone.run()
    moved = run.move(recording.id)
    missing, recording.without_url = recording.without_url, ()
    whole = rclone.archived(recording)
    recording.without_url = missing
    assert run.commit(recording.id, moved).files == whole.files
