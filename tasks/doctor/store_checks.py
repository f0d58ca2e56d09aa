"""Checks of a store: whether it takes recordings, and what it does with wrong checksums and unequal parts.

Each is really tried, in a scratch of the bucket. Stores that were tried differ in nearly all of it, and none of them
tells: see `tasks.s3.bucket`, `tasks.s3.multipart` and https://docs.aws.amazon.com/AmazonS3/latest/API/.
"""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError

from tasks.doctor.runner import Check, failed, ok, warning
from tasks.doctor.storage_checks import StorageChecks
from tasks.errors import ArchiverError, StoreRefused, StoreUnavailable, UploadVanished
from tasks.retry import backoff
from tasks.s3 import (
    ALREADY_EXISTS,
    CALL_FAILURES,
    NOT_SUPPORTED,
    WITH_CRC64NVME,
    bare_etag,
    crc64,
    encode_crc64,
    encode_md5,
    translate_error,
    verifies_crc64,
)
from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from botocore.client import BaseClient

    from tasks.doctor.clock_skew import ClockSkew
    from tasks.doctor.runner import CheckResult
    from tasks.doctor.scratch_prefix import ScratchPrefix
    from tasks.secret_sources import StoreKeys

GROUP = "Store"
CREDENTIALS, BUCKET, WRITE, DELETE = "credentials", "bucket", "write", "delete"
ANSWER_TIMEOUT_S = 4.0
ATTEMPTS = 2
UNEQUAL = (5 * MIB, 5 * MIB + 1, 1)
"""Bytes of parts: the smallest that all stores take, another length in the middle, and any at the end."""
SLOW = 2 * MIB
"""Bytes a second: an hour's recording of 300 MB takes longer than two minutes then."""
_MAKING = frozenset({"put_object", "create_multipart_upload"})
_BODY, _OTHER = b"what is sent", b"what is not"
_CONTENT_TYPE = "application/octet-stream"
_SLOW = "See whether the line is fast enough: an hour of video is about 300 MB."
_RIGHTS = "Give the credentials the right to list, read, write and delete in the bucket, and to abort uploads."


def note_dates(client: BaseClient, clocks: ClockSkew) -> None:
    """Have what the store's answers say about the time noted, refusals as well."""

    def note_request(context: dict[str, Any], **_: object) -> None:
        context["sent_at"] = time.time()

    def note_response(http_response: Any, context: dict[str, Any], **_: object) -> None:
        clocks.note("the store", context["sent_at"], time.time(), http_response.headers.get("Date"))

    client.meta.events.register("before-call.s3", note_request)
    client.meta.events.register("after-call.s3", note_response)


class StoreChecks:
    """What to look at on the store's side.

    Args:
        scratch: where it is tried.
        archive_prefix: of what is archived, with a slash at its end: it must be allowed to be listed, too.
        endpoint: the store's address, for people.
        register: given the credentials that are in use, which are nowhere to be shown.
        keys: from files or Prefect blocks; None if boto3 finds them by itself.
        profile: of AWS's configuration, if boto3 is to look for them there.
    """

    def __init__(
        self,
        scratch: ScratchPrefix,
        archive_prefix: str,
        endpoint: str,
        register: Callable[[Iterable[str | None]], None],
        keys: StoreKeys | None = None,
        profile: str = "",
    ) -> None:
        self._scratch = scratch
        self._store = scratch.store
        self._client = scratch.client
        self._archive_prefix = archive_prefix
        self._endpoint = endpoint
        self._register = register
        self._keys = keys
        self._profile = profile

    def checks(self) -> list[Check]:
        """Return what there is to look at."""
        tried = {
            "multipart": self.check_multipart, "Content-MD5": self.check_content_md5, "CRC64NVME": self.check_crc64,
            "If-None-Match": self.check_if_none_match,
        }  # fmt: skip
        slow = warning("not found out: to store 10 MiB took too long", _SLOW)
        return [
            Check(GROUP, CREDENTIALS, self.check_credentials),
            Check(GROUP, BUCKET, self.check_bucket, (CREDENTIALS,)),
            Check(GROUP, WRITE, self.check_write, (BUCKET,)),
            Check(GROUP, "read", self.check_read, (WRITE,)),
            Check(GROUP, DELETE, self.check_delete, (WRITE,), after=("read",)),
            *(Check(GROUP, name, look, (WRITE,)) for name, look in tried.items()),
            Check(GROUP, "unequal parts", self.check_unequal_parts, (WRITE,), late=slow),
            *StorageChecks(GROUP, self._scratch, self._send).checks(BUCKET),
        ]

    def check_credentials(self) -> CheckResult:
        """Look whether there are credentials: those of the settings, or what boto3 finds, and where."""
        if self._keys is not None:
            self._register([self._keys.access_key, self._keys.secret_key, self._keys.token])
            return ok(f"found ({self._keys.origin}), for {self._endpoint}")
        try:
            credentials = boto3.Session(profile_name=self._profile or None).get_credentials()
            keys = credentials.get_frozen_credentials() if credentials else None
        except BotoCoreError as error:
            return failed(
                f"boto3 cannot get any: {type(error).__name__}", "Check AWS_PROFILE and the other AWS_* settings."
            )
        if credentials is None or keys is None:
            return failed("boto3 finds none", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.")
        self._register([keys.access_key, keys.secret_key, keys.token])
        return ok(f"found ({credentials.method}), for {self._endpoint}")

    def check_bucket(self) -> CheckResult:
        """Look whether the bucket is there, and may be listed."""
        began = time.monotonic()
        next(iter(self._store.list(self._scratch.prefix)), None)
        next(iter(self._store.list(self._archive_prefix)), None)
        return ok(f"s3://{self._scratch.bucket} is there and may be listed, in {time.monotonic() - began:.1f} s")

    def check_write(self) -> CheckResult:
        """Look whether an object can be stored, and is what the store says it is."""
        key = self._scratch.key("object")
        try:
            self._store.put(key, _BODY, _CONTENT_TYPE, {"doctor": "1"})
            stored = self._store.verify(key, len(_BODY), crc64(_BODY))
        except (StoreRefused, StoreUnavailable) as error:
            advice = error.hint if isinstance(error, StoreRefused) else _RIGHTS
            if isinstance(error, StoreRefused) and self._store.options.request:
                advice = "See which of the options of how it is stored is refused."
            return failed(f"the bucket may be listed, but not written: {_describe_error(error)}", advice)
        if stored.content_type != _CONTENT_TYPE or stored.metadata.get("doctor") != "1":
            return warning("an object keeps neither type nor metadata", "Go by the bags' manifests: they say it all.")
        finding = "an object is stored, with its type and metadata"
        if not self._store.reports_checksums:
            finding = f"{finding}; that its checksum is asked for is refused, so it is left out"
        return ok(finding)

    def check_read(self) -> CheckResult:
        """Look whether an object comes back, whole and in part."""
        key = self._scratch.key("object")
        whole, stored = self._store.get(key), self._store.head(key)
        part = b"".join(self._store.read(stored, 1, 5)) if stored else b""
        if (whole, part) != (_BODY, _BODY[1:5]):
            return failed("what comes back is not what was stored", "Do not archive there.")
        return ok("it comes back, whole and in ranges")

    def check_delete(self) -> CheckResult:
        """Look whether an object can be deleted."""
        key = self._scratch.key("object")
        try:
            self._store.delete([key])
        except StoreRefused as refused:
            finding = (
                f"{_describe_error(refused)}: recordings are archived, but none can be archived again with --overwrite"
            )
            return warning(finding, f"If that is not on purpose: {_RIGHTS} Delete {key} yourself.")
        except ArchiverError as error:
            return failed(_describe_error(error), f"{_RIGHTS} Delete {key} yourself.")
        if self._store.head(key) is not None:
            return failed("what was deleted is still there", _RIGHTS)
        with suppress(ArchiverError):
            if forgotten := self._scratch.clear_forgotten():
                return ok(
                    f"done, and it is gone; and so is what a checkup that was killed had left: {forgotten} objects"
                )
        return ok("done, and it is gone")

    def check_multipart(self) -> CheckResult:
        """Look whether a large object can be stored, found again half-done, and given up."""
        store, key = self._store, self._scratch.key("multipart")
        upload = store.begin_upload(key, _CONTENT_TYPE, {})
        part = store.put_part(upload, 1, _BODY)
        listed = store.parts(upload).get(1)
        if listed is None or (listed.size, bare_etag(listed.etag)) != (len(_BODY), bare_etag(part.etag)):
            return failed("ListParts does not show a part that was stored", "Interrupted runs could not be carried on.")
        listing = " and ListMultipartUploads" if store.list_uploads_if_supported(key) else ""
        store.complete(upload, [part])
        given_up = store.begin_upload(key, _CONTENT_TYPE, {})
        store.put_part(given_up, 1, _BODY)
        store.abort(given_up)
        try:
            store.parts(given_up)
        except UploadVanished:
            return ok(f"begun, found by ListParts{listing}, completed, aborted: interrupted runs are carried on")
        return warning(
            "an upload that was aborted is still there", "Give the bucket a lifecycle rule that aborts uploads."
        )

    def check_content_md5(self) -> CheckResult:
        """Look what becomes of an object and of a part that do not have the MD5 that came with them."""
        wrong = {"Body": _BODY, "ContentMD5": encode_md5(_OTHER)}
        tried = {
            "objects": self._call("put_object", "md5", **wrong),
            "parts": self._call(
                "upload_part", "md5", **wrong, PartNumber=1, UploadId=self._begin_upload("md5")["UploadId"]
            ),
        }
        taken = [name for name, answer in tried.items() if isinstance(answer, dict)]
        if taken:
            return warning(
                f"a wrong one is not refused for {' and '.join(taken)}: damage on the way there could go unnoticed",
                "Reach the store by https only, which notices it, too.",
            )
        return ok("a wrong one is refused: what was damaged on its way is sent again")

    def check_crc64(self) -> CheckResult:
        """Look whether the store verifies CRC64NVME, of parts and of the whole."""
        begun = self._call("create_multipart_upload", "crc64", **WITH_CRC64NVME)
        if isinstance(begun, ArchiverError) and not (isinstance(begun, StoreRefused) and begun.code in NOT_SUPPORTED):
            raise begun
        if isinstance(begun, ArchiverError) or begun.get("ChecksumAlgorithm") != "CRC64NVME":
            return self._check_unannounced_crc64()
        wrong, right = encode_crc64(crc64(_OTHER)), encode_crc64(crc64(_BODY))
        upload = {"UploadId": begun["UploadId"]}
        part = {**upload, "PartNumber": 1, "Body": _BODY}
        if isinstance(self._call("upload_part", "crc64", **part, ChecksumCRC64NVME=wrong), dict):
            return warning(
                "confirmed, but a wrong one is not refused: damage on the way there could go unnoticed",
                "Reach the store by https only, which notices it, too; and tell its makers.",
            )
        stored = self._call("upload_part", "crc64", **part, ChecksumCRC64NVME=right)
        if isinstance(stored, ArchiverError):
            return warning(
                f"a wrong one is refused, and a right one, too: {_describe_error(stored)}", "Tell its makers."
            )
        listed = {"Parts": [{"PartNumber": 1, "ETag": stored["ETag"]}]}
        completed = self._call("complete_multipart_upload", "crc64", **upload, MultipartUpload=listed,
                              ChecksumCRC64NVME=wrong, ChecksumType="FULL_OBJECT")  # fmt: skip
        if isinstance(completed, dict) or (isinstance(completed, StoreRefused) and completed.code in NOT_SUPPORTED):
            return ok("verified for each part; of the whole, it is compared with what the store says after joining")
        return ok("verified, for each part and for the whole that they make")

    def _check_unannounced_crc64(self) -> CheckResult:
        joined = "joining them is trusted, but for the size"
        if verifies_crc64(lambda method, **request: self._call(method, "crc64-asked", **request)):
            return ok(f"verified for each part, though not announced: in large files they go with it; {joined}")
        return ok(f"not verified for uploads: parts go with Content-MD5, and {joined}")

    def check_if_none_match(self) -> CheckResult:
        """Look whether the store can leave alone what is there already."""
        first = self._call("put_object", "known", Body=_BODY, IfNoneMatch="*")
        second = self._call("put_object", "known", Body=_OTHER, IfNoneMatch="*")
        if isinstance(second, StoreRefused) and second.code in ALREADY_EXISTS and isinstance(first, dict):
            return ok("* is kept to: of two runs at once, one commits, and the other finds its archive")
        if isinstance(second, StoreRefused) and second.code in NOT_SUPPORTED:
            return ok("* is not known: it is left out; of two runs at once, the later one's marker stays")
        if isinstance(second, ArchiverError):
            return failed(
                f"refused: {_describe_error(second)}", "bagit.txt is written so: no archive could be committed."
            )
        return ok("* is ignored: of two runs at once the later one's marker stays; both have verified the same files")

    def check_unequal_parts(self) -> CheckResult:
        """Look whether the parts of an object may differ in length, and how fast the store takes them."""
        upload = {"UploadId": self._begin_upload("unequal")["UploadId"]}
        parts, began = [], time.monotonic()
        for number, size in enumerate(UNEQUAL, 1):
            body = self._scratch.body(size)
            sent = {"PartNumber": number, "Body": body, "ContentMD5": encode_md5(body.getvalue())}
            stored = self._require("upload_part", "unequal", **upload, **sent)
            parts.append({"PartNumber": number, "ETag": stored["ETag"]})
        rate = sum(UNEQUAL) / max(time.monotonic() - began, 0.001)
        answer = self._call("complete_multipart_upload", "unequal", **upload, MultipartUpload={"Parts": parts})
        if isinstance(answer, dict):
            finding = "taken"
        elif isinstance(answer, StoreRefused):
            finding = f"refused ({answer.code})"
        else:
            raise answer
        finding = (
            f"{finding}; nothing follows, as all but the last are equal here. "
            f"One at a time went at {rate / MIB:.1f} MiB/s"
        )
        if rate < SLOW:
            return warning(finding, _SLOW)
        return ok(finding)

    def _begin_upload(self, name: str) -> dict[str, Any]:
        return self._require("create_multipart_upload", name)

    def _require(self, method: str, name: str, **request: object) -> dict[str, Any]:
        answer = self._call(method, name, **request)
        if isinstance(answer, ArchiverError):
            raise answer
        return answer

    def _call(self, method: str, name: str, **request: object) -> dict[str, Any] | ArchiverError:
        """Call boto3, with the options that the policy of a bucket may demand; see `_send`."""
        options = self._store.options.request if method in _MAKING else {}
        return self._send(method, name, **options, **request)

    def _send(self, method: str, name: str, **request: object) -> dict[str, Any] | ArchiverError:
        """Call boto3, and return a refusal: here it is an answer.

        Raises:
            StoreUnavailable: the store is away, which is none.
        """
        key = self._scratch.key(name)
        for attempt in count(1):
            try:
                answer: dict[str, Any] = getattr(self._client, method)(Bucket=self._scratch.bucket, Key=key, **request)
            except CALL_FAILURES as error:
                failure = translate_error(error, method, f"s3://{self._scratch.bucket}/{key}")
            else:
                return answer
            if not isinstance(failure, StoreUnavailable):
                return failure
            if attempt == ATTEMPTS:
                raise failure
            self._scratch.stop.wait(backoff(attempt))
        raise AssertionError  # it counts for ever


def _describe_error(error: ArchiverError) -> str:
    """Return what the store said, without the advice that is meant for a run."""
    if isinstance(error, StoreRefused):
        return f"{error.code}, {error.message}"
    return error.reason if isinstance(error, StoreUnavailable) else str(error)
