"""Stores that list uploads to an exact key only, as MinIO does, or none at all: they are found by our own records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import SourceUnavailable
from tests.standins.realtimekit import Answer
from tests.support.meddling import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import FileRequest, StandInRecording
    from tests.support.archiving import Archiving

PARTS = 3


def to_an_exact_key_only(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
    answer = send()
    if method == "list_multipart_uploads":
        answer["Uploads"] = [upload for upload in answer.get("Uploads", []) if upload["Key"] == request["Prefix"]]
    return answer


def not_at_all(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
    if method == "list_multipart_uploads":
        raise refusal("NotImplemented", 501)
    return send()


listing = pytest.mark.parametrize("meddle", [to_an_exact_key_only, not_at_all])


def interrupted(bench: Archiving, meddle: Callable[..., Any]) -> StandInRecording:
    """Let a run end when two of three parts are stored."""
    recording = bench.add(PARTS * bench.part)

    def gone_at_the_end(request: FileRequest) -> Answer | None:
        return Answer.slow_down(3600) if request.start >= (PARTS - 1) * bench.part else None

    bench.kit.file_faults = gone_at_the_end
    with pytest.raises(SourceUnavailable):
        bench.run(meddle, concurrency=1).archived(recording.id)
    bench.kit.file_faults = []
    assert bench.kit.wait_idle()
    return recording


@listing
def test_an_upload_that_the_store_does_not_list_is_carried_on(bench: Archiving, meddle: Callable[..., Any]) -> None:
    recording = interrupted(bench, meddle)
    run = bench.run(meddle)
    run.archived(recording.id)
    assert sum(run.counted.read.values()) == bench.part
    assert bench.left_over() == []


@listing
def test_an_upload_that_the_store_does_not_list_is_aborted_when_the_recording_is_committed(
    bench: Archiving, meddle: Callable[..., Any]
) -> None:
    recording = interrupted(bench, meddle)
    assert recording.video is not None
    recording.video.replace(b"another\0video")
    bench.run(meddle).archived(recording.id)
    assert bench.left_over() == []


@listing
def test_records_of_uploads_that_are_over_or_tell_nothing_do_no_harm(
    bench: Archiving, meddle: Callable[..., Any]
) -> None:
    recording = interrupted(bench, meddle)
    (key,) = [key for key in bench.stored_keys() if "/unfinished/" in key]
    (upload,) = bench.run().store.uploads("")
    bench.s3.abort_multipart_upload(Bucket=bench.bucket, Key=upload.key, UploadId=upload.id)
    for number, junk in enumerate([b"", b"[]", b"{", b'{"key": 1}', b'{"key": "elsewhere", "upload_id": "x"}']):
        bench.s3.put_object(Bucket=bench.bucket, Key=f"{key}{number}", Body=junk)
    bench.run(meddle).archived(recording.id)
    assert bench.left_over() == []
