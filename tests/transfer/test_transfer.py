"""Bytes from a source into a store: all of them, in equal parts, proven, or an error that says what is wrong."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import FinalError, SizeDisagrees, SourceMissing, StoredWrong, StoreRefused
from tasks.transfer.buffers import BufferPool
from tasks.transfer.models import Limits
from tests.standins.realtimekit import Answer, MediaSource, SyntheticContent
from tests.support.archiving import Archiving, payload
from tests.support.meddling import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import FileRequest


class Calls:
    """Remembers the calls to a store."""

    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Note the call and let it pass."""
        self.made.append((method, request))
        return send()

    def of(self, method: str) -> list[dict[str, Any]]:
        """Return the requests to one method, in order."""
        return [request for name, request in self.made if name == method]


def video_of(bench: Archiving, size: int, **more: Any) -> tuple[Any, Any]:
    recording = bench.add(size, **more)
    archived = bench.archived(recording)
    return recording, archived


@pytest.mark.parametrize(("parts", "more"), [(0, 1), (1, -1), (1, 0), (1, 1), (2, -1), (2, 0), (2, 1)])
def test_files_of_every_size_around_a_part_arrive_whole(bench: Archiving, parts: int, more: int) -> None:
    size = parts * bench.part + more
    recording, archived = video_of(bench, size)
    (file,) = archived.files
    content = payload(recording)[recording.video_name]
    assert (file.size, file.sha256) == (size, hashlib.sha256(content).hexdigest())
    assert bench.objects()[bench.run().archive.folder(bench.run().recording(recording.id)) + file.path] == content
    assert bench.left_over() == []


def test_the_commit_lists_the_folder_once_more_only_if_it_had_to_complete_something(bench: Archiving) -> None:
    calls, again = Calls(), Calls()
    recording = bench.add(bench.part)
    bench.run(calls).archived(recording.id)
    assert len(calls.of("list_objects_v2")) == 3, "before the bag is written, before its marker, and to prove it"
    bench.run(again).archived(recording.id, overwrite=True)
    assert len(again.of("list_objects_v2")) == 1 + 4, "what is there to lose; what was completed; and as before"


def test_a_file_that_fits_into_a_part_is_stored_in_one_request_with_its_sha256(bench: Archiving) -> None:
    calls = Calls()
    recording = bench.add(bench.part)
    moved = bench.run(calls).move(recording.id)
    assert [request["ContentType"] for request in calls.of("put_object")] == ["video/mp4"]
    assert calls.of("create_multipart_upload") == []
    found = bench.run().store.head(moved[0].facts.payload.key)
    assert found is not None
    assert found.metadata["sha256"] == moved[0].sha256
    assert found.metadata["recording-id"] == recording.id
    assert found.metadata["session-id"]


def test_a_larger_file_becomes_one_upload_of_parts_all_equal_but_the_last(bench: Archiving) -> None:
    calls = Calls()
    recording = bench.add(3 * bench.part + 7)
    moved = bench.run(calls).move(recording.id)
    sizes = {request["PartNumber"]: len(request["Body"]) for request in calls.of("upload_part")}
    assert sizes == {1: bench.part, 2: bench.part, 3: bench.part, 4: 7}
    (completion,) = calls.of("complete_multipart_upload")
    assert [part["PartNumber"] for part in completion["MultipartUpload"]["Parts"]] == [1, 2, 3, 4]
    found = bench.run().store.head(moved[0].facts.payload.key)
    assert found is not None
    assert found.content_type == "video/mp4"
    assert found.metadata["recording-id"] == recording.id
    assert found.metadata["session-id"]
    assert "sha256" not in found.metadata, "it is fixed before the bytes are known"


def test_video_audio_and_their_types_are_archived_together(bench: Archiving) -> None:
    recording = bench.add(1000, audio=MediaSource(b"s\0und" * 100, "audio/mpeg"))
    archived = bench.archived(recording)
    assert [(file.path.split("/")[1], file.content_type) for file in archived.files] == [
        ("audio", "audio/mpeg"),
        ("video", "video/mp4"),
    ]


def test_the_files_of_a_track_recording_are_archived_by_layer(bench: Archiving) -> None:
    tracks = {
        "default": {"a.webm": MediaSource(b"\0", "video/webm"), "b.webm": MediaSource(b"\0\1", "audio/webm")},
        "screen": {"a.webm": MediaSource(b"\0\1\2", "video/webm")},
    }
    archived = bench.archived(bench.add(tracks=tracks, file_size=None))
    assert [(file.path, file.size, file.content_type) for file in archived.files] == [
        ("data/tracks/default/a.webm", 1, "video/webm"),
        ("data/tracks/default/b.webm", 2, "audio/webm"),
        ("data/tracks/screen/a.webm", 3, "video/webm"),
    ]


def test_audio_alone_is_archived_too(bench: Archiving) -> None:
    recording = bench.add(audio=MediaSource(b"s\0und", "audio/mpeg"), file_size=None)
    assert [file.path.split("/")[1] for file in bench.archived(recording).files] == ["audio"]


def test_a_source_that_says_nothing_of_the_type_is_judged_by_its_name(rclone: Archiving) -> None:
    recording = rclone.add(MediaSource(b"\0" * 10, "application/octet-stream"))
    assert [file.content_type for file in rclone.archived(recording).files] == ["video/mp4"]


@pytest.mark.parametrize("file_size", [None, 0, "0", "1000", 1000, 1000.0])
def test_sizes_that_the_api_does_not_name_or_names_as_text_are_no_obstacle(rclone: Archiving, file_size: Any) -> None:
    assert rclone.archived(rclone.add(1000, file_size=file_size)).bytes == 1000


@pytest.mark.parametrize("announced", [999, 1001, "999", 10**12])
def test_an_api_and_a_source_that_name_different_sizes_store_nothing_and_say_both(
    bench: Archiving, announced: Any
) -> None:
    recording = bench.add(1000, file_size=announced)
    with pytest.raises(SizeDisagrees, match="1,000") as caught:
        bench.archived(recording)
    assert isinstance(caught.value, FinalError)
    assert bench.stored_keys() == bench.uploads() == []


@pytest.mark.parametrize("parts", [0, 1, 2])
@pytest.mark.parametrize("source", [{"ranges": False}, {"etag": 'W/"weak"'}, {"etag": None}], ids=str)
def test_sources_without_ranges_or_a_strong_etag_are_archived_whole(
    bench: Archiving, parts: int, source: dict[str, Any]
) -> None:
    size = parts * bench.part + 1
    recording = bench.add(MediaSource(SyntheticContent(size, seed=size), **source))
    (file,) = bench.archived(recording).files
    assert file.sha256 == recording.video.sha256() if recording.video else False
    assert bench.left_over() == []


def test_parts_grow_beyond_the_window_without_anybody_waiting_for_ever(rclone: Archiving) -> None:
    recording = rclone.add(64 * 10_000 + 1)
    (file,) = rclone.archived(recording, part_size=64, concurrency=1).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()


def test_many_files_share_a_small_window(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []

    class Watched(BufferPool):
        def buffer(self, size: int) -> bytearray:
            body = super().buffer(size)
            used.append(self.used)
            return body

    monkeypatch.setattr("tasks.session.BufferPool", Watched)
    tracks = {
        "default": {f"{n}.webm": MediaSource(SyntheticContent(50_000 + n, seed=n), "video/webm") for n in range(9)}
    }
    recording = rclone.add(tracks=tracks, file_size=None)
    archived = rclone.archived(recording, part_size=4096, concurrency=2)
    at_source = {f"data/tracks/{name}": hashlib.sha256(body).hexdigest() for name, body in payload(recording).items()}
    assert {file.path: file.sha256 for file in archived.files} == at_source
    assert max(used) <= Limits(2).parts_at_once * 4096, "as much as one file alone"


def test_no_more_ranges_are_in_flight_than_allowed(rclone: Archiving) -> None:
    recording = rclone.add(40 * 8192)
    rclone.archived(recording, part_size=8192, concurrency=3)
    assert rclone.kit.most_file_requests_at_once <= 3 + 1, "one more is the answer that tells the size"


def test_the_source_is_read_on_while_the_store_takes_its_time(rclone: Archiving) -> None:
    asked, waited = threading.Event(), []

    def note(request: FileRequest) -> None:
        if request.start == 2 * rclone.part:
            asked.set()

    def put(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "upload_part":
            waited.append(asked.wait(10))
        return send()

    recording = rclone.add(4 * rclone.part)
    rclone.kit.on_file_request = note
    rclone.run(put, concurrency=2).archived(recording.id)
    assert all(waited), "the third part was not asked for before one of the first two was stored"


def test_one_range_at_a_time_means_that_nothing_else_goes_on_meanwhile(rclone: Archiving) -> None:
    calls = Calls()
    recording = rclone.add(4 * rclone.part)
    seen: list[int] = []
    rclone.kit.on_file_request = lambda _request: seen.append(len(calls.of("upload_part")))
    rclone.run(calls, concurrency=1).archived(recording.id)
    assert seen == [0, 1, 2, 3]


def test_of_many_files_that_are_not_there_each_is_asked_for_once_when_it_is_stored(bench: Archiving) -> None:
    calls = Calls()
    tracks = {"default": {f"{number}.webm": MediaSource(b"tr\0ck", "video/webm") for number in range(12)}}
    bench.run(calls).archived(bench.add(tracks=tracks, file_size=None).id)
    asked = Counter(request["Key"] for request in calls.of("head_object") if "/data/" in request["Key"])
    assert len(asked) == 12
    assert set(asked.values()) == {1}
    assert len(calls.of("list_multipart_uploads")) == 1, "to clear away what may be left"


def test_a_file_that_is_missing_is_told_once_the_others_are_brought_home(
    bench: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.download.recovery.MISSING_FOR_S", -1.0)
    recording = bench.add(3 * bench.part, audio=MediaSource(SyntheticContent(3 * bench.part), "audio/mpeg"))
    others_begun = threading.Event()

    def gone(request: FileRequest) -> Answer | None:
        if request.name != recording.audio_name:
            others_begun.set()
            return None
        if request.start == 0:
            return None
        others_begun.wait(20)
        return Answer.xml(404, "NoSuchKey", "gone")

    bench.kit.file_faults = gone
    before, run = threading.active_count(), bench.run(concurrency=1)
    with pytest.raises(SourceMissing):
        run.archived(recording.id)
    assert bench.kit.wait_idle()
    assert f"data/video/{recording.video_name}" in bench.names(recording)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ThreadPool")] == []
    assert threading.active_count() <= before + 4, "those of the stand-in, which close with their connections"
    assert "bagit.txt" not in bench.names(recording)


def test_a_store_that_refuses_a_part_ends_a_file_larger_than_the_window(rclone: Archiving) -> None:
    def refuse(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "upload_part" and request["PartNumber"] == 2:
            raise refusal("AccessDenied", 403)
        return send()

    with pytest.raises(StoreRefused, match="AccessDenied"):
        rclone.run(refuse, part_size=8192, concurrency=2).archived(rclone.add(100 * 8192).id)


def test_an_upload_that_vanishes_in_mid_transfer_is_begun_again(bench: Archiving) -> None:
    def vanish(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "upload_part" and request["PartNumber"] == 2 and not aborted:
            aborted.append(request["UploadId"])
            bench.s3.abort_multipart_upload(Bucket=bench.bucket, Key=request["Key"], UploadId=request["UploadId"])
        return send()

    aborted: list[str] = []
    recording = bench.add(3 * bench.part)
    (file,) = bench.run(vanish).archived(recording.id).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()
    assert bench.left_over() == []


def test_an_upload_that_vanishes_again_and_again_is_given_up_as_worth_retrying(rclone: Archiving) -> None:
    def vanish(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "upload_part":
            raise refusal("NoSuchUpload", 404)
        return send()

    with pytest.raises(Exception, match="upload_part") as caught:
        rclone.run(vanish, part_size=8192, concurrency=2).archived(rclone.add(100 * 8192).id)
    assert getattr(caught.value, "retryable", False)


def test_a_completion_whose_answer_was_lost_costs_no_second_transfer(bench: Archiving) -> None:
    lost: list[str] = []

    def lose(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        if method == "complete_multipart_upload" and not lost:
            lost.append(method)
            raise refusal("InternalError", 500)
        return answer

    recording = bench.add(2 * bench.part)
    run = bench.run(lose)
    (file,) = run.archived(recording.id).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()
    assert sum(run.counted.read.values()) == 2 * bench.part


@pytest.mark.parametrize("may_delete", [True, False])
def test_bytes_that_the_store_changed_are_found_when_they_are_read_back(swift: Archiving, *, may_delete: bool) -> None:
    """An InvalidPart sends the run back to what is listed; only reading it back can show whose bytes these are."""
    tampered: list[str] = []

    def tamper(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "delete_object" and not may_delete:
            raise refusal("AccessDenied", 403)
        if method == "complete_multipart_upload" and not tampered:
            tampered.append(method)
            other = {name: request[name] for name in ("Key", "UploadId")}
            swift.s3.upload_part(Bucket=swift.bucket, PartNumber=1, Body=b"z" * swift.part, **other)
        return send()

    recording = swift.add(2 * swift.part)
    (file,) = swift.run(tamper).archived(recording.id).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()
    key = next(key for key in swift.stored_keys() if key.endswith(".mp4"))
    assert hashlib.sha256(swift.objects()[key]).hexdigest() == file.sha256


def test_an_object_of_another_size_than_the_file_is_never_taken_for_it(rclone: Archiving) -> None:
    def shorten(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        if method == "head_object":
            answer["ContentLength"] -= 1
        return answer

    with pytest.raises(StoredWrong, match="1000 bytes"):
        rclone.run(shorten).archived(rclone.add(1000).id)
    assert not any(key.endswith("bagit.txt") for key in rclone.stored_keys())


def test_progress_adds_up_to_the_files_sizes(bench: Archiving) -> None:
    recording = bench.add(2 * bench.part + 5, audio=MediaSource(b"s\0und", "audio/mpeg"))
    run = bench.run()
    run.archived(recording.id)
    assert run.counted.read == run.counted.sizes
    assert set(run.counted.already.values()) == {0}


def test_a_part_that_the_store_refuses_again_and_again_is_told_as_what_it_is(rclone: Archiving) -> None:
    recording = rclone.add(3 * rclone.part)

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "upload_part" and request["PartNumber"] == 2:
            raise refusal("BadDigest", 400)
        return send()

    with pytest.raises(StoredWrong, match="the store holds something else than was sent"):
        rclone.run(meddle).archived(recording.id)
    rclone.archived(recording)
    assert rclone.left_over(recording) == []
