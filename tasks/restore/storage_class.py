"""Objects in archived storage classes (GLACIER, DEEP_ARCHIVE): they have to be asked for before they can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.s3 import Bucket

NOT_GIVEN = "the store does not give it, and says that it need not be asked for: run again later"


def ask_for(bucket: Bucket, key: str, days: int) -> str:
    """Ask for an object if that is wanted, and return in words how it stands; empty if the object is in no such class.

    Args:
        bucket: where the object is.
        key: of the object.
        days: for which the object is to be readable; 0 to ask for nothing.
    """
    if not days:
        return "its storage class has to be asked for it first"
    return f"asked for: it will be readable for {days} days" if bucket.thaw(key, days) else ""
