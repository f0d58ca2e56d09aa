"""Older versions of objects, which a bucket with versioning keeps, and the locks on them.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.errors import StoreRefused
from tasks.s3.bucket import Bucket
from tasks.s3.error_codes import NOT_SUPPORTED
from tasks.s3.retention import UNLOCKED, parse_retention

if TYPE_CHECKING:
    from tasks.s3.retention import Retention

_NEXT_PAGE = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}


@dataclass(frozen=True)
class ObjectVersion:
    """A version of an object, or the marker of its deletion."""

    key: str
    id: str = field(repr=False)
    is_delete_marker: bool = False


class VersionedBucket(Bucket):
    """A bucket that may keep older versions of its objects."""

    def hide(self, key: str) -> bool:
        """Delete an object; tell whether the store keeps it as an older version. An object that is not there is none.

        Raises:
            StoreRefused: it may not be deleted.
        """
        return self._ask("delete_object", key).get("DeleteMarker") is True

    def versions(self, prefix: str) -> list[ObjectVersion] | None:
        """Return all versions of the objects below a prefix; None if the store does not support that.

        Raises:
            StoreRefused: these credentials may not list versions (s3:ListBucketVersions).
        """
        found: list[ObjectVersion] = []
        try:
            for page in self._pages("list_object_versions", None, _NEXT_PAGE, Prefix=prefix):
                found += [ObjectVersion(item["Key"], item["VersionId"]) for item in page.get("Versions", ())]
                found += [ObjectVersion(item["Key"], item["VersionId"], True) for item in page.get("DeleteMarkers", ())]
        except StoreRefused as refused:
            if refused.code not in NOT_SUPPORTED:
                raise
            return None
        return found

    def delete_version(self, version: ObjectVersion) -> None:
        """Delete a version for good.

        Raises:
            StoreRefused: it is locked, or these credentials may not (s3:DeleteObjectVersion).
        """
        self._ask("delete_object", version.key, VersionId=version.id)

    def find_lock(self, version: ObjectVersion) -> Retention:
        """Return the lock on a version, as far as the store tells."""
        if version.is_delete_marker:
            return UNLOCKED
        try:
            return parse_retention(self._ask("head_object", version.key, VersionId=version.id))
        except StoreRefused:
            return UNLOCKED
