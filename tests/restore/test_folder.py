"""Recordings come back to a folder: whole bags, verified, resumable; and never anything that only looks whole."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import bag
from tasks.errors import TargetUnusable
from tasks.restore import describe_problems, file_system, folder_target
from tasks.s3 import read_ahead
from tests.standins.realtimekit import MediaSource, StandInRecording, SyntheticContent
from tests.support.bags import key_of
from tests.support.meddling import refusal
from tests.support.meetings import Meeting, transcript
from tests.support.restoring import (
    CHUNK,
    Fetched,
    files_in,
    only,
    problems_of,
    require_whole,
    restored,
    small_ranges,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.archiving import Archiving

RANGE = CHUNK


def archived(bench: Archiving, size: int = 1000, **more: Any) -> StandInRecording:
    """Archive a recording with a video of so many bytes."""
    recording = bench.add(MediaSource(SyntheticContent(size, seed=size)), **more)
    bench.archived(recording)
    return recording


def stored(bench: Archiving, recording: StandInRecording) -> dict[str, bytes]:
    """Return the files of a recording's bag as they are in the store, by their paths."""
    folder = bench.folder(recording)
    keys = bench.stored_keys(folder)
    return {key.removeprefix(folder): bench.s3.get_object(Bucket=bench.bucket, Key=key)["Body"].read() for key in keys}


def put(bench: Archiving, recording: StandInRecording, path: str, content: bytes) -> None:
    bench.s3.put_object(Bucket=bench.bucket, Key=bench.folder(recording) + path, Body=content)


def reseal(bench: Archiving, recording: StandInRecording, manifest: bytes) -> None:
    """Give a bag another manifest of its payload, stated by its tag manifest, as whoever can write there could."""
    tags = {name: text for name, text in stored(bench, recording).items() if not name.startswith("data/")}
    tags |= {"manifest-sha256.txt": manifest}
    del tags["tagmanifest-sha256.txt"]
    sums = {name: hashlib.sha256(text).hexdigest() for name, text in tags.items()}
    put(bench, recording, "manifest-sha256.txt", manifest)
    put(bench, recording, "tagmanifest-sha256.txt", bag.manifest(sums))


def damage(bench: Archiving, recording: StandInRecording, name: str = "data/video") -> str:
    """Change a byte of a file, and return its path."""
    key = key_of(bench, recording, name)
    content = bytearray(bench.s3.get_object(Bucket=bench.bucket, Key=key)["Body"].read())
    content[0] ^= 1
    bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=bytes(content))
    return key.removeprefix(bench.folder(recording))


def test_a_folder_gets_whole_bags_and_a_second_run_fetches_nothing(bench: Archiving, tmp_path: Path) -> None:
    tracks = {"default": {"Ann Ä.webm": MediaSource(b"ann\0"), "bob.webm": MediaSource(b"bob\0")}}
    recordings = [archived(bench), archived(bench, 3 * RANGE, tracks=tracks)]
    with small_ranges():
        report = restored(bench, tmp_path / "to", *recordings)
    assert (report.recordings, report.problems) == (2, 0)
    assert report.fetched_bytes == report.bytes == sum(bag.bytes for bag in report.bags)
    for recording in recordings:
        require_whole(tmp_path / "to" / recording.id)
        assert files_in(tmp_path / "to" / recording.id) == stored(bench, recording)
    fetched = Fetched()
    again = restored(bench, tmp_path / "to", *recordings, meddle=fetched)
    assert (again.recordings, again.fetched_bytes, fetched.ranges) == (2, 0, [])


def test_killed_in_the_middle_of_a_file_the_next_run_carries_on_behind_it(
    bench: Archiving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = archived(bench, 5 * RANGE)
    place = [bench.setup().text(), recording.id, str(tmp_path), str(RANGE)]
    child = [sys.executable, "-m", "tests.support.restore_child", *place]
    assert subprocess.run(child, check=False, timeout=60).returncode == -signal.SIGKILL
    folder = tmp_path / recording.id
    assert not (folder / "bagit.txt").exists()
    assert not (folder / "data" / "video" / f"{recording.id}.mp4").exists()
    parts = [part.stat().st_size for part in (folder / "unfinished").glob("*.part")]
    assert max(parts) == RANGE
    (folder / "unfinished" / "of-another-content.part").touch()
    left = SimpleNamespace(free=5 * RANGE)  # not room for all of it once more
    fetched = Fetched()
    with small_ranges(), monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: left)
        assert only(restored(bench, tmp_path, recording, meddle=fetched)).whole
    assert min(start for _, start, _ in fetched.ranges) == RANGE
    assert fetched.count == 4 * RANGE
    require_whole(folder)
    assert files_in(folder) == stored(bench, recording)


def test_a_beginning_that_is_not_the_files_is_found_out_and_fetched_anew(
    rclone: Archiving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = archived(rclone, 3 * RANGE)

    write = file_system.FlushedFile.write

    def interrupted(file: file_system.FlushedFile, chunk: bytes) -> None:
        if file._out.tell() == RANGE:
            raise KeyboardInterrupt
        write(file, chunk)

    with small_ranges(), monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patch.setattr(file_system.FlushedFile, "write", interrupted)
        restored(rclone, tmp_path, recording)
    part = max((tmp_path / recording.id / "unfinished").glob("*.part"), key=lambda part: part.stat().st_size)
    part.write_bytes(b"x" * len(part.read_bytes()))
    assert only(restored(rclone, tmp_path, recording)).whole
    require_whole(tmp_path / recording.id)


@pytest.mark.parametrize("how", ["altered", "cut", "gone"])
def test_a_damaged_file_is_named_and_all_else_is_restored(bench: Archiving, tmp_path: Path, how: str) -> None:
    audio = MediaSource(SyntheticContent(500), "audio/mpeg")
    broken, whole = archived(bench, audio=audio), archived(bench)
    key = key_of(bench, broken, "data/video")
    path = key.removeprefix(bench.folder(broken))
    if how == "gone":
        bench.s3.delete_object(Bucket=bench.bucket, Key=key)
    elif how == "cut":
        put(bench, broken, path, stored(bench, broken)[path][:-1])
    else:
        damage(bench, broken)
    report = restored(bench, tmp_path, broken, whole)
    assert problems_of(report) == {path: "missing" if how == "gone" else "damaged"}
    assert [bag.whole for bag in report.bags] == [False, True]
    left = files_in(tmp_path / broken.id)
    assert left == {name: text for name, text in stored(bench, broken).items() if name not in {path, "bagit.txt"}}
    require_whole(tmp_path / whole.id)


def test_a_whole_copy_stays_one_if_the_archive_loses_a_file_and_is_none_if_both_do(
    rclone: Archiving, tmp_path: Path
) -> None:
    recording = archived(rclone)
    restored(rclone, tmp_path, recording)
    key = key_of(rclone, recording, "data/video")
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=key)
    path = key.removeprefix(rclone.folder(recording))
    report = restored(rclone, tmp_path, recording)
    assert (only(report).whole, problems_of(report)) == (True, {path: "missing"})
    require_whole(tmp_path / recording.id)
    (tmp_path / recording.id / path).unlink()
    assert not only(restored(rclone, tmp_path, recording)).whole
    assert not (tmp_path / recording.id / "bagit.txt").exists()


@pytest.mark.parametrize("name", ["manifest-sha256.txt", "tagmanifest-sha256.txt", "recording.json"])
def test_a_bag_with_a_damaged_tag_file_is_restored_without_its_marker(
    rclone: Archiving, tmp_path: Path, name: str
) -> None:
    recording = archived(rclone)
    damage(rclone, recording, name)
    report = restored(rclone, tmp_path, recording)
    assert "damaged" in problems_of(report).values()
    assert not only(report).whole
    assert not (tmp_path / recording.id / "bagit.txt").exists()


@pytest.mark.parametrize("name", ["data/video/{}.mp4", "recording.json", "bagit.txt"])
def test_another_file_in_the_way_is_left_alone_and_replaced_only_on_demand(
    rclone: Archiving, tmp_path: Path, name: str
) -> None:
    recording = archived(rclone)
    foreign = tmp_path / recording.id / name.format(recording.id)
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"mine")
    report = restored(rclone, tmp_path, recording)
    assert problems_of(report) == {name.format(recording.id): "in the way"}
    assert foreign.read_bytes() == b"mine"
    assert not only(report).whole
    assert only(restored(rclone, tmp_path, recording, overwrite=True)).whole
    require_whole(tmp_path / recording.id)


@pytest.mark.parametrize("name", ["data", "data/video/{}.mp4/folder"])
def test_a_file_in_place_of_a_folder_and_the_other_way_round_are_in_the_way(
    rclone: Archiving, tmp_path: Path, name: str
) -> None:
    recording = archived(rclone)
    foreign = tmp_path / recording.id / name.format(recording.id)
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"mine")
    for overwrite in (False, True):
        report = restored(rclone, tmp_path, recording, overwrite=overwrite)
        problems = problems_of(report)
        assert problems[f"data/video/{recording.id}.mp4"] == "in the way"
        assert set(problems.values()) == {"in the way"}
        assert foreign.read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["data/video", "{}.mp4"])
def test_a_link_in_the_folder_leads_nothing_out_of_it(rclone: Archiving, tmp_path: Path, name: str) -> None:
    recording = archived(rclone)
    elsewhere, bag_folder = tmp_path / "elsewhere", tmp_path / "to" / recording.id
    elsewhere.mkdir()
    (bag_folder / "data").mkdir(parents=True)
    if name == "data/video":
        (bag_folder / name).symlink_to(elsewhere)
    else:
        (bag_folder / "data" / "video").mkdir()
        (bag_folder / "data" / "video" / name.format(recording.id)).symlink_to(elsewhere / "file")
    report = restored(rclone, tmp_path / "to", recording, overwrite=name == "data/video")
    assert not only(report).whole
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "path",
    ["data/../../../out", "../out", "/out", "data//out", "data/a\\..\\..\\out", "data/./out", "unfinished/lock", "."],
)
def test_a_path_in_a_manifest_that_leads_out_of_the_bag_is_never_used(
    rclone: Archiving, tmp_path: Path, path: str
) -> None:
    recording = archived(rclone)
    content = stored(rclone, recording)
    reseal(
        rclone, recording, content["manifest-sha256.txt"] + f"{hashlib.sha256(b'out').hexdigest()}  {path}\n".encode()
    )
    report = restored(rclone, tmp_path / "a" / "b", recording)
    assert problems_of(report) == {path: "unsafe"}
    assert not only(report).whole
    assert {name.split("/")[0] for name in files_in(tmp_path)} == {"a"}
    assert {name.split("/")[2] for name in files_in(tmp_path)} == {recording.id}
    assert f"data/video/{recording.id}.mp4" in files_in(tmp_path / "a" / "b" / recording.id)


@pytest.mark.parametrize("apart", [True, False])
def test_names_that_a_file_system_takes_for_one_do_not_replace_each_other(
    rclone: Archiving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, apart: bool
) -> None:
    tracks = {"default": {"ann.webm": MediaSource(b"ann\0"), "bob.webm": MediaSource(b"bob\0")}}
    recording = rclone.kit.add(StandInRecording(str(uuid.uuid4()), tracks=tracks))
    rclone.archived(recording)
    content = stored(rclone, recording)
    other = {name.replace("ann.", "BOB."): text for name, text in content.items()}
    (new,) = other.keys() - content.keys()
    put(rclone, recording, new, other[new])
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=key_of(rclone, recording, "data/tracks/default/ann"))
    reseal(rclone, recording, content["manifest-sha256.txt"].replace(b"ann.", b"BOB."))
    if not apart:
        monkeypatch.setattr(folder_target, "tells_apart", lambda *_: False)
    report = restored(rclone, tmp_path, recording)
    there = files_in(tmp_path / recording.id)
    if apart:
        require_whole(tmp_path / recording.id)
        assert there == stored(rclone, recording)
    else:
        assert list(problems_of(report).values()) == ["unsafe"]
        assert ("bagit.txt" in there, sum("tracks" in name for name in there)) == (False, 1)


def test_two_restores_at_once_into_one_folder_end_with_the_same_whole_bag(bench: Archiving, tmp_path: Path) -> None:
    recording = archived(bench, 6 * RANGE)
    met, fetches = Event(), [Fetched(), Fetched()]

    def hold(_path: str, send: Callable[[], Any]) -> Any:
        met.wait(5)
        return send()

    fetches[0] = Fetched(hold)
    with small_ranges(), ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(restored, bench, tmp_path, recording, meddle=fetched) for fetched in fetches]
        met.set()
        reports = [future.result(60) for future in futures]
    assert [only(report).whole for report in reports] == [True, True]
    assert sum(fetched.count for fetched in fetches) == 6 * RANGE, "one of them waits, and finds all there"
    require_whole(tmp_path / recording.id)


def test_the_newest_version_of_the_session_comes_too_unless_it_is_not_wanted(bench: Archiving, tmp_path: Path) -> None:
    meeting = Meeting.at(bench)
    recordings = [meeting.add_recording(), meeting.add_recording(60)]
    for recording in recordings:
        bench.archived(recording)
    for said in ("hello", "goodbye"):
        meeting.put("transcript", transcript(said))
        bench.run().archived_session(meeting.id)
    report = restored(bench, tmp_path, *recordings)
    assert (report.recordings, report.sessions, report.problems) == (2, 1, 0)
    folder = tmp_path / f"session-{meeting.id}" / "v0002"
    require_whole(folder)
    assert files_in(folder) == meeting.newest()
    assert restored(bench, tmp_path / "other", *recordings, sessions=False).sessions == 0
    assert {path.name for path in (tmp_path / "other").iterdir()} == {recording.id for recording in recordings}


def test_what_was_made_from_a_recording_comes_beside_its_bag_on_demand(rclone: Archiving, tmp_path: Path) -> None:
    recording = archived(rclone)
    key = rclone.folder(recording).rstrip("/")
    rclone.s3.put_object(Bucket=rclone.bucket, Key=f"{key}.vtt", Body=b"WEBVTT\n")
    restored(rclone, tmp_path, recording)
    assert not (tmp_path / f"{recording.id}.vtt").exists()
    assert only(restored(rclone, tmp_path, recording, derived=True)).whole
    assert (tmp_path / f"{recording.id}.vtt").read_bytes() == b"WEBVTT\n"
    require_whole(tmp_path / recording.id)


def test_an_id_that_is_not_archived_is_named(rclone: Archiving, tmp_path: Path) -> None:
    recording, missing = archived(rclone), rclone.add(10)
    report = restored(rclone, tmp_path, missing, recording)
    assert [(bag.id, bag.whole) for bag in report.bags] == [(missing.id, False), (recording.id, True)]
    assert problems_of(report) == {"": "not archived"}


def test_one_object_that_the_store_refuses_stops_no_other(rclone: Archiving, tmp_path: Path) -> None:
    recordings = [archived(rclone), archived(rclone)]

    def refuse(path: str, send: Callable[[], Any]) -> Any:
        if recordings[0].id in path:
            raise refusal("AccessDenied", 403)
        return send()

    report = restored(rclone, tmp_path, *recordings, meddle=Fetched(refuse))
    assert list(problems_of(report).values()) == ["unreadable"]
    assert [bag.whole for bag in report.bags] == [False, True]


def test_a_full_disk_is_named_before_and_while_it_fills_up(
    rclone: Archiving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = archived(rclone, 3 * RANGE)
    usage = SimpleNamespace(free=RANGE)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(TargetUnusable, match=r"needs 19\d\S* KiB, and 64 KiB are free\. Make room"):
            restored(rclone, tmp_path, recording)
    with monkeypatch.context() as patch:

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(file_system.FlushedFile, "write", full)
        with pytest.raises(TargetUnusable, match=r"No space left on device\. Make room"):
            restored(rclone, tmp_path, recording)
    assert only(restored(rclone, tmp_path, recording)).whole


def test_a_disk_that_fails_while_a_file_grows_is_noticed_at_its_end(
    rclone: Archiving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, failed = archived(rclone, 5 * RANGE), list[int]()
    fsync = os.fsync

    def fail_once(number: int) -> None:
        """The system tells of such a failure once alone."""
        if current_thread().name.startswith(file_system.FLUSHING) and not failed:
            failed.append(number)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(number)

    monkeypatch.setattr(file_system, "FLUSHED_BYTES", RANGE)
    monkeypatch.setattr(os, "fsync", fail_once)
    with small_ranges(), pytest.raises(TargetUnusable, match="Input/output error"):
        restored(rclone, tmp_path, recording)
    assert failed
    assert not (tmp_path / recording.id / "bagit.txt").exists()


def test_a_file_in_place_of_the_folder_is_named(rclone: Archiving, tmp_path: Path) -> None:
    recording = archived(rclone)
    (tmp_path / "file").write_bytes(b"mine")
    for to in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TargetUnusable, match="Name a folder"):
            restored(rclone, to, recording)


def test_parallel_ranges_are_joined_in_their_order(
    rclone: Archiving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead._Timing, "pays", lambda _: True)
    recording, fetched = archived(rclone, 9 * RANGE + 1), Fetched()
    with small_ranges():
        assert only(restored(rclone, tmp_path, recording, meddle=fetched)).whole
    whole, *ranges = sorted(fetched.ranges, key=lambda one: (one[1], one[1] - one[2]))
    assert whole[1:] == (0, 9 * RANGE + 1), "broken off after the first range"
    assert [start for _, start, _ in ranges] == [RANGE * number for number in range(1, 10)]
    require_whole(tmp_path / recording.id)


def test_a_manifest_that_states_nothing_is_named(rclone: Archiving, tmp_path: Path) -> None:
    recording = archived(rclone)
    reseal(rclone, recording, b"")
    report = restored(rclone, tmp_path, recording)
    assert not only(report).whole
    assert problems_of(report) == {"manifest-sha256.txt": "damaged"}
    assert "states no file" in describe_problems(report)
    assert not (tmp_path / recording.id / "bagit.txt").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_payload_file_that_no_manifest_states_is_left_and_keeps_the_bag_from_passing_for_whole(
    bench: Archiving, tmp_path: Path, *, overwrite: bool
) -> None:
    """A bag is whole only if nothing else lies among its payload, such as a file of an earlier state of the bag."""
    recording = archived(bench)
    foreign = tmp_path / recording.id / "data" / "audio" / "earlier.mp3"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"mine")
    for _ in range(2):
        report = restored(bench, tmp_path, recording, overwrite=overwrite)
        assert (only(report).whole, problems_of(report)) == (False, {"data/audio/earlier.mp3": "in the way"})
        assert foreign.read_bytes() == b"mine"
        assert not (tmp_path / recording.id / "bagit.txt").exists()
    foreign.unlink()
    assert only(restored(bench, tmp_path, recording)).whole
    require_whole(tmp_path / recording.id)


def test_a_copy_that_gets_files_of_another_state_keeps_no_marker_if_the_archives_is_damaged(
    rclone: Archiving, tmp_path: Path
) -> None:
    recording = archived(rclone)
    restored(rclone, tmp_path, recording)
    damage(rclone, recording, "bagit.txt")
    path = f"data/video/{recording.id}.mp4"
    put(rclone, recording, path, b"another")
    sums = {path: hashlib.sha256(b"another").hexdigest()}
    put(rclone, recording, "manifest-sha256.txt", bag.manifest(sums))
    report = restored(rclone, tmp_path, recording, overwrite=True)
    assert not only(report).whole
    assert (tmp_path / recording.id / path).read_bytes() == b"another"
    assert not (tmp_path / recording.id / "bagit.txt").exists()
