"""Knows whether a store's address names the bucket as well: then all keys would begin with the bucket's name once more.

R2's dashboard shows such an address. The same may be right elsewhere, where a path or a host is called like a bucket;
so the store is asked for a listing. At the wrong address that is a request for an object, of which there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from tasks.errors import ArchiverError, StoreRefused
from tasks.s3.error_codes import CALL_FAILURES, NOT_FOUND, translate_error

if TYPE_CHECKING:
    from collections.abc import Callable

_R2 = ".r2.cloudflarestorage.com"


def remove_bucket(url: str, bucket: str) -> str | None:
    """Return the address as it would be without the bucket, in its path or its host; None if the bucket is in neither.

    Args:
        url: of the endpoint.
        bucket: its name.
    """
    parts = urlsplit(url)
    above, _, last = parts.path.rstrip("/").rpartition("/")
    if last == bucket:
        return urlunsplit((parts.scheme, parts.netloc, above, "", ""))
    user, at, host = parts.netloc.rpartition("@")
    if host.startswith(f"{bucket}."):
        return urlunsplit((parts.scheme, user + at + host.removeprefix(f"{bucket}."), parts.path.rstrip("/"), "", ""))
    return None


def require_no_bucket(url: str, bucket: str, ask: Callable[..., dict[str, Any]]) -> None:
    """Check that a store's address does not name the bucket; the store is asked only where that is possible.

    Args:
        url: of the endpoint.
        bucket: its name.
        ask: lists the bucket.

    Raises:
        StoreRefused: it does, so that all would be stored below the bucket's name.
    """
    corrected = remove_bucket(url, bucket)
    if corrected is None or not _asks_for_an_object(url, bucket, ask):
        return
    message = (
        f"{url} names the bucket {bucket}, so that all would be stored below s3://{bucket}/{bucket}. Set "
        f"AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL) to {corrected}; to go on with what was archived there before, "
        f"let ARCHIVE_URL begin with s3://{bucket}/{bucket}"
    )
    raise StoreRefused("the configuration", "the store's address", "BucketInEndpoint", message)


def _asks_for_an_object(url: str, bucket: str, ask: Callable[..., dict[str, Any]]) -> bool:
    parts = urlsplit(url)
    if (parts.hostname or "").endswith(_R2) and parts.path.strip("/"):
        return True  # there is no other path there
    try:
        ask(Bucket=bucket, MaxKeys=1)
    except CALL_FAILURES as error:
        failure: ArchiverError = translate_error(error, "list_objects_v2", f"s3://{bucket}")
        return isinstance(failure, StoreRefused) and failure.code in NOT_FOUND
    return False
