"""Knows S3: calls that survive hiccups, errors told apart, multipart uploads, and the checksum dialects of stores.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ and the stores that were tried: Amazon's contract,
R2, Ceph, OpenStack Swift and rclone differ in checksums, in `If-None-Match`, and in how an upload's parts behave.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

import boto3
from awscrt.checksums import combine_crc64nvme, crc64nvme
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from urllib3.exceptions import HTTPError as Urllib3Error

from tasks.backoff import Patience
from tasks.errors import ArchiverError, StoredWrong, StoreRefused, StoreUnavailable, UploadVanished

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from botocore.client import BaseClient

Body = bytes | bytearray

FIRST_CONTACT_S = 15.0
"""Patience until the store has answered once: a wrong endpoint should not take minutes to be told."""
READ_CHUNK = 1024 * 1024
DIGEST_ATTEMPTS = 4

_BAD_DIGEST = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})
_TRY_AGAIN = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "IncompleteBody",
                        "Throttling", "ThrottlingException", "TooManyRequests", "OperationAborted"})  # fmt: skip
_NOT_SUPPORTED = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest"})


def new_s3_client(connections: int) -> BaseClient:
    """Return a boto3 client that reads its credentials, region and endpoint as boto3 always does.

    Args:
        connections: how many requests may be under way at once.
    """
    config = Config(
        # Without these two boto3 adds checksum trailers that some stores refuse and one kept inside the object.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"total_max_attempts": 1},  # Store retries, with progress in mind
        max_pool_connections=connections,
        connect_timeout=10,
        read_timeout=60,
        tcp_keepalive=True,
    )
    try:
        client: BaseClient = boto3.Session().client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        refusal = StoreRefused("the configuration", "boto3's settings", type(error).__name__, str(error))
    else:
        return client
    raise refusal


@dataclass(frozen=True)
class Part:
    """One stored part of a multipart upload."""

    number: int
    size: int
    etag: str
    crc64: int | None = None  # None where the store did not keep it and we did not send the part


@dataclass(frozen=True)
class Upload:
    """A multipart upload that is under way."""

    key: str
    id: str = field(repr=False)
    checksummed: bool = False  # the store verifies CRC64NVME; else it gets Content-MD5


@dataclass(frozen=True)
class StoredObject:
    """An object as the store describes it; a listing knows neither content type nor metadata."""

    key: str
    size: int
    etag: str
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    crc64: int | None = None


class Store:
    """One bucket; every call survives hiccups for as long as patience lasts.

    Args:
        client: see `new_s3_client`.
        bucket: its name.
        patience_s: seconds for which failures may go on without any success.
        stop: set to end all waiting at once.
    """

    def __init__(self, client: BaseClient, bucket: str, patience_s: float, stop: Event | None = None) -> None:
        self._s3 = client
        self.bucket = bucket
        self._stop = stop or Event()
        self._patience = Patience(min(patience_s, FIRST_CONTACT_S), self._stop)
        self._patience_s = patience_s
        self._met = False
        self._can_checksum = True

    def put(
        self,
        key: str,
        body: Body,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        *,
        if_absent: bool = False,
    ) -> bool:
        """Store an object in one go, its MD5 with it, and tell whether it was written.

        Args:
            if_absent: leave an object that is there alone, and return False, on stores that can tell.
        """
        sent = {"Body": body, "ContentType": content_type, "Metadata": metadata or {}, "ContentMD5": _md5_text(body)}
        try:
            self._ask("put_object", key, **sent, **({"IfNoneMatch": "*"} if if_absent else {}))
        except StoreRefused as refused:
            if if_absent and refused.code in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
                return False
            if not if_absent or refused.code not in _NOT_SUPPORTED:
                raise
            self._ask("put_object", key, **sent)
        return True

    def head(self, key: str) -> StoredObject | None:
        """Return what the store says of an object, or None if there is none."""
        try:
            said = self._ask("head_object", key, ChecksumMode="ENABLED")
        except StoreRefused as refused:
            if refused.code in ("404", "NoSuchKey", "NotFound"):
                return None
            raise
        # rclone gives the names of metadata back with a capital letter.
        metadata = {name.lower(): value for name, value in said.get("Metadata", {}).items()}
        whole = said.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        crc64 = _crc_number(said.get("ChecksumCRC64NVME")) if whole else None
        return StoredObject(key, said["ContentLength"], said["ETag"], said.get("ContentType", ""), metadata, crc64)

    def get(self, key: str) -> bytes | None:
        """Return a small object's content, or None if there is none."""
        while True:
            try:
                body: bytes = self._ask("get_object", key)["Body"].read()
            except StoreRefused as refused:
                if refused.code == "NoSuchKey":
                    return None
                raise
            except (BotoCoreError, Urllib3Error) as error:
                self._patience.pause(StoreUnavailable("get_object", self._at(key), _plain(error)), 1)
            else:
                return body

    def read(self, stored: StoredObject) -> Iterator[bytes]:
        """Yield an object's bytes in order, carried on where a connection drops.

        Args:
            stored: from `head`; its ETag makes sure that all bytes are of that object.
        """
        offset = 0
        while offset < stored.size:
            byte_range = f"bytes={offset}-{stored.size - 1}"
            said = self._ask("get_object", stored.key, IfMatch=stored.etag, Range=byte_range)
            try:
                for chunk in said["Body"].iter_chunks(READ_CHUNK):
                    self._patience.check()
                    offset += len(chunk)
                    self._patience.progressed()
                    yield chunk
            except (BotoCoreError, Urllib3Error) as error:
                self._patience.pause(StoreUnavailable("get_object", self._at(stored.key), _plain(error)), 1)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List the objects below a prefix, in the order of their keys."""
        page: dict[str, Any] = {"NextContinuationToken": None}
        while page:
            after = {"ContinuationToken": page["NextContinuationToken"]} if page["NextContinuationToken"] else {}
            page = self._ask("list_objects_v2", None, Prefix=prefix, **after)
            yield from (StoredObject(item["Key"], item["Size"], item["ETag"]) for item in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; those that are not there are no error."""
        for key in keys:
            self._ask("delete_object", key)

    def begin_upload(self, key: str, content_type: str, metadata: Mapping[str, str]) -> Upload:
        """Begin a multipart upload, with CRC64NVME over the full object if the store confirms that it verifies it."""
        described = {"ContentType": content_type, "Metadata": metadata}
        checksum = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"} if self._can_checksum else {}
        try:
            said = self._ask("create_multipart_upload", key, **described, **checksum)
        except StoreRefused as refused:
            if not checksum or refused.code not in _NOT_SUPPORTED:
                raise
            self._can_checksum = False
            said = self._ask("create_multipart_upload", key, **described)
        return Upload(key, said["UploadId"], said.get("ChecksumAlgorithm") == "CRC64NVME")

    def uploads(self, prefix: str) -> Sequence[Upload]:
        """Return the multipart uploads under way below a prefix."""
        found: list[Upload] = []
        after: dict[str, str] = {}
        while True:
            try:
                page = self._ask("list_multipart_uploads", None, Prefix=prefix, **after)
            except UploadVanished:  # how rclone says that there has never been one
                return found
            found += [
                Upload(item["Key"], item["UploadId"], item.get("ChecksumAlgorithm") == "CRC64NVME")
                for item in page.get("Uploads", ())
            ]
            if not page.get("IsTruncated"):
                return found
            after = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    def parts(self, upload: Upload) -> dict[int, Part]:
        """Return the parts that an upload already has, by number.

        Swift goes on answering for an upload that is completed: only `uploads` tells whether it is still open.

        Raises:
            UploadVanished: the upload is no more.
        """
        parts: dict[int, Part] = {}
        after: dict[str, int] = {}
        while True:
            page = self._ask("list_parts", upload.key, UploadId=upload.id, **after)
            for item in page.get("Parts", ()):
                crc64 = _crc_number(item.get("ChecksumCRC64NVME"))
                parts[item["PartNumber"]] = Part(item["PartNumber"], item["Size"], item["ETag"], crc64)
            if not page.get("IsTruncated"):
                return parts
            after = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def put_part(self, upload: Upload, number: int, body: Body) -> Part:
        """Store one part; the store verifies its checksum.

        Raises:
            UploadVanished: the upload is no more.
            StoredWrong: what arrived differs from what was sent, again and again.
        """
        crc64 = crc64nvme(body)
        sums = {"ChecksumCRC64NVME": _crc_text(crc64)} if upload.checksummed else {"ContentMD5": _md5_text(body)}
        try:
            etag = self._ask("upload_part", upload.key, UploadId=upload.id, PartNumber=number, Body=body, **sums)[
                "ETag"
            ]
        except StoreRefused as refused:
            # rclone takes no part twice; it has it if an answer was lost, or another run was faster.
            there = self.parts(upload).get(number) if refused.code in _NOT_SUPPORTED else None
            if there is None or _bare(there.etag) != hashlib.md5(body, usedforsecurity=False).hexdigest():
                raise
            etag = there.etag
        return Part(number, len(body), etag, crc64)

    def complete(self, upload: Upload, parts: Sequence[Part]) -> StoredObject:
        """Make an object of an upload's parts, and prove that it is there and whole.

        Args:
            parts: all of them, in order: some stores take a list with gaps for the whole.

        Raises:
            UploadVanished: the upload is no more, and its object is not there either.
            StoredWrong: the object is not what was sent.
        """
        size, crc64 = sum(part.size for part in parts), combined_crc64(parts)
        checksum: dict[str, Any] = {}
        if upload.checksummed and crc64 is not None:
            checksum = {"ChecksumCRC64NVME": _crc_text(crc64), "ChecksumType": "FULL_OBJECT", "MpuObjectSize": size}
        listed = {"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]}
        try:
            self._ask("complete_multipart_upload", upload.key, UploadId=upload.id, MultipartUpload=listed, **checksum)
        except UploadVanished:
            # Its answer may have been lost, or another run has completed it: what counts is what is there.
            if self.head(upload.key) is None:
                raise
        return self.verify(upload.key, size, crc64)

    def verify(self, key: str, size: int, crc64: int | None) -> StoredObject:
        """Compare an object with what was sent: its size, and its checksum where the store knows one.

        Raises:
            StoredWrong: they differ.
        """
        found = self.head(key)
        if found is None or found.size != size:
            raise StoredWrong(self._at(key), f"{size} bytes", f"{found.size} bytes" if found else "nothing")
        if crc64 is not None and found.crc64 is not None and crc64 != found.crc64:
            raise StoredWrong(self._at(key), f"CRC64NVME {crc64:016x}", f"{found.crc64:016x}")
        return found

    def abort(self, upload: Upload) -> None:
        """Abort an upload; one that is no more is no error."""
        try:
            self._ask("abort_multipart_upload", upload.key, UploadId=upload.id)
        except UploadVanished:
            pass
        except StoreRefused as refused:
            if refused.code != "NoSuchKey":  # how Swift says that it is completed
                raise

    def _at(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}".rstrip("/")

    def _ask(self, method: str, key: str | None, **request: object) -> dict[str, Any]:
        """Call boto3 until it succeeds, fails for good, or patience ends."""
        named = {"Key": key} if key is not None else {}
        failures = bad_digests = 0
        while True:
            self._patience.check()
            try:
                answer: dict[str, Any] = getattr(self._s3, method)(Bucket=self.bucket, **named, **request)
            except (BotoCoreError, ClientError, Urllib3Error) as error:
                failure = translated(error, method, self._at(key or ""))
            else:
                self._succeeded()
                return answer
            failures += 1
            bad_digests += isinstance(failure, StoredWrong)
            if not failure.retryable or isinstance(failure, UploadVanished) or bad_digests >= DIGEST_ATTEMPTS:
                raise failure
            self._patience.pause(failure, failures)

    def _succeeded(self) -> None:
        if not self._met:
            self._met = True
            self._patience = Patience(self._patience_s, self._stop)
        self._patience.progressed()


def translated(error: BotoCoreError | ClientError | Urllib3Error, operation: str, target: str) -> ArchiverError:
    """Return our error for one of boto3's: may the caller try again, and what should a person do?"""
    if isinstance(error, BotoConnectionError | HTTPClientError | Urllib3Error):
        return StoreUnavailable(operation, target, _plain(error))
    if isinstance(error, BotoCoreError):
        name = type(error).__name__
        if name in ("ResponseParserError", "IncompleteReadError", "ResponseStreamingError"):
            return StoreUnavailable(operation, target, _plain(error))
        return StoreRefused(operation, target, name, str(error).rstrip("."))
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "unknown")), str(said.get("Message") or "no message").rstrip(".")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchUpload":
        return UploadVanished(operation, target, message)
    if code in _BAD_DIGEST:
        return StoredWrong(target, "the checksum that was sent", f"{code}: {message}")
    if code in _TRY_AGAIN or status == 429 or (status >= 500 and status != 501):
        return StoreUnavailable(operation, target, f"HTTP {status} {code}: {message}")
    return StoreRefused(operation, target, code, message)


def combined_crc64(parts: Iterable[Part]) -> int | None:
    """Return the CRC64NVME of the object that adjacent parts make; None if that of a part is not known."""
    crc, first = 0, True
    for part in parts:
        if part.crc64 is None:
            return None
        crc, first = (part.crc64 if first else combine_crc64nvme(crc, part.crc64, part.size)), False
    return None if first else crc


def _plain(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("?")[0][:300].rstrip(".")


def _crc_text(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(8, "big")).decode()


def _crc_number(text: str | None) -> int | None:
    return int.from_bytes(base64.b64decode(text), "big") if text else None


def _bare(etag: str) -> str:
    return etag.strip('"').lower()


def _md5_text(body: Body) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
