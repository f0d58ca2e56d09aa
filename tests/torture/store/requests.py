"""What a request asks of an S3 store, as its line and headers tell."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.torture.store.wire import Message


@dataclass(frozen=True)
class StoreRequest:
    """A request as rules see it."""

    number: int
    """From 1, of all that came."""
    operation: str
    """As S3's reference names it, PutObject and so on."""
    key: str
    """Empty where the request is of the bucket."""
    query: Mapping[str, str]
    attempt: int
    """From 1, of those of the same operation, key and part."""
    length: int
    """Of its body, as it says; in bytes."""
    headers: Mapping[str, str]
    """By their names in lower case."""
    at: float
    """When it came, by the monotonic clock, in seconds."""

    @property
    def same(self) -> tuple[str, str, str | None]:
        """What makes two requests attempts at the same."""
        return self.operation, self.key, self.query.get("partNumber")


def request_of(message: Message) -> StoreRequest:
    """Return what a request asks for; it is not counted yet."""
    method, target = message.start.decode().split()[:2]
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    headers = {name.lower(): value for name, value in message.headers}
    key = unquote(url.path).lstrip("/").partition("/")[2]
    operation, now = operation_of(method, key, query), time.monotonic()
    return StoreRequest(0, operation, key, query, 0, message.length or 0, headers, now)


_OF_OBJECT = {
    "GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject", "POST": "PostObject",
}  # fmt: skip
_OF_BUCKET = {
    "GET": "ListObjects", "HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket",
    "POST": "DeleteObjects",
}  # fmt: skip
_OF_UPLOAD = {
    "GET": "ListParts", "PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload",
}  # fmt: skip


def operation_of(method: str, key: str, query: Mapping[str, str]) -> str:
    """Return an S3 operation's name."""
    if not key:
        named = {"uploads": "ListMultipartUploads", "list-type": "ListObjectsV2"}
        return next((name for part, name in named.items() if part in query), _OF_BUCKET.get(method, method))
    if "uploads" in query:
        return "CreateMultipartUpload"
    return (_OF_UPLOAD if "uploadId" in query else _OF_OBJECT).get(method, method)
