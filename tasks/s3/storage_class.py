"""Archived storage classes: objects that cannot be read until the store was asked for a readable copy of them.

GLACIER and DEEP_ARCHIVE are storage classes, ARCHIVE_ACCESS and DEEP_ARCHIVE_ACCESS tiers of INTELLIGENT_TIERING. Other
stores have such classes under other names, so that only a refusal to read an object proves that it is in one.
Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

ThawTier: TypeAlias = Literal["standard", "bulk", "expedited"]
"""How fast, and how dear, a readable copy is made."""

_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_HOURS_OF_GLACIER: Mapping[ThawTier, float] = {"expedited": 0.1, "standard": 5, "bulk": 12}
_HOURS_OF_DEEP_ARCHIVE: Mapping[ThawTier, float] = {"standard": 12, "bulk": 48}
_HOURS: Mapping[str, Mapping[ThawTier, float]] = {
    "GLACIER": _HOURS_OF_GLACIER,
    "ARCHIVE_ACCESS": _HOURS_OF_GLACIER,
    "DEEP_ARCHIVE": _HOURS_OF_DEEP_ARCHIVE,
    "DEEP_ARCHIVE_ACCESS": _HOURS_OF_DEEP_ARCHIVE,
}
"""After so many hours, a readable copy is usually there, as Amazon states."""
_LONGEST_HOURS = 48.0


@dataclass(frozen=True)
class StorageClass:
    """The storage class of an object, as far as the object's readability depends on it."""

    name: str = ""  # of the class, or of the tier within INTELLIGENT_TIERING; empty if the store names none
    is_tier: bool = False  # of INTELLIGENT_TIERING: what is made readable there stays so, without a number of days
    is_archived: bool = False  # not readable, and nobody has asked for it
    is_thawing: bool = False  # not readable yet, but asked for

    def __str__(self) -> str:
        """Return it for people."""
        return self.name or "an archived storage class"

    @property
    def is_cold(self) -> bool:
        """Whether the object is known to be not readable now."""
        return self.is_archived or self.is_thawing

    def hours(self, tier: ThawTier) -> float:
        """Return after how many hours an object that is asked for is usually readable."""
        return _HOURS.get(self.name, {}).get(tier, _LONGEST_HOURS)


NO_CLASS = StorageClass()


def parse_storage_class(answer: Mapping[str, Any]) -> StorageClass:
    """Return the storage class that an answer to HEAD states."""
    tier, name = str(answer.get("ArchiveStatus") or ""), str(answer.get("StorageClass") or "")
    restore = str(answer.get("Restore") or "")
    is_thawing = 'ongoing-request="true"' in restore
    is_cold = bool(tier) or name in _ARCHIVED
    return StorageClass(
        tier or name,
        is_tier=bool(tier) or name == "INTELLIGENT_TIERING",
        is_archived=is_cold and not restore,
        is_thawing=is_thawing,
    )
