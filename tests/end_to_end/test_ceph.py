"""How recordings are stored, on a store that keeps to it: Ceph's gateway locks, encrypts, tags and has classes."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import write_tombstone
from tasks.doctor import ScratchPrefix, run_checks
from tasks.doctor.store_checks import StoreChecks
from tasks.errors import ArchiveLocked, LocksUnsupported, StoreRefused
from tasks.s3 import new_s3_client
from tasks.text import Redactor
from tests.standins.ceph import COLDER, KMS_KEY, CephStore, missing_programs
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.archiving import Archiving
from tests.support.auditing import audited
from tests.support.expiring import WHO, Expiring
from tests.support.meddling import Failing
from tests.support.meetings import Meeting, transcript
from tests.support.restoring import restored
from tests.torture.stage import CONNECTIONS, lead_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.standins.realtimekit import RealtimeKitStandIn

pytestmark = pytest.mark.ceph

LOCKED = {"archive_object_lock": "GOVERNANCE:30"}
ALL = LOCKED | {
    "archive_storage_class": COLDER,
    "archive_sse": f"aws:kms:{KMS_KEY}",
    "archive_tags": "team=video&kind=recording of a meeting",
    "archive_acl": "bucket-owner-full-control",
}
MIN_DAYS, MAX_DAYS = timedelta(days=29, hours=23), timedelta(days=30)
TAGS = {"bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt", "recording.json"}


@pytest.fixture(scope="module")
def ceph_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephStore]:
    if missing := missing_programs():
        pytest.skip(f"needs Debian's radosgw, ceph-mon and ceph-osd: {', '.join(missing)} are not installed")
    with CephStore(tmp_path_factory.mktemp("ceph") / "cluster") as running:
        yield running


@dataclass
class Bench(Archiving):
    """An archive in a bucket of Ceph's."""

    def heads(self) -> dict[str, dict[str, Any]]:
        """Return how the store describes each object."""
        return {key: self.s3.head_object(Bucket=self.bucket, Key=key) for key in self.stored_keys()}

    def versions(self) -> list[tuple[str, str]]:
        """Return all versions and delete markers, with their keys."""
        listed = self.s3.list_object_versions(Bucket=self.bucket)
        return [
            (item["Key"], item["VersionId"]) for kind in ("Versions", "DeleteMarkers") for item in listed.get(kind, ())
        ]

    def locks(self) -> dict[str, Any]:
        """Return until when which object is locked, by the names at the ends of the keys."""
        stated = {key: head.get("ObjectLockRetainUntilDate") for key, head in self.heads().items()}
        return {key: until for key, until in stated.items() if until is not None}

    def end_lock(self, key: str, version: str, at: datetime) -> None:
        """Let the lock of a version end at a time."""
        self.s3.put_object_retention(
            Bucket=self.bucket, Key=key, VersionId=version, BypassGovernanceRetention=True,
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": at},
        )  # fmt: skip


@pytest.fixture
def ceph(ceph_server: CephStore, kit: RealtimeKitStandIn, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An archive in a fresh bucket that has Object Lock."""
    lead_to(ceph_server, monkeypatch)
    client: Any = new_s3_client(CONNECTIONS)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return Bench(kit, ceph_server, client, bucket)


@pytest.fixture
def plain(ceph: Bench) -> Bench:
    """An archive in a fresh bucket without Object Lock, and so without versions."""
    ceph.bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    ceph.s3.create_bucket(Bucket=ceph.bucket)
    return ceph


def wait_for(until: datetime) -> None:
    """Wait until a lock has ended."""
    while datetime.now(UTC) <= until:
        time.sleep(0.1)


def looked(bench: Bench, **storage: str) -> dict[str, tuple[str, str]]:
    """Return what the doctor says of the store, by the name of the check."""
    options = bench.setup(storage=storage).settings().storage_options
    scratch = ScratchPrefix(new_s3_client(8), bench.bucket, "pre", options)
    try:
        checks = StoreChecks(scratch, "pre/app/", "the endpoint", lambda _: None).checks()
        found = run_checks(checks, 25, lambda _: None, Redactor({}))
    finally:
        assert scratch.close(5) == []
    return {finding.name: (finding.status, finding.told) for finding in found}


def test_every_object_is_stored_as_the_settings_say_and_a_bag_is_locked_as_a_whole(ceph: Bench, tmp_path: Path) -> None:
    small = MediaSource(SyntheticContent(1000), "audio/mpeg")
    recording = ceph.add(2 * ceph.part + 1, audio=small)
    began = datetime.now(UTC)
    ceph.archived(recording, storage=ALL)
    folder = ceph.folder(recording)
    heads, media = ceph.heads(), [key for key in ceph.stored_keys() if key.startswith(f"{folder}data/")]
    assert len(media) == 2
    assert {key.removeprefix(folder) for key in heads.keys() - set(media)} == TAGS
    assert {head["SSEKMSKeyId"] for head in heads.values()} == {KMS_KEY}
    assert {key for key, head in heads.items() if head.get("StorageClass") == COLDER} == set(media)
    tagged = {key for key, head in heads.items() if head.get("TagCount") == 2}
    assert heads.keys() - tagged == {key for key in media if "video" in key}, "Ceph forgets those of parts"
    assert ceph.locks().keys() == heads.keys()
    assert all(began + MIN_DAYS < until <= datetime.now(UTC) + MAX_DAYS for until in ceph.locks().values())
    for key, version in ceph.versions():
        if key in heads and version == heads[key]["VersionId"]:
            with pytest.raises(ceph.s3.exceptions.ClientError, match="AccessDenied"):
                ceph.s3.delete_object(Bucket=ceph.bucket, Key=key, VersionId=version)
    assert (audited(ceph).findings, audited(ceph).reread) == ({}, {recording.id})
    assert restored(ceph, tmp_path / "home", recording).problems == 0


def test_a_locked_archive_is_not_overwritten_and_nothing_of_it_changes_until_the_lock_ends(ceph: Bench) -> None:
    recording = ceph.add(1000)
    ceph.archived(recording, storage=LOCKED)
    before = ceph.versions()
    with pytest.raises(ArchiveLocked, match=r"is locked: GOVERNANCE until 20\d\d-\d\d-\d\d \d\d:\d\d UTC") as caught:
        ceph.archived(recording, overwrite=True)
    assert not caught.value.retryable
    assert ceph.versions() == before
    assert ceph.archived(recording, storage=LOCKED).already_archived
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    for key, version in ceph.versions():
        ceph.end_lock(key, version, soon)
    wait_for(soon)
    ceph.archived(recording, overwrite=True, storage=LOCKED)
    assert min(ceph.locks().values()) > datetime.now(UTC) + MIN_DAYS


@pytest.mark.parametrize("method", ["put_object bagit.txt", "put_object_retention"])
def test_a_run_that_dies_before_the_marker_leaves_no_bag_and_the_next_one_locks_it(ceph: Bench, method: str) -> None:
    recording = ceph.add(2 * ceph.part)
    counted = Failing(1000)
    ceph.run(counted, storage=LOCKED).archived(ceph.add(2 * ceph.part).id)
    name, _, ending = method.partition(" ")
    number = next(n for n, call in enumerate(counted.calls, 1) if call.startswith(name + " ") and call.endswith(ending))
    failing = Failing(number)
    with pytest.raises(StoreRefused):
        ceph.run(failing, storage=LOCKED).archived(recording.id)
    assert "bagit.txt" not in ceph.names(recording)
    ceph.archived(recording, storage=LOCKED)
    assert ceph.locks().keys() == set(ceph.stored_keys())
    assert audited(ceph).findings == {}


def test_a_bag_that_states_missing_files_is_not_locked_and_the_whole_one_that_replaces_it_is(ceph: Bench) -> None:
    tracks = {f"{number}.webm": MediaSource(SyntheticContent(1000, seed=number), "video/webm") for number in range(2)}
    recording = ceph.add(tracks={"default": tracks}, file_size=None, without_url=["default/1.webm"])
    ceph.archived(recording, partial=True, storage=LOCKED)
    assert ceph.locks() == {}
    recording.without_url = ()
    ceph.archived(recording, storage=LOCKED)
    assert ceph.locks().keys() == set(ceph.stored_keys())


def test_a_deletion_leaves_no_version_and_what_is_locked_is_told_until_its_lock_ends(
    ceph: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    expiring, free, locked = Expiring(ceph, monkeypatch), ceph.add(2 * ceph.part), ceph.add(1000)
    ceph.archived(free)
    ceph.archived(free, overwrite=True)
    ceph.archived(locked, storage=LOCKED)
    (until,), versions = set(ceph.locks().values()), ceph.versions()
    report, problem = expiring.incomplete(recording_ids=(free.id, locked.id), **WHO)
    states = {its.id: its.state for its in report.deleted if its.kind == "recording"}
    assert states == {free.id: "deleted", locked.id: "hidden"}
    assert f"a lock of the store keeps older versions, 6 of them, until {until:%Y-%m-%d %H:%M} UTC" in problem
    assert expiring.rest() == set()
    left = [(key, version) for key, version in ceph.versions() if "/_deleted/" not in key]
    assert {item for item in left if item in versions} == {item for item in versions if locked.id in item[0]}
    assert not [key for key, _ in left if free.id in key]
    assert {its.state for its in expiring.run().unfinished if its.id == locked.id} == {"hidden"}
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    for key, version in (item for item in versions if locked.id in item[0]):
        ceph.end_lock(key, version, soon)
    stone = expiring.tombstone(ceph.folder(locked))
    assert stone is not None
    ended = tuple(its.model_copy(update={"until": soon}) for its in stone.remains)
    write_tombstone(ceph.run().store, "archive/", stone.model_copy(update={"remains": ended}))
    wait_for(soon)
    assert "deleted" in {its.state for its in expiring.run().unfinished if its.id == locked.id}
    assert not [key for key, _ in ceph.versions() if "/_deleted/" not in key and locked.id in key]


def test_a_version_of_a_session_is_locked_and_the_next_version_is_written_beside_it(ceph: Bench) -> None:
    meeting = Meeting.at(ceph)
    meeting.put("transcript", transcript("Hello"))
    run = ceph.run(storage=ALL)
    assert run.archived_session(meeting.id).version == 1
    assert {key for key, head in ceph.heads().items() if head.get("StorageClass") == COLDER} == set()
    assert ceph.locks().keys() == set(ceph.stored_keys())
    meeting.put("transcript", transcript("Hello", "everyone"))
    assert run.archived_session(meeting.id).version == 2
    assert ceph.locks().keys() == set(ceph.stored_keys())
    assert (meeting.wrong(), audited(ceph).findings) == ([], {})


def test_an_upload_that_was_begun_in_another_class_is_not_carried_on(ceph: Bench) -> None:
    recording = ceph.add(3 * ceph.part)
    run = ceph.run(Failing(4))
    with pytest.raises(StoreRefused):
        run.archived(recording.id)
    assert len(ceph.uploads()) == 1
    colder = ceph.run(storage={"archive_storage_class": COLDER})
    colder.archived(recording.id)
    assert sum(colder.counted.already.values()) == 0
    assert [head["StorageClass"] for key, head in ceph.heads().items() if "/data/" in key] == [COLDER]
    assert ceph.left_over() == []


def test_without_object_lock_nothing_is_stored_at_all(plain: Bench) -> None:
    with pytest.raises(LocksUnsupported):
        plain.archived(plain.add(1000), storage=LOCKED)
    with pytest.raises(LocksUnsupported):
        plain.run(storage=LOCKED).archived_session(Meeting.at(plain).id)
    assert plain.stored_keys() == []


def test_a_policy_that_demands_encryption_is_met(plain: Bench) -> None:
    # Of uploads in parts, this version of Ceph lets a policy see no header.
    statement = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{plain.bucket}/*",
        "Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"}},
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    plain.s3.put_bucket_policy(Bucket=plain.bucket, Policy=policy)
    recording, sse = plain.add(1000), {"archive_sse": f"aws:kms:{KMS_KEY}"}
    with pytest.raises(StoreRefused, match="AccessDenied"):
        plain.archived(recording)
    plain.archived(recording, storage=sse)
    meeting = Meeting.at(plain)
    meeting.put("transcript", transcript("Hello"))
    plain.run(storage=sse).archived_session(meeting.id)
    assert {head["ServerSideEncryption"] for head in plain.heads().values()} == {"aws:kms"}


def test_the_doctor_tells_what_ceph_does_with_each_option(ceph: Bench) -> None:
    found = looked(ceph, **ALL)
    assert {name for name, (status, _) in found.items() if status != "ok"} == {"tags"}
    assert found["tags"] == ("warning", "ignored for objects made of parts: they do not keep them")
    assert found["object lock"][1].startswith("honoured, tried with a lock of ")
    assert found["storage class"][1].startswith(f"honoured: files of recordings are stored as {COLDER}")
    silent = looked(ceph, archive_sse="AES256", archive_storage_class="GLACIER")
    assert silent["encryption"][0] == "failed"
    assert silent["encryption"][1].startswith("ignored: ")
    assert silent["storage class"] == ("failed", "refused: InvalidArgument, no message")


def test_the_doctor_tells_of_a_bucket_without_object_lock(plain: Bench) -> None:
    assert looked(plain, **LOCKED)["object lock"] == (
        "failed", "the bucket has no Object Lock: nothing would be archived there",
    )  # fmt: skip
