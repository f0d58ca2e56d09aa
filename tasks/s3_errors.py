"""Knows boto3's errors: which of them mean that the store is away, that it refuses, or that it got other bytes.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what R2, Ceph, Swift and rclone send.
"""

from __future__ import annotations

from typing import TypeAlias

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from urllib3.exceptions import HTTPError as Urllib3Error

from tasks.errors import ArchiverError, StoredWrong, StoreRefused, StoreUnavailable, UploadVanished

AnyError: TypeAlias = BotoCoreError | ClientError | Urllib3Error
CALL_FAILURES = (BotoCoreError, ClientError, Urllib3Error)
BODY_FAILURES = (BotoCoreError, Urllib3Error)
"""What reading an answer's body may raise."""

NOT_SUPPORTED = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest"})
THERE_ALREADY = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})
NOT_THERE = frozenset({"NoSuchKey", "NotFound", "404"})
ANOTHER_OBJECT = THERE_ALREADY | NOT_THERE | {"InvalidRange", "BrokenMPU"}
"""How a store says, while an object is being read, that it is not the one that was asked for, or broken."""

_BAD_DIGEST = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})
_TRY_AGAIN = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "IncompleteBody",
                        "Throttling", "ThrottlingException", "TooManyRequests", "OperationAborted"})  # fmt: skip
_BROKEN_ANSWERS = frozenset({"ResponseParserError", "IncompleteReadError", "ResponseStreamingError"})


def translated(error: AnyError, operation: str, target: str) -> ArchiverError:
    """Return our error for one of boto3's: may the caller try again, and what should a person do?"""
    if isinstance(error, ClientError):
        return _answered(error, operation, target)
    name = type(error).__name__
    if isinstance(error, BotoConnectionError | HTTPClientError | Urllib3Error) or name in _BROKEN_ANSWERS:
        return StoreUnavailable(operation, target, plain(error))
    return StoreRefused(operation, target, name, str(error).rstrip("."))


def _answered(error: ClientError, operation: str, target: str) -> ArchiverError:
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


def plain(error: Exception) -> str:
    """Name a failure in one line, without any URL's query."""
    return f"{type(error).__name__}: {error}".partition("?")[0][:300].rstrip(".")
