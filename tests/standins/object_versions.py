"""A bucket with versioning and locks, in front of a store that has neither: a client's calls go through its hands.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeletingObjectVersions.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any

from tests.support.meddling import refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


@dataclass
class ObjectVersions:
    """What becomes of each call; current objects are the store's, and older versions are known here."""

    locked_until: datetime | None = None
    """A lock on all versions."""
    refuses: str = ""
    """A method that these credentials may not call, or `versions` for the deletion of versions."""
    lists: bool = True
    """Whether the store lists versions."""
    older: dict[str, list[str]] = field(default_factory=dict)
    """The ids of older versions, by key."""
    markers: dict[str, list[str]] = field(default_factory=dict)
    """The ids of markers of deletions, by key."""
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Answer a call."""
        if method == self.refuses:
            raise refusal("AccessDenied", 403)
        if method == "list_object_versions":
            if not self.lists:
                raise refusal("NotImplemented", 501)
            return self._list(request["Prefix"])
        if "VersionId" in request:
            return self._head() if method == "head_object" else self._delete(request["Key"], request["VersionId"])
        if method in {"put_object", "delete_object"}:
            with self._lock:
                if method == "delete_object":
                    self.markers.setdefault(request["Key"], []).append(f"marker-{next(self._numbers)}")
                self.older.setdefault(request["Key"], []).append(f"version-{next(self._numbers)}")
            answer = send()
            return answer if method == "put_object" else answer | {"DeleteMarker": True, "VersionId": "any"}
        return send()

    def _list(self, prefix: str) -> dict[str, Any]:
        found = {
            name: [
                {"Key": key, "VersionId": its_id} for key in sorted(of) if key.startswith(prefix) for its_id in of[key]
            ]
            for name, of in (("Versions", self.older), ("DeleteMarkers", self.markers))
        }
        return {"IsTruncated": False, **found}

    def _head(self) -> dict[str, Any]:
        lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": self.locked_until}
        return {"ContentLength": 1, "ETag": '"e"', **(lock if self.locked_until else {})}

    def _delete(self, key: str, its_id: str) -> dict[str, Any]:
        if self.refuses == "versions" or (self.locked_until and its_id.startswith("version-")):
            raise refusal("AccessDenied", 403)
        with self._lock:
            of = self.older if its_id.startswith("version-") else self.markers
            of[key].remove(its_id)
        return {}

    def left(self, name: str) -> int:
        """Return how many older versions there are of objects with a part of the key."""
        return sum(len(ids) for key, ids in self.older.items() if name in key and "_deleted" not in key)
