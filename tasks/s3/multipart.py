"""Multipart uploads of a bucket: begun, listed, filled with parts, completed and aborted.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html and the stores that were tried:
they differ in the checksums that they verify, and in their answers for uploads that are completed or aborted.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.errors import StoreRefused, UploadVanished
from tasks.s3.capabilities import WITH_CRC64NVME
from tasks.s3.checksums import Body, combine_crc64, crc64, decode_crc64, encode_crc64, encode_md5, is_md5_of
from tasks.s3.error_codes import NOT_FOUND, NOT_SUPPORTED
from tasks.s3.versions import VersionedBucket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tasks.s3.bucket import StoredObject


@dataclass(frozen=True)
class Part:
    """One stored part of a multipart upload."""

    number: int
    size: int
    etag: str
    crc64: int | None = None  # of what was sent, or as the store lists it; None if the store does not verify it
    md5: str | None = None  # of what was sent, as in Content-MD5; None if it was not sent, or by an earlier run


@dataclass(frozen=True)
class Upload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    id: str = field(repr=False)
    checksummed: bool = False  # the store announced that it verifies CRC64NVME of the parts and of the object
    begun: datetime | None = field(default=None, compare=False)  # from listings only


class Store(VersionedBucket):
    """A bucket with its multipart uploads, and with older versions of its objects."""

    def without_retries(self) -> Store:
        """Return the same bucket for the cleanup after a failure: each call is tried once, also after a stop."""
        return Store(self._s3, self.bucket, 0.0, None, self._throttle, self._capabilities, self.options)

    def detect_capabilities(self, key: str) -> None:
        """Detect by a small upload to a key whether the store verifies CRC64NVME of parts without announcing it."""
        self._capabilities.detect(self._s3, self.bucket, key, self.options.request)

    def begin_upload(self, key: str, content_type: str, metadata: Mapping[str, str]) -> Upload:
        """Begin a multipart upload of media, with CRC64NVME of the full object unless the store refuses it."""
        described = {"ContentType": content_type, "Metadata": metadata, **self.options.request_for_media}
        checksum = WITH_CRC64NVME if self._capabilities.takes_crc64 else {}
        try:
            answer = self._ask("create_multipart_upload", key, **described, **checksum)
        except StoreRefused as refused:
            if not checksum or refused.code not in NOT_SUPPORTED:
                raise
            answer = self._ask("create_multipart_upload", key, **described)
            self._capabilities.takes_crc64 = False
        return Upload(key, answer["UploadId"], answer.get("ChecksumAlgorithm") == "CRC64NVME")

    def uploads(self, prefix: str) -> Sequence[Upload]:
        """Return the multipart uploads below a prefix that are neither completed nor aborted."""
        uploads: list[Upload] = []
        places = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
        # rclone answers NoSuchUpload if there has never been an upload.
        with suppress(UploadVanished):
            for page in self._pages("list_multipart_uploads", None, places, Prefix=prefix):
                uploads += [
                    Upload(
                        item["Key"],
                        item["UploadId"],
                        item.get("ChecksumAlgorithm") == "CRC64NVME",
                        item.get("Initiated"),
                    )
                    for item in page.get("Uploads", ())
                ]
        return uploads

    def list_uploads_if_supported(self, prefix: str) -> Sequence[Upload] | None:
        """Return what `uploads` returns, or None if the store does not support listing uploads."""
        try:
            return self.uploads(prefix)
        except StoreRefused as refused:
            if refused.code not in NOT_SUPPORTED:
                raise
            return None

    def parts(self, upload: Upload) -> dict[int, Part]:
        """Return the stored parts of an upload, by number.

        Swift lists the parts of a completed upload too: only `uploads` tells whether an upload is still open.

        Raises:
            UploadVanished: there is no such upload any more.
        """
        parts: dict[int, Part] = {}
        places = {"PartNumberMarker": "NextPartNumberMarker"}
        try:
            for page in self._pages("list_parts", upload.key, places, UploadId=upload.id):
                for item in page.get("Parts", ()):
                    crc = decode_crc64(item.get("ChecksumCRC64NVME"))
                    parts[item["PartNumber"]] = Part(item["PartNumber"], item["Size"], item["ETag"], crc)
        except StoreRefused as refused:
            if refused.code not in NOT_FOUND:  # Ceph's answer for an upload that is over
                raise
            raise UploadVanished("list_parts", self._at(upload.key), refused.message) from None
        return parts

    def put_part(self, upload: Upload, number: int, body: Body) -> Part:
        """Store one part with a checksum that the store verifies.

        Raises:
            UploadVanished: there is no such upload any more.
            StoredWrong: in several attempts, the bytes that arrived differ from the bytes that were sent.
        """
        capabilities = self._capabilities
        verified = capabilities.takes_crc64 and (upload.checksummed or capabilities.verifies_crc64)
        crc, md5 = (crc64(body), None) if verified else (None, encode_md5(body))
        sent = {"UploadId": upload.id, "PartNumber": number, "Body": body}
        sums = {"ContentMD5": md5} if crc is None else {"ChecksumCRC64NVME": encode_crc64(crc)}
        try:
            answer = self._ask("upload_part", upload.key, **sent, **sums)
        except StoreRefused as refused:
            # rclone refuses a part that it has: its answer was lost, or another run sent the part first.
            there = self.parts(upload).get(number) if refused.code in NOT_SUPPORTED else None
            if there is not None and is_md5_of(there.etag, body):
                answer = {"ETag": there.etag}
            elif not verified or refused.code not in NOT_SUPPORTED:
                raise
            else:
                answer = self._ask("upload_part", upload.key, **sent, ContentMD5=encode_md5(body))
                capabilities.takes_crc64 = False
        return Part(number, len(body), answer["ETag"], crc, md5)

    def complete(self, upload: Upload, parts: Sequence[Part], *, if_absent: bool = False) -> StoredObject:
        """Complete an upload, and verify the size and the checksum of the object.

        Args:
            parts: all parts, in order.
            if_absent: keep an object that exists, on stores that support `If-None-Match` here.

        Raises:
            StoreRefused: with a code of `ALREADY_EXISTS`, an object exists; the upload is left.
            UploadVanished: there is no such upload, and no checksum proves that the object was made of it.
            StoredWrong: the object differs from what was sent.
        """
        if not parts or [part.number for part in parts] != list(range(1, len(parts) + 1)):
            # Some stores accept a list with gaps, and make an object without the missing bytes.
            message = f"parts are missing: there are {[part.number for part in parts]}"
            raise ValueError(message)
        size, crc = sum(part.size for part in parts), combine_crc64((part.crc64, part.size) for part in parts)
        checksum: dict[str, Any] = {}
        # A store that announced nothing might refuse this checksum (Swift ignores it), though it verifies the parts.
        if upload.checksummed and self._capabilities.takes_crc64 and crc is not None:
            checksum = {"ChecksumCRC64NVME": encode_crc64(crc), "ChecksumType": "FULL_OBJECT", "MpuObjectSize": size}
        listed = {"Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]}
        conditional = if_absent and self._capabilities.takes_if_none_match_at_completion
        try:
            self._complete(upload, listed, checksum, {"IfNoneMatch": "*"} if conditional else {})
        except UploadVanished:
            # The answer was lost, or another run completed or aborted the upload: the object may be an older one.
            stored = self.head(upload.key)
            if stored is None or crc is None or (stored.size, stored.crc64) != (size, crc):
                raise
            return stored
        return self.verify(upload.key, size, crc)

    def _complete(
        self, upload: Upload, listed: dict[str, Any], checksum: dict[str, Any], condition: dict[str, Any]
    ) -> None:
        wanted = {"UploadId": upload.id, "MultipartUpload": listed}
        try:
            self._ask("complete_multipart_upload", upload.key, **wanted, **checksum, **condition)
        except StoreRefused as refused:
            if not (checksum or condition) or refused.code not in NOT_SUPPORTED:
                raise
            if condition:
                self._complete(upload, listed, checksum, {})
                self._capabilities.takes_if_none_match_at_completion = False
            else:
                self._complete(upload, listed, {}, {})
                self._capabilities.takes_crc64 = False

    def abort(self, upload: Upload) -> None:
        """Abort an upload; an upload that no longer exists is no error."""
        try:
            self._ask("abort_multipart_upload", upload.key, UploadId=upload.id)
        except UploadVanished:
            pass
        except StoreRefused as refused:
            if refused.code != "NoSuchKey":  # Swift's answer for a completed upload
                raise
