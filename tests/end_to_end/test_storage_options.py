"""How recordings are stored reaches every write, and what was stored in another way is not carried on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tasks.archive import is_made_of
from tasks.errors import ArchiveLocked, LocksUnsupported, StoredWrong, StoreRefused
from tasks.s3 import Part, StoredObject, crc64
from tests.standins.object_locks import ObjectLocks
from tests.support.archiving import Run
from tests.support.auditing import audited_by
from tests.support.bags import key_of
from tests.support.cataloguing import updated_by
from tests.support.meddling import once, raising
from tests.support.meddling import refusal as refusal_of_boto3
from tests.support.meetings import Meeting, transcript
from tests.torture.store.faults import Lost, refusal
from tests.torture.store.trouble import client_of

if TYPE_CHECKING:
    from tests.standins.archived_classes import ArchivedClasses
    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import Fault, StoreProxy
    from tests.torture.store.requests import StoreRequest

MAKING = {"PutObject", "CreateMultipartUpload"}
WRITING = {*MAKING, "UploadPart", "CompleteMultipartUpload", "DeleteObject", "AbortMultipartUpload"}
SSE = {"archive_sse": "aws:kms:key-1"}
LOCKED = {"archive_object_lock": "COMPLIANCE:7"}
ALL = SSE | {"archive_storage_class": "STANDARD_IA", "archive_tags": "a=b", "archive_acl": "bucket-owner-full-control"}
EVERYWHERE = {
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
    "x-amz-tagging": "a=b",
    "x-amz-acl": "bucket-owner-full-control",
}


def through(rclone: Archiving, storage: dict[str, str]) -> Run:
    """Return a run whose requests go through the proxy."""
    return Run(rclone.setup(storage=storage), client_of(rclone.server))


def made(proxy: StoreProxy) -> list[StoreRequest]:
    """Return the requests that make objects."""
    return [request for request in proxy.requests if request.operation in MAKING]


def test_every_write_goes_with_the_options_and_the_class_is_for_the_media_alone(
    rclone: Archiving, proxy: StoreProxy
) -> None:
    meeting = Meeting.at(rclone)
    meeting.put("transcript", transcript("Hello", "everyone", "there"))
    small, large = meeting.add_recording(), rclone.add(2 * rclone.part + 1)
    run = through(rclone, ALL)
    for recording in (small, large):
        run.archived(recording.id)
    run.archived(large.id, overwrite=True)
    run.archived_session(meeting.id)
    audited_by(run)
    updated_by(run)
    requests = made(proxy)
    for request in requests:
        assert EVERYWHERE.items() <= request.headers.items(), request.key
    classes = {request.key: request.headers.get("x-amz-storage-class") for request in requests}
    media = {key_of(rclone, small, "data/"), key_of(rclone, large, "data/")}
    assert {key for key, storage_class in classes.items() if storage_class} == media
    assert {classes[key] for key in media} == {"STANDARD_IA"}
    kinds = {"/unfinished/", "/bagit.txt", ".vtt", "/session-", "/_audit/", "/_catalog/"}
    assert {kind for kind in kinds if any(kind in key for key in classes)} == kinds, "there is one of each kind"


def test_without_options_nothing_is_sent(rclone: Archiving, proxy: StoreProxy) -> None:
    through(rclone, {}).archived(rclone.add(2 * rclone.part).id)
    sent = {name for request in made(proxy) for name in request.headers}
    names = (*EVERYWHERE, "x-amz-storage-class", "x-amz-object-lock-mode", "x-amz-meta-stored-as")
    assert sent.isdisjoint(names)


def test_a_bucket_that_takes_nothing_unencrypted_gets_nothing_unencrypted(rclone: Archiving, proxy: StoreProxy) -> None:
    def policy(request: StoreRequest) -> Fault | None:
        allowed = request.operation not in MAKING or "x-amz-server-side-encryption" in request.headers
        return None if allowed else refusal(403, "AccessDenied")

    proxy.start_over(policy)
    recording = rclone.add(9 * rclone.part)
    with pytest.raises(StoreRefused, match="AccessDenied"):
        through(rclone, {}).archived(recording.id)
    through(rclone, SSE).archived(recording.id)
    assert all("x-amz-server-side-encryption" in one.headers for one in made(proxy) if one not in proxy.struck)


# Locks


@pytest.fixture
def locks(proxy: StoreProxy) -> ObjectLocks:
    """A bucket with Object Lock."""
    locks = ObjectLocks()
    proxy.start_over(locks)
    return locks


def ends(lock: tuple[str, str]) -> datetime:
    return datetime.fromisoformat(lock[1])


def test_payload_and_tag_files_are_locked_before_the_marker_and_nothing_else_is(
    rclone: Archiving, proxy: StoreProxy, locks: ObjectLocks
) -> None:
    recording, began = rclone.add(2 * rclone.part), datetime.now(UTC).replace(microsecond=0)
    run = through(rclone, LOCKED)
    run.archived(recording.id)
    audited_by(run)
    folder = rclone.folder(recording)
    assert {key.removeprefix(folder) for key in locks.locked} == rclone.names(recording)
    assert list(locks.locked)[-1] == f"{folder}bagit.txt"
    assert {mode for mode, _ in locks.locked.values()} == {"COMPLIANCE"}
    (until,) = {ends(lock) for lock in locks.locked.values()}
    assert began <= until - timedelta(days=7) <= datetime.now(UTC)
    order = [request for request in proxy.requests if request.operation in WRITING and "retention" in request.query]
    marker = next(one for one in made(proxy) if one.key.endswith("/bagit.txt"))
    assert all(request.number < marker.number for request in order)


def test_a_locked_archive_is_not_overwritten_and_no_byte_is_fetched_for_that(
    rclone: Archiving, proxy: StoreProxy, locks: ObjectLocks
) -> None:
    recording = rclone.add(2 * rclone.part)
    through(rclone, LOCKED).archived(recording.id)
    number = len(proxy.requests)
    run = through(rclone, {})
    with pytest.raises(ArchiveLocked, match=r"COMPLIANCE until 20.* UTC\. Nothing was replaced") as caught:
        run.archived(recording.id, overwrite=True)
    assert not caught.value.retryable
    assert not run.counted.read
    assert not [request for request in proxy.requests[number:] if request.operation in WRITING]
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    for key in list(locks.locked):
        locks.lock(key, "COMPLIANCE", past)
    run.archived(recording.id, overwrite=True)
    assert locks.locked == {}


def test_a_lock_that_head_conceals_counts_for_whoever_locks(rclone: Archiving, proxy: StoreProxy) -> None:
    locks, recording = ObjectLocks(), rclone.add(1000)
    proxy.start_over(locks)
    through(rclone, LOCKED).archived(recording.id)
    proxy.start_over(lambda request: None if request.operation == "HeadObject" else locks(request))
    with pytest.raises(ArchiveLocked):
        through(rclone, LOCKED).archived(recording.id, overwrite=True)


def test_a_store_that_ignores_the_lock_of_the_marker_never_holds_a_bag(
    rclone: Archiving, proxy: StoreProxy, locks: ObjectLocks
) -> None:
    def ignore(request: StoreRequest) -> Fault | None:
        fault = locks(request)
        if request.operation == "PutObject" and "retention" not in request.query:
            locks.locked.pop(request.key, None)
        return fault

    proxy.start_over(ignore)
    recording, meeting = rclone.add(1000), Meeting.at(rclone)
    meeting.put("transcript", transcript("Hello"))
    for _ in range(2):
        with pytest.raises(StoredWrong, match="expected the lock COMPLIANCE until"):
            through(rclone, LOCKED).archived(recording.id)
        with pytest.raises(StoredWrong, match="expected the lock COMPLIANCE until"):
            through(rclone, LOCKED).archived_session(meeting.id)
    assert not [key for key in rclone.stored_keys() if key.endswith("bagit.txt")]


def test_a_marker_whose_answer_is_lost_is_locked_all_the_same(
    rclone: Archiving, proxy: StoreProxy, locks: ObjectLocks
) -> None:
    markers: list[str] = []

    def lose(request: StoreRequest) -> Fault | None:
        if request.operation != "PutObject" or not request.key.endswith("/bagit.txt") or "retention" in request.query:
            return locks(request)
        markers.append(request.key)
        return Lost() if len(markers) == 1 else refusal(412, "PreconditionFailed")

    proxy.start_over(lose)
    recording = rclone.add(1000)
    through(rclone, LOCKED).archived(recording.id)
    assert len(markers) == 2
    assert markers[0] in locks.locked


def test_of_two_runs_that_overwrite_the_later_one_finds_the_lock_of_the_first(
    rclone: Archiving, locks: ObjectLocks
) -> None:
    recording = rclone.add(2 * rclone.part)
    through(rclone, {}).archived(recording.id)
    late = through(rclone, {})
    moved = late.move(recording.id, replace=True)
    through(rclone, LOCKED).archived(recording.id, overwrite=True)
    locked = dict(locks.locked)
    with pytest.raises(ArchiveLocked):
        late.commit(recording.id, moved, overwrite=True)
    assert locks.locked == locked


def test_a_store_that_knows_no_locks_is_told_before_anything_is_stored(rclone: Archiving) -> None:
    recording, meeting, run = rclone.add(1000), Meeting.at(rclone), rclone.run(storage=LOCKED)
    with pytest.raises(LocksUnsupported, match="has no Object Lock, and ARCHIVE_OBJECT_LOCK is set"):
        run.archived(recording.id)
    with pytest.raises(LocksUnsupported):
        run.archived_session(meeting.id)
    assert rclone.stored_keys() == []


# What was begun, or stored, in another way


@pytest.mark.parametrize(("first", "then"), [({}, ALL), (ALL, {}), (ALL, ALL)])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_run_carries_on_only_what_was_stored_in_the_same_way(
    rclone: Archiving, first: dict[str, str], then: dict[str, str], parts: int
) -> None:
    recording = rclone.add(parts * rclone.part)
    failing = "put_object" if parts == 1 else "complete_multipart_upload"
    action = raising(refusal_of_boto3("AccessDenied", 403))
    if parts == 1:
        rclone.run(storage=first).move(recording.id)
    else:
        with pytest.raises(StoreRefused):
            rclone.run(once(failing, action), storage=first).archived(recording.id)
    run = rclone.run(storage=then)
    run.archived(recording.id)
    assert (sum(run.counted.read.values()) == 0) is (first == then)
    assert rclone.left_over() == []


# A class that nobody can read


def test_a_recording_goes_into_an_archived_class_without_being_read_back(
    rclone: Archiving, cold: ArchivedClasses
) -> None:
    for recording in (rclone.add(3 * rclone.part), rclone.add(1000)):
        folder = rclone.folder(recording)
        cold.freeze([f"{folder}data/video/{recording.video_name}"])
        run = through(rclone, {"archive_storage_class": "GLACIER"})
        run.archived(recording.id)
        assert run.archived(recording.id).already_archived
    found = audited_by(run)
    assert (found.findings, found.report.unread) == ({}, ())


_PARTS = [
    Part(1, 2, "187ef4436122d1cc2f40dc2b92f0eba0", crc64(b"ab")),
    Part(2, 1, "4a8a08f09d37b73795649038408b5f33", crc64(b"c")),
]
_ETAG = "d833159094d1d7ad96ffcc78414e3682-2"


@pytest.mark.parametrize(
    ("stored", "proved"),
    [
        (StoredObject("key", 3, "of-another-kind", crc64=crc64(b"abc")), True),
        (StoredObject("key", 3, f'"{_ETAG}"', crc64=crc64(b"abd")), False),
        (StoredObject("key", 3, f'"{_ETAG}"'), True),
        (StoredObject("key", 3, "of-another-kind"), False),
        (StoredObject("key", 4, f'"{_ETAG}"'), False),
    ],
)
def test_what_nobody_can_read_is_proved_by_the_stores_checksum_or_by_its_etag(
    stored: StoredObject, *, proved: bool
) -> None:
    assert is_made_of(stored, _PARTS) is proved
    assert not is_made_of(stored, [])


def test_parts_that_went_with_their_md5_are_proved_by_the_etag_whatever_else_the_store_keeps() -> None:
    parts = [replace(part, crc64=None) for part in _PARTS]
    assert is_made_of(StoredObject("key", 3, f'"{_ETAG}"', crc64=crc64(b"abc")), parts)
    assert not is_made_of(StoredObject("key", 3, "of-another-kind", crc64=crc64(b"abc")), parts)


def test_of_an_interrupted_file_in_such_a_class_nothing_is_carried_on_or_left(rclone: Archiving) -> None:
    recording, glacier = rclone.add(3 * rclone.part), {"archive_storage_class": "GLACIER"}
    error = raising(refusal_of_boto3("AccessDenied", 403))
    with pytest.raises(StoreRefused):
        rclone.run(once("upload_part", error), storage=glacier).archived(recording.id)
    assert (rclone.uploads(), rclone.left_over()) == ([], [])
    run = rclone.run(storage=glacier)
    run.archived(recording.id)
    assert sum(run.counted.read.values()) == 3 * rclone.part
