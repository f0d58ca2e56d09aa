"""Locks of objects: what keeps one from being deleted or replaced, and until when.

In a bucket with Object Lock, which always has versions, a put over a locked object and a deletion succeed all the same:
they make a new version, and the locked one stays below. So whoever is not to replace a locked object has to ask before.
Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

WITHOUT_LOCKS = frozenset({
    "NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError", "ObjectLockConfigurationNotFound",
})  # fmt: skip
"""Codes with which stores say that a bucket, or an object, has no lock."""


@dataclass(frozen=True)
class Retention:
    """The lock of an object; without mode and legal hold there is none."""

    mode: str = ""  # GOVERNANCE or COMPLIANCE; empty for none
    until: datetime | None = None
    legal_hold: bool = False  # set by a person, for as long as that person wants

    def __str__(self) -> str:
        """Return it for people."""
        if self.until is None:
            return "a legal hold, until somebody takes it off" if self.legal_hold else "none"
        hold = ", and a legal hold" if self.legal_hold else ""
        return f"{self.mode} until {self.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC{hold}"

    @property
    def request(self) -> dict[str, Any]:
        """The parameters with which an object is put that is locked from the beginning."""
        return {"ObjectLockMode": self.mode, "ObjectLockRetainUntilDate": self.until} if self.until else {}

    def is_active(self, now: datetime) -> bool:
        """Tell whether the object must not be replaced or deleted now."""
        return self.legal_hold or (self.until is not None and now < self.until)

    def covers(self, wanted: Retention) -> bool:
        """Tell whether this is at least the lock that was wanted."""
        if self.until is None or wanted.until is None:
            return wanted.until is None
        return self.until >= wanted.until and self.mode in {wanted.mode, "COMPLIANCE"}


UNLOCKED = Retention()


def parse_stated_retention(answer: Mapping[str, Any]) -> Retention:
    """Return the lock that an answer to GetObjectRetention states; of legal holds, the answer says nothing."""
    stated = answer.get("Retention") or {}
    return Retention(str(stated.get("Mode") or ""), stated.get("RetainUntilDate"))


def parse_retention(answer: Mapping[str, Any]) -> Retention:
    """Return the lock that an answer to HEAD states."""
    until = answer.get("ObjectLockRetainUntilDate")
    hold = answer.get("ObjectLockLegalHoldStatus") == "ON"
    return Retention(str(answer.get("ObjectLockMode") or "") if until else "", until, hold)
