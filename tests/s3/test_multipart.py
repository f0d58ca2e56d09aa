"""Multipart uploads on real stores: verified part by part, never completed with a gap, never mistaken for another."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from tasks.errors import StoredWrong, StoreRefused, UploadVanished
from tasks.s3.checksums import combine_crc64, crc64, encode_crc64
from tasks.s3.client import new_s3_client
from tasks.s3.multipart import Part, Store, Upload
from tests.support.meddling import losing_the_answer, once, raising, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.archiving import Archiving


def test_a_body_with_another_md5_than_stated_is_refused_and_nothing_is_stored(
    bench: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.s3.bucket.encode_md5", lambda _body: "CY9rzUYh03PK3k6DJie09g==")
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)
    with pytest.raises(StoredWrong, match="BadDigest") as caught:
        bench.run().store.put("key", b"bytes", "video/mp4")
    assert caught.value.retryable
    assert bench.stored_keys() == []


def test_swift_refuses_a_part_with_another_md5_and_keeps_the_upload(
    swift: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = swift.run().store
    upload = store.begin_upload("key", "video/mp4", {})
    monkeypatch.setattr("tasks.s3.multipart.encode_md5", lambda _body: "CY9rzUYh03PK3k6DJie09g==")
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)
    with pytest.raises(StoredWrong):
        store.put_part(upload, 1, b"bytes")
    assert store.parts(upload) == {}


def test_rclone_forgets_an_upload_after_a_wrong_md5_and_that_counts_as_vanished(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = rclone.run().store
    upload = store.begin_upload("key", "video/mp4", {})
    monkeypatch.setattr("tasks.s3.multipart.encode_md5", lambda _body: "CY9rzUYh03PK3k6DJie09g==")
    with pytest.raises(UploadVanished):
        store.put_part(upload, 1, b"bytes")


def test_parts_with_crc64nvme_are_verified_by_a_store_that_takes_it(
    swift: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = swift.run().store
    upload = Upload("key", store.begin_upload("key", "video/mp4", {}).id, checksummed=True)
    first, second = b"a" * swift.part, b"b" * 1000
    parts = [store.put_part(upload, 1, first), store.put_part(upload, 2, second)]
    assert combine_crc64((part.crc64, part.size) for part in parts) == crc64(first + second)
    monkeypatch.setattr("tasks.s3.multipart.encode_crc64", lambda _crc: encode_crc64(1))
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)
    with pytest.raises(StoredWrong, match="CRC64NVME"):
        store.put_part(upload, 3, b"c")
    monkeypatch.undo()
    assert store.complete(upload, parts).size == swift.part + 1000


def part_as_sent(bench: Archiving, body: bytearray) -> Any:
    """Store a part with a client of its own, look that it arrives whole, and return its request."""
    sent: list[Any] = []
    client: Any = new_s3_client(2)
    client.meta.events.register("before-send.s3.UploadPart", lambda request, **_: sent.append(request))
    store = Store(client, bench.bucket, 5)
    upload = store.begin_upload("key", "video/mp4", {})
    stored = store.complete(upload, [store.put_part(upload, 1, body)])
    assert b"".join(store.read(stored)) == body
    (request,) = sent
    return request


def test_a_part_is_signed_and_sent_without_a_copy_of_its_body(bench: Archiving) -> None:
    body = bytearray(b"a" * bench.part)
    request = part_as_sent(bench, body)
    assert request.body is body, "no copy is made of it"
    assert request.headers["X-Amz-Content-SHA256"] == b"UNSIGNED-PAYLOAD"
    assert b"content-md5" in request.headers["Authorization"]


def test_a_profile_that_wants_bodies_signed_has_them_signed(
    swift: Archiving, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / "config"
    profile.write_text("[default]\ns3 =\n  payload_signing_enabled = true\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(profile))
    body = bytearray(b"a" * swift.part)
    assert part_as_sent(swift, body).headers["X-Amz-Content-SHA256"] == hashlib.sha256(body).hexdigest().encode()


def test_no_store_here_announces_crc64nvme_so_parts_go_with_their_md5_until_it_is_asked(bench: Archiving) -> None:
    sent: list[dict[str, Any]] = []

    def watch(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "upload_part":
            sent.append(request)
        return send()

    store = bench.run(watch).store
    upload = store.begin_upload("key", "video/mp4", {})
    part = store.put_part(upload, 1, b"bytes")
    assert not upload.checksummed
    assert "ContentMD5" in sent[0]
    assert part.crc64 is None, "nobody would look at it"


def test_a_store_that_knows_no_checksums_gets_an_upload_without(rclone: Archiving) -> None:
    asked: list[bool] = []

    def refuse(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "create_multipart_upload":
            asked.append("ChecksumAlgorithm" in request)
            if asked[-1]:
                raise refusal("InvalidArgument", 400)
        return send()

    store = rclone.run(refuse).store
    for _ in range(2):
        assert not store.begin_upload("key", "video/mp4", {}).checksummed
    assert asked == [True, False, False]


def test_a_full_object_checksum_that_disagrees_is_found_at_once(bench: Archiving) -> None:
    def claim(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        if method == "head_object":
            answer |= {"ChecksumType": "FULL_OBJECT", "ChecksumCRC64NVME": encode_crc64(1)}
        return answer

    store = bench.run(claim).store
    upload = replace(store.begin_upload("key", "video/mp4", {}), checksummed=True)
    part = store.put_part(upload, 1, b"bytes")
    with pytest.raises(StoredWrong, match="got 0000000000000001"):
        store.complete(upload, [part])


def test_a_composite_checksum_is_not_taken_for_that_of_the_object(bench: Archiving) -> None:
    def claim(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        if method == "head_object":
            answer |= {"ChecksumType": "COMPOSITE", "ChecksumCRC64NVME": encode_crc64(1)}
        return answer

    store = bench.run(claim).store
    store.put("key", b"bytes", "video/mp4")
    assert store.verify("key", 5, crc64(b"bytes")).crc64 is None


def test_an_upload_that_is_no_more_counts_as_vanished_whatever_is_asked_of_it(bench: Archiving) -> None:
    store = bench.run().store
    upload = store.begin_upload("key", "video/mp4", {})
    part = store.put_part(upload, 1, b"bytes")
    store.abort(upload)
    store.abort(upload)
    asking: list[Callable[[], object]] = [
        lambda: store.put_part(upload, 2, b"bytes"),
        lambda: store.parts(upload),
        lambda: store.complete(upload, [part]),
    ]
    for ask in asking:
        with pytest.raises(UploadVanished):
            ask()
    assert bench.stored_keys() == bench.uploads() == []


def test_aborting_a_completed_upload_leaves_its_object_alone(bench: Archiving) -> None:
    store = bench.run().store
    upload = store.begin_upload("key", "video/mp4", {})
    store.complete(upload, [store.put_part(upload, 1, b"bytes")])
    store.abort(upload)
    assert store.get("key") == b"bytes"


def test_no_upload_is_completed_with_a_gap(bench: Archiving) -> None:
    store = bench.run().store
    upload = store.begin_upload("key", "video/mp4", {})
    part = store.put_part(upload, 1, b"bytes")
    for listed in ([], [Part(2, 5, part.etag)], [part, Part(3, 5, part.etag)], [part, part]):
        with pytest.raises(ValueError, match="parts are missing"):
            store.complete(upload, listed)
    assert store.complete(upload, [part]).size == 5


def test_the_same_bytes_stored_again_in_a_completed_upload_do_its_object_no_harm(swift: Archiving) -> None:
    store = swift.run().store
    upload = store.begin_upload("key", "video/mp4", {})
    bodies = [b"a" * swift.part, b"b" * swift.part, b"c"]
    parts = [store.put_part(upload, number, body) for number, body in enumerate(bodies, 1)]
    done = store.complete(upload, parts)
    for number, body in enumerate(bodies, 1):
        assert store.put_part(upload, number, body).etag == parts[number - 1].etag
    assert store.complete(upload, parts) == done
    assert b"".join(store.read(done)) == b"".join(bodies)


def test_an_upload_that_a_store_calls_no_key_counts_as_vanished(rclone: Archiving) -> None:
    """Ceph lists the parts of an upload that is over with NoSuchKey."""
    store = rclone.run(once("list_parts", raising(refusal("NoSuchKey", 404)))).store
    with pytest.raises(UploadVanished):
        store.parts(Upload("key", "id"))


def test_an_object_whose_parts_are_gone_is_told_from_one_that_is_whole(swift: Archiving) -> None:
    store = swift.run().store
    upload = store.begin_upload("key", "video/mp4", {})
    done = store.complete(upload, [store.put_part(upload, 1, b"a" * swift.part), store.put_part(upload, 2, b"b")])
    store.put_part(upload, 1, b"other")
    with pytest.raises(StoredWrong):
        list(store.read(done))


def test_a_part_whose_answer_was_lost_is_stored_once(bench: Archiving) -> None:
    store = bench.run(once("upload_part", losing_the_answer)).store
    upload = store.begin_upload("key", "video/mp4", {})
    part = store.put_part(upload, 1, b"bytes")
    assert part.etag.strip('"') == hashlib.md5(b"bytes", usedforsecurity=False).hexdigest()
    assert store.complete(upload, [part]).size == 5


def test_rclone_takes_no_other_bytes_for_a_part_and_says_so(rclone: Archiving) -> None:
    store = rclone.run().store
    upload = store.begin_upload("key", "video/mp4", {})
    store.put_part(upload, 1, b"bytes")
    with pytest.raises((StoreRefused, StoredWrong, UploadVanished)):
        store.complete(upload, [store.put_part(upload, 1, b"other")])


def test_a_completion_whose_answer_was_lost_is_proven_by_the_stores_checksum(rclone: Archiving) -> None:
    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = once_lost(method, request, send)
        if method == "head_object":
            answer |= {"ChecksumCRC64NVME": encode_crc64(crc64(b"bytes"))}
        return answer

    once_lost = once("complete_multipart_upload", losing_the_answer)
    store = rclone.run(meddle).store
    upload = replace(store.begin_upload("key", "video/mp4", {}), checksummed=True)
    assert store.complete(upload, [store.put_part(upload, 1, b"bytes")]).size == 5


def test_an_older_object_of_the_same_size_is_not_taken_for_what_a_vanished_upload_became(bench: Archiving) -> None:
    store = bench.run().store
    store.put("key", b"older", "video/mp4")
    upload = store.begin_upload("key", "video/mp4", {})
    part = store.put_part(upload, 1, b"newer")
    store.abort(upload)
    with pytest.raises(UploadVanished):
        store.complete(upload, [part])


def test_an_error_within_a_200_at_completion_is_no_success(bench: Archiving) -> None:
    answers = [b"<Error><Code>InternalError</Code><Message>try again</Message></Error>"]

    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield answers.pop()

    def intercept(request: Any, **_: Any) -> Any:
        return AWSResponse(request.url, 200, HTTPHeaders(), Raw()) if answers else None

    client = new_s3_client(1)
    client.meta.events.register_first("before-send.s3.CompleteMultipartUpload", intercept)
    store = Store(client, bench.bucket, 10)
    upload = store.begin_upload("key", "video/mp4", {})
    assert store.complete(upload, [store.put_part(upload, 1, b"bytes")]).size == 5
    assert answers == []
    assert store.get("key") == b"bytes"
