"""Error codes of stores and exceptions of boto3, translated: store unavailable, request refused, or bytes damaged.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what R2, Ceph, Swift and rclone send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError as Urllib3Error

from tasks.errors import ArchiverError, StoredWrong, StoreRefused, StoreUnavailable, UploadVanished
from tasks.retry import retry_after_seconds
from tasks.s3.connection_failures import find_misconfiguration
from tasks.s3.credentials import RENEWABLE
from tasks.text import safe_line

if TYPE_CHECKING:
    from collections.abc import Mapping

AnyError: TypeAlias = BotoCoreError | ClientError | Urllib3Error | ResponseParserError | ValueError | RuntimeError
# botocore raises the last three, which are not of its own family, for invalid XML, numbers and dates.
CALL_FAILURES = (BotoCoreError, ClientError, Urllib3Error, ResponseParserError, ValueError, RuntimeError)
BODY_FAILURES = (BotoCoreError, Urllib3Error)
"""Exceptions that reading an answer's body may raise."""

NOT_SUPPORTED = frozenset({
    "NotImplemented", "XNotImplemented", "NotSupported", "UnsupportedOperation", "InvalidArgument", "InvalidRequest",
    "MethodNotAllowed", "501",
})  # fmt: skip
"""Codes with which stores refuse a header, a parameter or an operation that they do not support."""
WITHOUT_REASON = frozenset({"400", "403"})
"""Codes of refusals of HEAD, whose answers have no body with a reason."""
ALREADY_EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})
NOT_FOUND = frozenset({"NoSuchKey", "NotFound", "404"})
ANOTHER_OBJECT = ALREADY_EXISTS | NOT_FOUND | {"InvalidRange", "BrokenMPU"}
"""Codes during the reading of an object: another object is at the key now, or the object is broken."""
ARCHIVED_CLASS = "InvalidObjectState"
"""Code for an object in an archived storage class, which is to be asked for before it is read; for RestoreObject, the
code says that the object is in another class."""
ALREADY_THAWING = "RestoreAlreadyInProgress"

_NO_CAPACITY = "GlacierExpeditedRetrievalNotAvailable"
"""Code, with status 503, for a readable copy that cannot be made in minutes: later, or with another tier, it can."""
_BAD_DIGEST = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})
_TOO_MUCH = frozenset({"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "TooManyRequests"})
_TRY_AGAIN = _TOO_MUCH | {"RequestTimeout", "InternalError", "IncompleteBody", "OperationAborted", "TemporaryRedirect"}
_BROKEN_ANSWERS = frozenset({"IncompleteReadError", "ResponseStreamingError"})
_ALWAYS_SAID = {
    "create_multipart_upload": ["UploadId"], "upload_part": ["ETag"], "put_object": ["ETag"], "get_object": ["ETag"],
    "head_object": ["ETag", "ContentLength"],
}  # fmt: skip
_NO_CREDENTIALS_NOW = frozenset({
    "CredentialRetrievalError", "MetadataRetrievalError", "TokenRetrievalError", "SSOTokenLoadError",
    "UnauthorizedSSOTokenError",
})  # fmt: skip
_WITH_ANY_TYPE = frozenset({"head_object", "get_object"})


def translate_error(error: AnyError, operation: str, target: str) -> ArchiverError:
    """Return this project's error for an error of boto3; it says whether a retry is useful and what a person can do."""
    if isinstance(error, ClientError):
        return _translate_response(error, operation, target)
    name = type(error).__name__
    if not isinstance(error, BotoCoreError | Urllib3Error):
        # Without the error's text, which quotes the whole answer, whichever server sent it.
        return StoreUnavailable(operation, target, f"the answer is not S3's ({name})")
    if (misconfiguration := find_misconfiguration(error)) is not None:
        return _mark_passing(StoreRefused(operation, target, misconfiguration[0], safe_line(misconfiguration[1])))
    if isinstance(error, BotoConnectionError | HTTPClientError | Urllib3Error) or name in _BROKEN_ANSWERS:
        return StoreUnavailable(operation, target, describe_error(error))
    refused = StoreRefused(operation, target, name, safe_line(str(error)))
    return _mark_passing(refused) if name in _NO_CREDENTIALS_NOW else refused


def _mark_passing(refused: StoreRefused) -> StoreRefused:
    refused.may_pass = True
    return refused


def _translate_response(error: ClientError, operation: str, target: str) -> ArchiverError:
    fields = error.response.get("Error", {})
    code = safe_line(str(fields.get("Code") or "unknown"))
    message = safe_line(str(fields.get("Message") or "no message"))
    status = _status(error)
    if code == "NoSuchUpload":
        return UploadVanished(operation, target, message)
    if code in _BAD_DIGEST:
        return StoredWrong(target, "the checksum that was sent", f"{code}: {message}")
    if code in _TRY_AGAIN or status in {307, 429} or (status >= 500 and status != 501 and code != _NO_CAPACITY):
        away = StoreUnavailable(operation, target, f"HTTP {status} {code}: {message}")
        away.retry_after = retry_after_seconds(_headers(error.response).get("retry-after"))
        return away
    refused = StoreRefused(operation, target, code, message)
    refused.may_pass = error.response.get("ResponseMetadata", {}).get(RENEWABLE) is True
    return refused


def is_answer(error: Exception) -> bool:
    """Tell whether a failure is an answer of the store, and not a network failure or a page of another server.

    Such pages have no code but HTTP's status; neither has an answer to HEAD, which has no body.
    """
    if not isinstance(error, ClientError):
        return False
    code = error.response.get("Error", {}).get("Code") or ""
    return not code.isdigit() or (error.operation_name == "HeadObject" and _status(error) < 500)


def _status(error: ClientError) -> int:
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


def is_throttling(error: ClientError) -> bool:
    """Tell whether the store refuses a request because there are too many of them."""
    status = _status(error)
    return status in {429, 503} or error.response.get("Error", {}).get("Code") in _TOO_MUCH


def may_pass_next_time(error: ArchiverError) -> bool:
    """Tell whether the same request may be accepted the next time although this one was refused.

    A request with an old date was signed by a wrong clock, or by a computer that slept before it was sent; an answer
    to HEAD has no body with a reason; expired credentials may have been renewed.
    """
    unsure = {"RequestTimeTooSkewed"} | WITHOUT_REASON
    return isinstance(error, StoreRefused) and (error.code in unsure or error.may_pass)


def is_foreign(operation: str, answer: Mapping[str, Any]) -> bool:
    """Tell whether another server (a proxy, a load balancer) answered in the store's place, with status 200."""
    if any(answer.get(name) in {None, ""} for name in _ALWAYS_SAID.get(operation, ())):
        return True
    if operation in _WITH_ANY_TYPE:
        return False
    headers = _headers(answer)
    # Swift gives an answer without a body the media type of HTML.
    empty = headers.get("content-length") == "0" or answer.get("ResponseMetadata", {}).get("HTTPStatusCode") == 204
    return "html" in headers.get("content-type", "") and not empty


def _headers(answer: Mapping[str, Any]) -> Mapping[str, str]:
    headers: Mapping[str, str] = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers


def describe_error(error: Exception) -> str:
    """Return the name and message of a failure in one line, without any URL's query."""
    return safe_line(f"{type(error).__name__}: {error}".partition("?")[0])
