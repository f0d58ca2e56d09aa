"""Capabilities of a store: whether it has answered, what it refuses, and what it verifies without announcing it.

An optional header is sent until a store refuses it and accepts the same request without it. Whether a store verifies
CRC64NVME is detected by uploading a part with a wrong checksum, and then with the right one.

A part is sent with its CRC64NVME or with its MD5, which takes twenty times as long to compute. A CRC64NVME protects
the part only if the store verifies it. Some stores announce this when an upload begins. Of the others, OpenStack Swift
refuses a part with a wrong CRC64NVME (400 BadDigest), and rclone accepts it, as it ignores the header.
"""

from __future__ import annotations

from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from tasks.errors import ArchiverError, StoredWrong
from tasks.s3.checksums import crc64, encode_crc64
from tasks.s3.error_codes import CALL_FAILURES, is_foreign, translate_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.client import BaseClient

    Call: TypeAlias = Callable[..., dict[str, Any] | ArchiverError]
    """Calls the named method of boto3 with a request, and returns the answer, or the failure instead of raising it."""

WITH_CRC64NVME = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
"""Parameters that begin an upload whose parts and object the store verifies."""
MIN_PARTS_TO_DETECT = 8
"""Missing parts from which detection is worthwhile. It takes four small requests once: some 10 ms of processor time and
four round trips. The MD5 of eight parts of 8 MiB takes 130 ms, for each such file."""
_BODY = b"Is this verified?"
_RIGHT = crc64(_BODY)
_WRONG = _RIGHT ^ 1


class StoreCapabilities:
    """What is known of a store; shared by all threads that call it, in all stages of a run."""

    def __init__(self) -> None:
        self.answered = False
        """Whether the store has answered, even with a refusal: then its address is right."""
        self.takes_checksum_mode = True
        """For HEAD; Backblaze and s3proxy refuse the header."""
        self.takes_if_none_match = True
        """For PutObject."""
        self.takes_if_none_match_at_completion = True
        """For CompleteMultipartUpload, where some stores ignore it."""
        self.takes_crc64 = True
        """For multipart uploads, their parts and their completion."""
        self.has_object_lock = False
        """Of the bucket; False as well if nobody has asked."""
        self._asking = Lock()
        self._verifies_crc64: bool | None = None

    @property
    def verifies_crc64(self) -> bool:
        """Whether detection has shown that the store verifies the CRC64NVME of parts."""
        return self._verifies_crc64 is True and self.takes_crc64

    def detect(
        self, client: BaseClient, bucket: str, key: str, options: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Detect what the store verifies, once; threads that call meanwhile wait for the result.

        Args:
            client: the store's.
            bucket: the bucket's name.
            key: at which the upload is begun and aborted.
            options: with which uploads are begun: the policy of a bucket may demand them.
        """

        def call(method: str, **request: object) -> dict[str, Any] | ArchiverError:
            # A plain call, without retries, pauses, throttling or patience: any failure means "not detected".
            try:
                answer: dict[str, Any] = getattr(client, method)(Bucket=bucket, Key=key, **request)
            except CALL_FAILURES as error:
                return translate_error(error, method, f"s3://{bucket}/{key}")
            return answer

        with self._asking:
            if self._verifies_crc64 is None:
                self._verifies_crc64 = verifies_crc64(call, options)


def verifies_crc64(call: Call, options: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Tell whether a store refuses a part with a wrong CRC64NVME, and accepts the same part with the right one.

    Every other answer counts as no. The upload that this needs is aborted.

    Args:
        call: calls the store, always for the same key, at which no object is made.
        options: with which the upload is begun.
    """
    begun = call("create_multipart_upload", **WITH_CRC64NVME, **options)
    if isinstance(begun, ArchiverError) or is_foreign("create_multipart_upload", begun):
        return False
    upload = {"UploadId": begun["UploadId"]}
    part = {**upload, "PartNumber": 1, "Body": _BODY}
    try:
        wrong = call("upload_part", **part, ChecksumCRC64NVME=encode_crc64(_WRONG))
        if not isinstance(wrong, StoredWrong):
            return False
        right = call("upload_part", **part, ChecksumCRC64NVME=encode_crc64(_RIGHT))
        return not isinstance(right, ArchiverError) and not is_foreign("upload_part", right)
    finally:
        call("abort_multipart_upload", **upload)
