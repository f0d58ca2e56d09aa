"""Locks of the bags: set when a bag is committed, the marker last, and asked for before one is replaced.

A lock is set on what was stored and proved, right before the marker, which appears with its own: so a bag that is
visible is locked, and nothing else is. What has to be replaced is not locked: records of work under way, descriptions,
captions, the catalog, and a bag that states that files are missing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.errors import ArchiveLocked, LocksUnsupported, StoredWrong, StoreRefused
from tasks.s3 import UNLOCKED, Retention
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasks.s3 import Bucket


def require_lockable(bucket: Bucket) -> None:
    """Check that the bucket has Object Lock, if bags are to be locked: before anything is fetched for one.

    Raises:
        LocksUnsupported: it has none.
    """
    if bucket.options.lock is not None and not bucket.supports_locks():
        raise LocksUnsupported(f"s3://{bucket.bucket}")


def lock_all(bucket: Bucket, keys: Iterable[str]) -> Retention:
    """Lock objects for as long as the settings say, and return the lock; none if they say nothing.

    Raises:
        LocksUnsupported: the bucket has no Object Lock.
        StoreRefused: these credentials may not set locks, or not ask for them.
        StoredWrong: the store does not state a lock that it took.
    """
    if (lock := bucket.options.lock) is None:
        return UNLOCKED
    require_lockable(bucket)
    retention = Retention(lock.mode, lock.until(datetime.now(UTC)))
    a_few_at_a_time(lambda key: bucket.lock(key, retention), list(keys))
    return retention


def put_marker(bucket: Bucket, key: str, content: bytes, content_type: str, retention: Retention) -> None:
    """Write a bag's marker with its lock, unless there is a marker.

    A marker that the store has not locked is taken back: the next run would find a bag, and all would seem well.

    Raises:
        StoreRefused: these credentials may not ask for locks.
        StoredWrong: the store does not state the lock that it took.
    """
    if not bucket.put(key, content, content_type, if_absent=True, retention=retention):
        if retention.until is not None:  # it may be this one, whose answer was lost, and its lock with it
            bucket.lock(key, retention)
        return
    try:
        bucket.require_locked(key, retention)
    except (StoredWrong, StoreRefused):
        bucket.delete([key])
        raise


def require_unlocked(bucket: Bucket, url: str, keys: Sequence[str]) -> None:
    """Check that no object is locked. A store would take a put or a deletion all the same, and keep both versions.

    Args:
        bucket: where the objects are.
        url: of the bag, for people.
        keys: of the objects, that of the bag's marker first.

    Raises:
        ArchiveLocked: one is.
        StoreRefused: bags are locked, and these credentials may not ask for locks.
    """
    now = datetime.now(UTC)
    stored = a_few_at_a_time(bucket.head, keys)
    locks = [item.retention for item in stored if item is not None and item.retention.is_active(now)]
    # HEAD conceals locks from credentials that may not ask for them.
    if not locks and bucket.options.lock is not None and bucket.supports_locks():
        locks = [lock for lock in [bucket.retention(keys[0])] if lock.is_active(now)]
    if locks:
        latest = max(locks, key=lambda lock: (lock.legal_hold, lock.until or now))
        raise ArchiveLocked(url, str(latest))
