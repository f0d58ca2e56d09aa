"""Addressing: a check that a store's address does not name the bucket, whose name would then begin all keys.

R2's dashboard shows such an address. For another store the same address may be right, if a path or a host has the name
of a bucket; so the store is asked for a listing. At a wrong address that is a request for an object that is not there.
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
    """Return an address without the bucket's name in its path or host; None if neither holds the name.

    Args:
        url: of the endpoint.
        bucket: the bucket's name.
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
    """Check that a store's address does not name the bucket; the store is asked only if the address may do so.

    Args:
        url: of the endpoint.
        bucket: the bucket's name.
        ask: boto3's method that lists the bucket.

    Raises:
        StoreRefused: the address names the bucket, so that all keys would begin with the bucket's name.
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
