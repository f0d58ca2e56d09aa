"""What a store takes, refuses and ignores is found out by trying, and the bucket is left as it was."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tasks.doctor import store_behaviour
from tasks.doctor.clock_skew import ClockSkew
from tasks.doctor.runner import run_checks
from tasks.doctor.scratch_prefix import ScratchPrefix
from tasks.doctor.store_checks import ANSWER_TIMEOUT_S, StoreChecks, note_dates
from tasks.errors import ArchiverError, TransferStopped
from tasks.s3.checksums import crc64, encode_crc64
from tasks.s3.client import new_s3_client
from tasks.text.redaction import Redactor
from tests.clock import with_rclone
from tests.standins.stores import RcloneStore, Store
from tests.support.meddling import Meddled, refusal
from tests.torture.stage import lead_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tasks.doctor.runner import Finding
    from tests.support.archiving import Archiving

ALL = [
    "credentials", "bucket", "write", "read", "delete", "multipart", "Content-MD5", "CRC64NVME", "If-None-Match",
    "unequal parts",
]  # fmt: skip
AS_THEY_WERE = {"kept.txt": b"", "pre/_audit/doctor": b"", "pre/_audit/doctor-x/y": b""}


def looked(client: Any, bucket: str) -> dict[str, Finding]:
    """Return what is found, by name, once all is cleared away."""
    scratch = ScratchPrefix(client, bucket, "pre")
    redactor = Redactor({})
    try:
        found = run_checks(
            StoreChecks(scratch, "pre/app/", "the endpoint", redactor.add).checks(), 25, lambda _: None, redactor
        )
    finally:
        left = scratch.close(5)
    assert left == []
    assert [finding.name for finding in found] == ALL
    return {finding.name: finding for finding in found}


def states(found: dict[str, Finding]) -> str:
    return "".join(finding.status[0] for finding in found.values())


def put(of: Archiving, *keys: str) -> None:
    for key in keys:
        of.s3.put_object(Bucket=of.bucket, Key=key, Body=b"")


def test_a_store_does_all_and_says_how_and_the_bucket_stays_as_it_was(bench: Archiving) -> None:
    put(bench, *AS_THEY_WERE)
    found = looked(bench.s3, bench.bucket)
    assert states(found) == "o" * len(ALL)
    swift = bench.server.name == "swift"
    assert found["If-None-Match"].told.startswith("* is kept to" if swift else "* is ignored")
    crc64 = (
        "verified for each part, though not announced"
        if swift
        else "not verified for uploads: parts go with Content-MD5"
    )
    assert found["CRC64NVME"].told.startswith(crc64)
    assert found["Content-MD5"].told.startswith("a wrong one is refused")
    assert found["unequal parts"].told.startswith("taken;")
    assert bench.objects() == AS_THEY_WERE
    assert bench.uploads() == []


def test_a_bucket_that_is_not_there_is_told_and_nothing_is_tried(bench: Archiving) -> None:
    found = looked(bench.s3, "no-such-bucket")
    assert states(found) == "of" + "s" * 8
    assert "NoSuchBucket" in found["bucket"].told


def test_wrong_keys_are_told_and_shown_nowhere(bench: Archiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "quite-another-secret-key")
    found = looked(new_s3_client(8), bench.bucket)
    assert states(found) == "of" + "s" * 8
    assert "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in found["bucket"].told
    shown = " ".join(str(finding) for finding in found.values())
    assert "quite-another-secret-key" not in shown
    assert bench.server.access_key not in shown


def test_no_keys_at_all_are_told_before_anything_is_asked(swift: Archiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    found = looked(swift.s3, swift.bucket)
    assert (states(found), found["credentials"].told) == ("f" + "s" * 9, "boto3 finds none")
    monkeypatch.setenv("AWS_PROFILE", "nobody's")
    assert "ProfileNotFound" in looked(swift.s3, swift.bucket)["credentials"].told


class ReadOnly(RcloneStore):
    """rclone over a folder that it may not write to."""

    def _command(self) -> list[str]:
        return [*super()._command(), "--read-only"]


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    (tmp_path / "archive").mkdir()
    with ReadOnly(tmp_path) as running:
        lead_to(running, monkeypatch)
        yield running


@with_rclone
def test_a_store_that_may_only_be_read_is_told(read_only: Store) -> None:
    found = looked(new_s3_client(8), "archive")
    assert states(found) == "oof" + "s" * 7
    assert found["write"].told.startswith("the bucket may be listed, but not written: ")
    assert not list(read_only.folder.rglob("doctor*"))


def test_a_dead_store_is_told_in_seconds(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    found = looked(new_s3_client(8, ANSWER_TIMEOUT_S), rclone.bucket)
    assert states(found) == "of" + "s" * 8
    assert "Check that it runs" in found["bucket"].told


# Dialects of stores that do not run here, made of one that does


def test_a_store_that_takes_whatever_comes_is_a_warning(rclone: Archiving) -> None:
    def careless(_name: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        request.pop("ContentMD5", None)
        return send()

    found = looked(Meddled(rclone.s3, careless), rclone.bucket)
    assert found["Content-MD5"].status == "warning"
    assert "not refused for objects and parts" in found["Content-MD5"].told


@pytest.mark.parametrize(("verifies", "status"), [("nothing", "warning"), ("parts", "ok"), ("all", "ok")])
def test_a_store_that_confirms_crc64nvme_is_put_to_the_test(rclone: Archiving, verifies: str, status: str) -> None:
    right: list[Any] = []

    def dialect(name: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        checksum = request.get("ChecksumCRC64NVME")
        if name == "upload_part" and checksum and verifies != "nothing" and not right:
            right.append(checksum)
            raise refusal("BadDigest", 400)
        if name == "complete_multipart_upload" and checksum and verifies == "all":
            raise refusal("BadDigest", 400)
        said = send()
        if name == "create_multipart_upload" and "ChecksumAlgorithm" in request and request["Key"].endswith("/crc64"):
            said["ChecksumAlgorithm"] = "CRC64NVME"
        return said

    found = looked(Meddled(rclone.s3, dialect), rclone.bucket)["CRC64NVME"]
    begins = {"nothing": "confirmed, but", "parts": "verified for each part; of", "all": "verified, for each part and"}
    assert (found.status, found.told.startswith(begins[verifies])) == (status, True)


def test_a_store_that_refuses_to_be_asked_for_checksums_is_fine_and_that_is_said(rclone: Archiving) -> None:
    def dialect(_name: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if "ChecksumMode" in request:
            raise refusal("400", 400)
        return send()

    found = looked(Meddled(rclone.s3, dialect), rclone.bucket)
    assert states(found) == "o" * len(ALL)
    assert found["write"].told.endswith("its checksum is asked for is refused, so it is left out")


@pytest.mark.parametrize(
    ("code", "advice"), [("ExpiredToken", "put new ones where they come from"), ("AccessDenied", "need to list, read")]
)
def test_only_a_refusal_for_lack_of_rights_blames_rights(rclone: Archiving, code: str, advice: str) -> None:
    def dialect(name: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if name == "head_object":
            raise refusal("400", 400)
        if name == "get_object":
            raise refusal(code, 400)
        return send()

    found = looked(Meddled(rclone.s3, dialect), rclone.bucket)["write"]
    assert (found.status, advice in found.advice) == ("failed", True)


def test_a_store_that_refuses_the_checksum_of_the_whole_is_not_said_to_verify_it(rclone: Archiving) -> None:
    def dialect(name: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if name == "upload_part" and request.get("ChecksumCRC64NVME") == wrong:
            raise refusal("BadDigest", 400)
        if name == "complete_multipart_upload" and "ChecksumCRC64NVME" in request:
            raise refusal("NotImplemented", 501)
        said = send()
        if name == "create_multipart_upload" and "ChecksumAlgorithm" in request and request["Key"].endswith("/crc64"):
            said["ChecksumAlgorithm"] = "CRC64NVME"
        return said

    wrong = encode_crc64(crc64(store_behaviour._OTHER))
    found = looked(Meddled(rclone.s3, dialect), rclone.bucket)["CRC64NVME"]
    assert found.told.startswith("verified for each part; of the whole, it is compared")


def test_an_address_that_names_the_bucket_is_told_with_the_right_one_and_nothing_is_stored(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"{rclone.server.endpoint_url}/{rclone.bucket}/")
    found = looked(new_s3_client(8), rclone.bucket)
    assert states(found) == "of" + "s" * 8
    assert f"to {rclone.server.endpoint_url};" in found["bucket"].told
    assert rclone.stored_keys() == []


def test_a_store_like_r2_refuses_unequal_parts_and_nothing_follows(rclone: Archiving) -> None:
    def dialect(name: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if name == "complete_multipart_upload" and len(request["MultipartUpload"]["Parts"]) > 1:
            raise refusal("InvalidPart", 400)
        return send()

    found = looked(Meddled(rclone.s3, dialect), rclone.bucket)
    assert found["unequal parts"].told.startswith("refused (InvalidPart); nothing follows")
    assert states(found) == "o" * len(ALL)
    assert rclone.objects() == {}
    assert rclone.uploads() == []


def test_a_hiccup_is_no_finding_and_an_outage_is_not_taken_for_an_answer(rclone: Archiving) -> None:
    seen: dict[tuple[str, str], int] = {}

    def away(name: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        call = name, str(request.get("Key")).rpartition("/")[2]
        seen[call] = seen.get(call, 0) + 1
        if seen[call] == 1 or call[1] == "md5":
            raise refusal("SlowDown", 503)
        return send()

    found = looked(Meddled(rclone.s3, away), rclone.bucket)
    assert {name for name, finding in found.items() if finding.status == "failed"} == {"Content-MD5"}
    assert "SlowDown" in found["Content-MD5"].told


@pytest.mark.parametrize(("code", "status"), [("NotImplemented", "ok"), ("AccessDenied", "failed")])
def test_a_store_that_knows_no_condition_is_fine_and_one_that_forbids_it_is_not(
    rclone: Archiving, code: str, status: str
) -> None:
    def dialect(_name: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if "IfNoneMatch" in request:
            raise refusal(code, 400)
        return send()

    assert looked(Meddled(rclone.s3, dialect), rclone.bucket)["If-None-Match"].status == status


def test_uploads_that_a_store_does_not_list_are_ended_all_the_same(swift: Archiving) -> None:
    def dialect(name: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if name == "list_multipart_uploads":
            raise refusal("NotImplemented", 501)
        return send()

    found = looked(Meddled(swift.s3, dialect), swift.bucket)
    assert found["multipart"].told.startswith("begun, found by ListParts, completed")
    assert swift.uploads() == []


def test_credentials_that_may_not_delete_are_no_obstacle_but_told(rclone: Archiving) -> None:
    def dialect(name: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if name == "delete_object":
            raise refusal("AccessDenied", 403)
        return send()

    client: Any = Meddled(rclone.s3, dialect)
    scratch = ScratchPrefix(client, rclone.bucket, "")
    scratch.store.put(scratch.key("object"), b"x", "text/plain")
    said = StoreChecks(scratch, "pre/app/", "the endpoint", Redactor({}).add).check_delete()
    assert said.status == "warning"
    assert "recordings are archived" in said.told


def test_what_could_not_be_deleted_is_named(rclone: Archiving) -> None:
    def dialect(name: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if name == "delete_object":
            raise refusal("AccessDenied", 403)
        return send()

    client: Any = Meddled(rclone.s3, dialect)
    scratch = ScratchPrefix(client, rclone.bucket, "")
    scratch.store.put(scratch.key("object"), b"x", "text/plain")
    assert scratch.close(5) == [f"{scratch.prefix}object"]
    assert scratch.prefix.startswith("_audit/doctor-")


# The end of a scratch


def test_a_closed_corner_lets_nobody_in_and_waits_for_those_inside(swift: Archiving) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def dialect(name: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if name == "put_object":
            inside.set()
            assert go_on.wait(10)
        return send()

    client: Any = Meddled(swift.s3, dialect)
    scratch = ScratchPrefix(client, swift.bucket, "pre")
    writing = threading.Thread(target=scratch.store.put, args=(scratch.key("late"), b"x", "text/plain"))
    writing.start()
    assert inside.wait(10)
    left: list[list[str]] = []
    closing = threading.Thread(target=lambda: left.append(scratch.close(10)))
    closing.start()
    assert scratch.stop.wait(10)
    with pytest.raises(TransferStopped):
        scratch.store.get(scratch.key("late"))
    go_on.set()
    closing.join(20)
    writing.join(20)
    assert left == [[]]
    assert swift.objects() == {}


def test_a_large_part_that_is_under_way_breaks_off_when_the_corner_is_closed(rclone: Archiving) -> None:
    scratch = ScratchPrefix(rclone.s3, rclone.bucket, "pre")
    body = scratch.body(1000)
    assert len(body.read(10)) == 10
    scratch.close(0)
    with pytest.raises(OSError, match="no longer wanted"):
        body.read(10)


def test_what_a_killed_checkup_left_is_cleared_away_an_hour_later_and_nothing_else(bench: Archiving) -> None:
    then = datetime.now(UTC) - timedelta(hours=2)
    old, young = (f"pre/_audit/doctor-{time:%Y%m%dT%H%M%SZ}-0123abcd/" for time in (then, datetime.now(UTC)))
    put(bench, *AS_THEY_WERE, f"{old}object", f"{young}object")
    bench.s3.create_multipart_upload(Bucket=bench.bucket, Key=f"{old}upload")
    found = looked(bench.s3, bench.bucket)
    assert found["delete"].told.endswith("had left: 2 objects")
    assert bench.objects() == AS_THEY_WERE | {f"{young}object": b""}
    assert bench.uploads() == []


def test_the_stores_time_is_noted_even_where_it_refuses(rclone: Archiving) -> None:
    clocks, client = ClockSkew(), new_s3_client(4)
    note_dates(client, clocks)
    with pytest.raises(ArchiverError):
        ScratchPrefix(client, "no-such-bucket", "").store.put("x", b"", "text/plain")
    assert clocks.ahead() == {"the store": 0}
    assert os.environ["AWS_ENDPOINT_URL_S3"] == rclone.server.endpoint_url
