"""Two runs of one recording at once, whatever gets in between what: one valid archive, and nothing left over."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from itertools import count
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive.bag import parse_manifest
from tasks.archive.models import StoredFile
from tasks.errors import RetryableError, UploadVanished
from tasks.transfer.models import UploadedFile
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.archiving import Archiving, Run, payload
from tests.support.auditing import audited
from tests.support.bags import bag_of, key_of, stored_payload
from tests.support.meddling import Between

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.standins.realtimekit import StandInRecording

EVERY = {"rclone": 3, "swift": 8}
"""Which writes are tried, each pair of runs beginning with another one: all of them would last for minutes."""
NORMAL, OVERWRITE = False, True


def tried(run: Callable[[], Run], recording: StandInRecording, *, overwrite: bool) -> None:
    """Archive with a few retries, as Prefect's tasks do."""
    for _ in range(3):
        try:
            run().archived(recording.id, overwrite=overwrite)
        except RetryableError:
            continue
        return
    run().archived(recording.id, overwrite=overwrite)


def assert_one_whole_archive(bench: Archiving, recording: StandInRecording) -> None:
    found = bench.archived(recording)
    assert found.already_archived
    folder = bench.folder(recording)
    bodies = {file.path: bench.s3.get_object(Bucket=bench.bucket, Key=folder + file.path) for file in found.files}
    assert sorted(body["Body"].read() for body in bodies.values()) == sorted(payload(recording).values())
    assert {file.sha256 for file in found.files} == {source.sha256() for source in recording.files().values()}
    assert bench.left_over() == []


@pytest.mark.parametrize("second", [NORMAL, OVERWRITE], ids=["normal-within", "overwrite-within"])
@pytest.mark.parametrize("first", [NORMAL, OVERWRITE], ids=["normal", "overwrite"])
@pytest.mark.parametrize("store", ["rclone", "swift"])
def test_a_whole_run_between_any_two_writes_of_another_does_no_harm(
    request: pytest.FixtureRequest, store: str, *, first: bool, second: bool
) -> None:
    bench: Archiving = request.getfixturevalue(store)
    every, begin = EVERY[store], 1 + (2 * first + second) % EVERY[store]
    for number in count(begin, every):
        recording = bench.add(bench.part + 1)
        if first is OVERWRITE:
            bench.archived(recording)

        def another_run(recording: StandInRecording = recording) -> None:
            bench.archived(recording, overwrite=second)

        between = Between(number, another_run)
        bench.run(between, concurrency=1).archived(recording.id, overwrite=first)
        assert_one_whole_archive(bench, recording)
        if not between.happened:
            break
    assert number > 5 + begin


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("overwrites", [(NORMAL, NORMAL), (NORMAL, OVERWRITE), (OVERWRITE, OVERWRITE)], ids=str)
def test_two_runs_that_start_together_end_with_one_valid_archive(
    bench: Archiving, overwrites: tuple[bool, bool], seed: int, tmp_path: Path
) -> None:
    recording = bench.add(2 * bench.part + seed, audio=MediaSource(b"s\0und", "audio/mpeg"))
    if overwrites == (OVERWRITE, OVERWRITE):
        bench.archived(recording)
    dice, together = random.Random(seed), Barrier(2)

    def unevenly(_method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        time.sleep(dice.random() * 0.003)
        return send()

    def archive(*, overwrite: bool) -> None:
        together.wait()
        tried(lambda: bench.run(unevenly), recording, overwrite=overwrite)

    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(archive, overwrite=overwrite) for overwrite in overwrites]:
            future.result()
    assert_one_whole_archive(bench, recording)
    assert stored_payload(bag_of(bench, tmp_path)) == sorted(payload(recording).values())


def test_a_run_that_meets_anothers_live_upload_shares_it(bench: Archiving) -> None:
    recording, second = bench.add(3 * bench.part), list[Run]()

    def second_run() -> None:
        second.append(bench.run())
        second[0].archived(recording.id)

    between = Between(4, second_run)
    first = bench.run(between, concurrency=1)
    first.archived(recording.id)
    assert between.calls[3].startswith("upload_part"), "the first part is stored by then, after upload and record"
    assert sum(second[0].counted.read.values()) == 2 * bench.part
    assert_one_whole_archive(bench, recording)


def test_runs_with_different_part_sizes_do_not_end_each_others_uploads_before_the_commit(bench: Archiving) -> None:
    recording = bench.add(3 * bench.part)
    bench.run(part_size=bench.part).move(recording.id, replace=True)
    bench.run(part_size=2 * bench.part).move(recording.id, replace=True)
    assert len(bench.uploads()) == 2
    bench.archived(recording)
    assert_one_whole_archive(bench, recording)


def test_an_upload_that_was_cleared_while_it_was_completed_is_not_trusted(bench: Archiving) -> None:
    """A store may delete the parts of an upload that is aborted and completed at once, and say that all is well."""
    recording = bench.add(bench.part + 1)
    run = bench.run()
    details = run.recording(recording.id)
    uploads: list[str] = []

    def clear(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        if method == "complete_multipart_upload":
            uploads.append(method)
            if len(uploads) == 1:
                run.archive.journal(details).clear()
                key = key_of(bench, recording, "data/video/")
                bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=b"x" * (bench.part + 1))
        return answer

    bench.run(clear).archived(recording.id)
    assert len(uploads) == 2
    assert_one_whole_archive(bench, recording)


def test_an_upload_whose_record_is_gone_is_never_completed(bench: Archiving) -> None:
    recording = bench.add(bench.part + 1)
    run = bench.run()
    (moved,) = run.move(recording.id, replace=True)
    assert isinstance(moved, UploadedFile)
    journal = run.archive.journal(run.recording(recording.id))
    for key in bench.stored_keys():
        bench.s3.delete_object(Bucket=bench.bucket, Key=key)
    with pytest.raises(UploadVanished):
        journal.complete(moved.upload, moved.parts)
    assert bench.stored_keys() == []


def test_finding_an_archive_leaves_the_uploads_of_a_run_alone_that_overwrites_it(bench: Archiving) -> None:
    recording = bench.add(2 * bench.part)
    bench.archived(recording)
    run = bench.run()
    moved = run.move(recording.id, replace=True)
    before = bench.left_over(recording)
    assert len(before) == 2, "an upload and its record"
    writes = Between(1, list)
    assert bench.run(writes).archived(recording.id).already_archived
    assert (writes.calls, bench.left_over(recording)) == ([], before)
    assert not run.commit(recording.id, moved, overwrite=True).already_archived
    assert_one_whole_archive(bench, recording)


def test_an_overwrite_whose_uploads_another_run_has_ended_moves_them_again_beside_the_old_archive(
    bench: Archiving,
) -> None:
    recording = bench.add(2 * bench.part, audio=MediaSource(b"\0sound", "audio/mpeg"))
    bench.archived(recording)
    run = bench.run()
    moved = run.move(recording.id, replace=True)
    run.archive.journal(run.recording(recording.id)).clear()
    stored: list[bool] = []

    def look(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "upload_part":
            stored.append("bagit.txt" in bench.names(recording))
        return send()

    archived = bench.run(look).commit(recording.id, moved, overwrite=True)
    assert not archived.already_archived
    assert stored == [True] * 3, "the old archive stays until all of the new one is there again"
    assert_one_whole_archive(bench, recording)


def test_what_a_dead_overwrite_has_left_is_no_damage_and_ends_with_the_next_overwrite(
    bench: Archiving, tmp_path: Path
) -> None:
    recording = bench.add(2 * bench.part)
    bench.archived(recording)
    assert recording.video is not None
    recording.video.replace(SyntheticContent(2 * bench.part, seed=7))
    bench.run().move(recording.id, replace=True)
    recording.video.replace(SyntheticContent(2 * bench.part, seed=8))
    assert len(bench.left_over()) == 2
    assert bench.archived(recording).already_archived
    bag_of(bench, tmp_path)
    assert audited(bench).told == []
    bench.archived(recording, overwrite=True)
    assert_one_whole_archive(bench, recording)


def test_a_run_that_was_overtaken_ends_what_it_had_begun_and_nothing_else(bench: Archiving) -> None:
    recording = bench.add(2 * bench.part)
    bench.archived(recording)
    overwriting, overtaken = bench.run(), bench.run(part_size=2 * bench.part)
    moved = overwriting.move(recording.id, replace=True)
    left = bench.left_over(recording)
    late = overtaken.move(recording.id, replace=True)
    assert len(bench.left_over(recording)) == 4
    assert overtaken.commit(recording.id, late).already_archived
    assert bench.left_over(recording) == left
    overwriting.commit(recording.id, moved, overwrite=True)
    assert_one_whole_archive(bench, recording)


def test_a_bag_with_more_files_that_another_run_committed_meanwhile_is_kept(rclone: Archiving) -> None:
    """The audio file may become ready between the looks of two runs; it is not thrown away again."""
    recording = rclone.add(1000)
    early = rclone.run()
    details = early.recording(recording.id)
    early.move(recording.id)
    recording.audio = MediaSource(b"s\0und", "audio/mpeg")
    later = rclone.archived(recording)
    (video,) = [file for file in later.files if "video" in file.path]
    committed = early.archive.commit(details, [StoredFile(video, etag="")], early.archive.listed(details))
    assert committed.files == later.files
    assert_one_whole_archive(rclone, recording)


@pytest.mark.parametrize("parts", [1, 2], ids=["in-one-go", "multipart"])
@pytest.mark.parametrize("second", [NORMAL, OVERWRITE], ids=["normal-within", "overwrite-within"])
@pytest.mark.parametrize("first", [NORMAL, OVERWRITE], ids=["normal", "overwrite"])
@pytest.mark.parametrize("store", ["rclone", "swift"])
def test_no_bag_states_other_bytes_than_it_holds_though_the_source_was_replaced_between_two_runs(
    request: pytest.FixtureRequest, store: str, *, first: bool, second: bool, parts: int
) -> None:
    """By bytes of the same size, so that no listing tells; between any two writes of the first run."""
    bench: Archiving = request.getfixturevalue(store)
    every = 4 * EVERY[store]
    for number in count(1 + (4 * first + 2 * second + parts) % every, every):
        recording = bench.add((parts - 1) * bench.part + 1000)
        if first is OVERWRITE:
            bench.archived(recording)

        def another_run(recording: StandInRecording = recording) -> None:
            assert recording.video is not None
            recording.video.replace(SyntheticContent(recording.video.size, seed=5))
            bench.archived(recording, overwrite=second)

        between = Between(number, another_run)
        with suppress(RetryableError):
            bench.run(between, concurrency=1).archived(recording.id, overwrite=first)
        assert_states_what_it_holds(bench, recording)
        tried(bench.run, recording, overwrite=NORMAL)
        assert "bagit.txt" in bench.names(recording)
        assert_states_what_it_holds(bench, recording)
        assert bench.left_over() == []
        if not between.happened:
            break
    assert number > 5


def assert_states_what_it_holds(bench: Archiving, recording: StandInRecording) -> None:
    names, folder = bench.names(recording), bench.folder(recording)
    if "bagit.txt" in names:
        held = {name: bench.s3.get_object(Bucket=bench.bucket, Key=folder + name)["Body"].read() for name in names}
        digests = {name: sha256(body).hexdigest() for name, body in held.items() if name.startswith("data/")}
        assert parse_manifest(held["manifest-sha256.txt"]) == digests


def test_a_run_leaves_the_files_of_a_bag_alone_that_another_run_committed_meanwhile(bench: Archiving) -> None:
    recording = bench.add(1000)
    run = bench.run()
    details = run.recording(recording.id)
    committed = bench.archived(recording)
    assert recording.video is not None
    first, replaced = payload(recording), SyntheticContent(1000, seed=5)
    recording.video.replace(replaced)
    (moved,) = run.move(recording.id)
    assert isinstance(moved, UploadedFile), "it waits beside"
    found = run.archive.find(details)
    assert found is not None
    assert found.files == committed.files
    key = key_of(bench, recording, "data/video/")
    assert [bench.s3.get_object(Bucket=bench.bucket, Key=key)["Body"].read()] == list(first.values())
