"""Holds what is known of a store: whether it has answered, what it refuses, and what it verifies without announcing it.

What is optional is sent until a store refuses it and takes the same request without. For what it verifies it is asked,
with a wrong checksum and then with the right one.

A part goes with its CRC64NVME or with its MD5, which takes twenty times as long to compute. The former only counts
where it is verified. When an upload begins, some stores announce that. Of those that do not, OpenStack Swift refuses a
part with a wrong CRC64NVME (400 BadDigest), and rclone takes it, as it ignores the header.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from tasks.errors import ArchiverError, StoredWrong
from tasks.s3.checksums import crc64, encode_crc64
from tasks.s3.error_codes import CALL_FAILURES, is_foreign, translate_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient

    Call: TypeAlias = Callable[..., dict[str, Any] | ArchiverError]
    """Calls a method of boto3 that is named, with a request, and returns a refusal: here it is an answer."""

WITH_CRC64NVME = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
"""How an upload is begun whose parts and whole are to be verified."""
MIN_PARTS_TO_DETECT = 8
"""Missing parts from which on a store is asked. It takes four small requests, some 10 ms of processor and four round
trips, once; the MD5 of eight parts of 8 MiB takes 130 ms, for each such file again."""
_BODY = b"Is this verified?"
_RIGHT = crc64(_BODY)
_WRONG = _RIGHT ^ 1


class StoreCapabilities:
    """What is known of a store; shared by all threads that talk to it, in all stages of a run."""

    def __init__(self) -> None:
        self.answered = False
        """Whether it has answered, be it with a refusal: then its address is right."""
        self.takes_checksum_mode = True
        """Of HEAD; Backblaze and s3proxy refuse the header."""
        self.takes_if_none_match = True
        """Of PutObject."""
        self.takes_crc64 = True
        """Of multipart uploads, their parts and their completion."""
        self._asking = Lock()
        self._verifies_crc64: bool | None = None

    @property
    def verifies_crc64(self) -> bool:
        """Whether the store was asked, and verifies the CRC64NVME of parts."""
        return self._verifies_crc64 is True and self.takes_crc64

    def detect(self, client: BaseClient, bucket: str, key: str) -> None:
        """Ask the store, unless that was done; who comes meanwhile waits for what is found.

        Args:
            client: the store's.
            bucket: its name.
            key: see `verifies_crc64`.
        """

        def call(method: str, **request: object) -> dict[str, Any] | ArchiverError:
            # As it is: with neither pauses nor another attempt, at nobody's pace, on nobody's patience.
            try:
                answer: dict[str, Any] = getattr(client, method)(Bucket=bucket, Key=key, **request)
            except CALL_FAILURES as error:
                return translate_error(error, method, f"s3://{bucket}/{key}")
            return answer

        with self._asking:
            if self._verifies_crc64 is None:
                self._verifies_crc64 = verifies_crc64(call)


def verifies_crc64(call: Call) -> bool:
    """Ask a store whether it refuses a part with a wrong CRC64NVME, and takes the same part with the right one.

    Whatever else it answers counts as no. It takes an upload, which is aborted.

    Args:
        call: calls the store, each time for the same key, at which no object is made.
    """
    begun = call("create_multipart_upload", **WITH_CRC64NVME)
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
