"""A run that ends too early, however suddenly, is carried on by the next one: what is stored is not fetched again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import SourceChanged, SourceLied, SourceUnavailable, StoreRefused
from tests.standins.lies import WrongRange
from tests.standins.realtimekit import Answer, Drop, MediaSource, SyntheticContent
from tests.support.meddling import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import Fault, FileRequest, StandInRecording
    from tests.support.archiving import Archiving

PARTS = 3
PROJECT = Path(__file__).parents[2]


def gone_from(start: int, name: str = "") -> Callable[[FileRequest], Answer | None]:
    """Let all requests fail from a byte on: a run that reads in order ends after what comes before."""

    def fault(request: FileRequest) -> Answer | None:
        if request.start >= start and request.name.endswith(name):
            return Answer.slow_down(3600)
        return None

    return fault


def size_of(bench: Archiving) -> int:
    return PARTS * bench.part - 1000


def interrupted(bench: Archiving, recording: StandInRecording, after: int, **different: Any) -> None:
    """Run until so many parts are stored."""
    bench.kit.file_faults = gone_from(after * bench.part)
    with pytest.raises(SourceUnavailable):
        bench.archived(recording, concurrency=1, **different)
    bench.kit.file_faults = []
    assert bench.kit.wait_idle()
    assert "bagit.txt" not in bench.names(recording)


@pytest.mark.parametrize("after", [1, 2])
def test_a_new_run_fetches_only_what_the_interrupted_one_had_not_stored(bench: Archiving, after: int) -> None:
    recording = bench.add(size_of(bench))
    interrupted(bench, recording, after)
    served, asked = bench.kit.bytes_served(), len(bench.kit.file_requests)
    run = bench.run()
    (file,) = run.archived(recording.id).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()
    missing = size_of(bench) - after * bench.part
    assert sum(run.counted.read.values()) == missing
    assert run.counted.already == {file.path: after * bench.part}
    opening, *rest = bench.kit.file_requests[asked:]
    assert opening.start == 0
    assert sorted(request.start for request in rest) == [number * bench.part for number in range(after, PARTS)]
    assert missing <= bench.kit.bytes_served() - served <= missing + bench.part
    assert bench.left_over() == []


def test_the_same_transfer_tried_again_in_one_process_carries_on_too(bench: Archiving) -> None:
    recording = bench.add(size_of(bench))
    for after in (1, 2):
        interrupted(bench, recording, after)
    run = bench.run()
    run.archived(recording.id)
    assert sum(run.counted.read.values()) == size_of(bench) - 2 * bench.part
    assert bench.left_over() == []


def test_an_upload_of_a_source_that_has_changed_since_is_not_carried_on(bench: Archiving) -> None:
    recording = bench.add(size_of(bench))
    interrupted(bench, recording, 2)
    assert recording.video is not None
    recording.video.replace(SyntheticContent(size_of(bench), seed=99))
    run = bench.run()
    (file,) = run.archived(recording.id).files
    assert file.sha256 == recording.video.sha256()
    assert sum(run.counted.read.values()) == size_of(bench)
    assert bench.left_over() == []


def test_an_upload_with_another_part_size_is_not_carried_on(bench: Archiving) -> None:
    recording = bench.add(size_of(bench))
    interrupted(bench, recording, 2)
    run = bench.run(part_size=2 * bench.part)
    (file,) = run.archived(recording.id).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()
    assert sum(run.counted.read.values()) == size_of(bench)
    assert bench.left_over() == []


@pytest.mark.parametrize("etag", ['W/"weak"', None])
def test_without_a_strong_etag_nothing_is_carried_on_and_nothing_is_left(bench: Archiving, etag: str | None) -> None:
    recording = bench.add(MediaSource(SyntheticContent(2 * bench.part), etag=etag))
    upload = bench.run().archive.journal(bench.run().recording(recording.id))
    begun = upload.begin(bench.run().payloads(bench.run().recording(recording.id))[0].key, {"etag": ""}, "", {})
    bench.run().store.put_part(begun, 1, b"z" * bench.part)
    run = bench.run()
    (file,) = run.archived(recording.id).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()
    assert sum(run.counted.read.values()) == 2 * bench.part
    assert bench.left_over() == []


def test_an_upload_without_a_record_proves_nothing_and_is_ended(bench: Archiving) -> None:
    recording = bench.add(size_of(bench))
    interrupted(bench, recording, 2)
    for key in bench.stored_keys():
        bench.s3.delete_object(Bucket=bench.bucket, Key=key)
    run = bench.run()
    run.archived(recording.id)
    assert sum(run.counted.read.values()) == size_of(bench)
    assert bench.left_over() == []


@pytest.mark.parametrize("record", [b"", b"[1]", b"null", b"{", b'{"etag": "x"}', b"\xff"])
def test_a_record_that_is_torn_proves_nothing(rclone: Archiving, record: bytes) -> None:
    recording = rclone.add(size_of(rclone))
    interrupted(rclone, recording, 2)
    (key,) = rclone.stored_keys()
    rclone.s3.put_object(Bucket=rclone.bucket, Key=key, Body=record)
    run = rclone.run()
    run.archived(recording.id)
    assert sum(run.counted.read.values()) == size_of(rclone)
    assert rclone.left_over() == []


def test_a_part_that_is_stored_with_another_size_is_stored_again(swift: Archiving) -> None:
    recording = swift.add(size_of(swift))
    interrupted(swift, recording, 2)
    store = swift.run().store
    (upload,) = store.uploads("")
    store.put_part(upload, 2, b"short")
    run = swift.run()
    (file,) = run.archived(recording.id).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()
    assert sum(run.counted.read.values()) == size_of(swift) - swift.part


@pytest.mark.parametrize("parts", [0, 1])
def test_a_file_that_an_earlier_run_finished_is_not_fetched_again(bench: Archiving, parts: int) -> None:
    sound = MediaSource(SyntheticContent(parts * bench.part + 1000, seed=5), "audio/mpeg")
    recording = bench.add(2 * bench.part, audio=sound)
    audio_is_there = f"data/audio/{recording.audio_name}"

    def fault(request: FileRequest) -> Answer | None:
        if request.name == recording.video_name and request.start:
            while audio_is_there not in bench.names(recording):
                pass
            return Answer.slow_down(3600)
        return None

    bench.kit.file_faults = fault
    with pytest.raises(SourceUnavailable):
        bench.archived(recording)
    bench.kit.file_faults = []
    run = bench.run()
    archived = run.archived(recording.id)
    assert audio_is_there not in run.counted.read
    assert {file.path: file.sha256 for file in archived.files}[audio_is_there] == sound.sha256()
    assert bench.left_over() == []


@pytest.mark.parametrize("session_id", [None, "", "two  words ", "sésame ☕\n", "s" * 400])
def test_whatever_the_session_is_called_a_stored_file_is_known_again(bench: Archiving, session_id: str | None) -> None:
    recording = bench.add(1000, details={"session_id": session_id})
    bench.run().move(recording.id)
    run = bench.run()
    run.archived(recording.id)
    assert not +run.counted.read


def test_a_file_that_is_stored_from_a_source_that_has_changed_since_is_fetched_again(bench: Archiving) -> None:
    recording = bench.add(2 * bench.part)
    bench.run().move(recording.id)
    assert recording.video is not None
    recording.video.replace(SyntheticContent(2 * bench.part, seed=77))
    (file,) = bench.archived(recording).files
    assert file.sha256 == recording.video.sha256()


def test_all_parts_stored_but_not_completed_needs_no_byte_of_them_again(bench: Archiving) -> None:
    recording = bench.add(size_of(bench))
    bench.run().move(recording.id, replace=True)
    assert bench.uploads()
    run = bench.run()
    (file,) = run.archived(recording.id).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()
    assert not +run.counted.read
    assert bench.left_over() == []


@pytest.mark.parametrize("after", [0, 1])
def test_an_upload_that_ends_for_good_is_left_only_if_there_is_something_in_it(bench: Archiving, after: int) -> None:
    """By a proxy that answers with another range than it was asked for, from some byte on."""
    recording = bench.add(size_of(bench))

    def lie(request: FileRequest) -> Fault | None:
        if request.number == 1:
            return None if after else Drop(1000)
        return WrongRange(1) if request.start >= after * bench.part else None

    bench.kit.file_faults = lie
    with pytest.raises(SourceLied):
        bench.archived(recording, concurrency=1)
    left = bench.left_over()
    assert len(left) == (2 if after else 0), "an upload with its record"
    bench.kit.file_faults = []
    run = bench.run()
    run.archived(recording.id)
    assert sum(run.counted.read.values()) == size_of(bench) - after * bench.part
    assert bench.left_over() == []


def test_an_upload_of_a_source_that_is_another_at_each_look_is_ended_by_the_run_that_began_it(bench: Archiving) -> None:
    recording = bench.add(size_of(bench))
    seeds = count(100)

    def replaced(request: FileRequest) -> None:
        if request.start and recording.video is not None:
            recording.video.replace(SyntheticContent(size_of(bench), seed=next(seeds)))

    bench.kit.on_file_request = replaced
    with pytest.raises(SourceChanged):
        bench.archived(recording, concurrency=1)
    assert bench.left_over() == []


def test_an_upload_that_nothing_can_prove_is_ended_by_the_run_that_fails(bench: Archiving) -> None:
    recording = bench.add(MediaSource(SyntheticContent(size_of(bench)), etag=None))

    def refuse(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "upload_part" and request["PartNumber"] == 2:
            raise refusal("QuotaExceeded", 403)
        return send()

    with pytest.raises(StoreRefused):
        bench.run(refuse).archived(recording.id)
    assert bench.left_over() == []


def test_an_upload_that_cannot_be_recorded_is_ended_at_once(bench: Archiving) -> None:
    recording = bench.add(size_of(bench))

    def refuse(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "put_object" and "/unfinished/" in request["Key"]:
            raise refusal("AccessDenied", 403)
        return send()

    with pytest.raises(StoreRefused):
        bench.run(refuse).archived(recording.id)
    assert bench.left_over() == []


def test_a_stored_file_of_several_parts_is_read_back_once(bench: Archiving) -> None:
    """Its ETag confirms what was read, on stores that tell no checksum."""
    recording, read = bench.add(size_of(bench)), list[int]()
    bench.run().move(recording.id)

    def count_bytes(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        if method == "get_object" and "/data/" in request["Key"]:
            read.append(answer["ContentLength"])
        return answer

    bench.run(count_bytes).archived(recording.id)
    assert sum(read) == size_of(bench)


def test_ctrl_c_stops_all_threads_and_the_next_run_carries_on(bench: Archiving) -> None:
    recording = bench.add(size_of(bench))

    def interrupt(request: FileRequest) -> None:
        if request.number == PARTS:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            run.stop.wait(20)

    bench.kit.on_file_request = interrupt
    run = bench.run(concurrency=1)
    with pytest.raises(KeyboardInterrupt):
        run.archived(recording.id)
    assert run.stop.is_set()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ThreadPool")] == []
    bench.kit.on_file_request = None
    again = bench.run()
    again.archived(recording.id)
    assert sum(again.counted.read.values()) == size_of(bench) - (PARTS - 1) * bench.part
    assert bench.left_over() == []


@pytest.mark.parametrize("request_number", [1, 3])
def test_a_process_that_is_killed_in_mid_transfer_is_carried_on_by_the_next(
    bench: Archiving, request_number: int
) -> None:
    recording = bench.add(4 * bench.part)
    children: list[subprocess.Popen[bytes]] = []

    def kill(request: FileRequest) -> None:
        if request.number == request_number:
            children[0].kill()
            children[0].wait()

    setup = bench.setup(concurrency=1).text()
    bench.kit.on_file_request = kill
    command = [sys.executable, "-W", "error", "-m", "tests.support.archive_child", setup, recording.id]
    children.append(subprocess.Popen(command, cwd=PROJECT, env=os.environ | bench.server.environment()))
    assert children[0].wait(60) == -9
    bench.kit.on_file_request = None
    assert bench.kit.wait_idle()
    stored = sum(len(bench.run().store.parts(upload)) for upload in bench.run().store.uploads(""))
    assert stored >= request_number - 2
    run = bench.run()
    (file,) = run.archived(recording.id).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()
    assert sum(run.counted.read.values()) == 4 * bench.part - stored * bench.part
    assert bench.left_over() == []
