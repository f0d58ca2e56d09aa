"""Objects in archived storage classes (GLACIER, DEEP_ARCHIVE): they are asked for, and readable hours later."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import dropwhile
from typing import TYPE_CHECKING

from tasks.archive import shown
from tasks.errors import StoreRefused, StoreUnavailable
from tasks.restore.models import Problem
from tasks.retry import wait_unless_stopped
from tasks.s3 import ARCHIVED_CLASS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.restore.context import ChosenBag, RestoreContext
    from tasks.restore.models import ProblemKind
    from tasks.s3 import Bucket, StorageClass, StoredObject

FIRST_PAUSE_S, LONGEST_PAUSE_S = 30.0, 900.0
"""Between two looks at objects that are asked for; each pause is twice as long as the one before."""
NOT_GIVEN = "the store does not give it, and says that it need not be asked for: run again later"


class ArchivedObjects:
    """The objects of one bag that are in archived storage classes: asks for them, and notes how they stand.

    Args:
        context: says whether objects are to be asked for, for how long and how fast.
        bucket: the archive's.
        folder: the bag's key prefix, with a slash at its end.
    """

    def __init__(self, context: RestoreContext, bucket: Bucket, folder: str) -> None:
        self._context = context
        self._bucket = bucket
        self._folder = folder
        self.thawing: list[str] = []
        """Keys of objects that are asked for, and not readable yet."""

    def problem_of(self, path: str, refused: StoreRefused, key: str = "") -> Problem:
        """Return why a file cannot be read, and ask for the file if that is wanted, and is what it takes.

        Args:
            path: within the bag.
            refused: the store's answer to its reading.
            key: of the file, if it lies beside the bag.
        """
        if refused.code != ARCHIVED_CLASS:
            return _problem("unreadable", path, str(refused))
        return self._describe(path, self._bucket.head(key or self._folder + path))

    def problems_of_all(self, refused: StoreRefused) -> list[Problem]:
        """Return the same of a bag whose tag files cannot be read: nobody knows which of its files are needed.

        Args:
            refused: the store's answer to the reading of a tag file.
        """
        if refused.code != ARCHIVED_CLASS:
            return [_problem("unreadable", "", str(refused))]
        described = {
            stored.key.removeprefix(self._folder): self._bucket.head(stored.key)
            for stored in self._bucket.list(self._folder)
        }
        cold = {path: stored for path, stored in described.items() if stored and stored.storage_class.is_cold}
        return [self._describe(path, stored) for path, stored in (cold or described).items()]

    def _describe(self, path: str, stored: StoredObject | None) -> Problem:
        detail = self._ask_for(stored) if stored else ""
        return _problem("archived class", path, detail) if detail else _problem("unreadable", path, NOT_GIVEN)

    def _ask_for(self, stored: StoredObject) -> str:
        """Return how an object stands, after it was asked for if need be; empty if it need not be."""
        days, tier, kept = self._context.thaw_days, self._context.thaw_tier, stored.storage_class
        if kept.is_thawing:
            self.thawing.append(stored.key)
            return f"in {kept}, asked for before and not readable yet: that takes {_describe_hours(kept)}"
        if not days:
            return f"in {kept}: it has to be asked for, which takes {_describe_hours(kept)}"
        try:
            self._bucket.thaw(stored, days, tier)
        except StoreRefused as refused:
            if refused.code == ARCHIVED_CLASS:
                return ""
            return f"in {kept}, and cannot be asked for: {refused.code}: {refused.message}"
        except StoreUnavailable as away:
            self._bucket.level(self._folder)  # raises if the store is away
            return f"in {kept}, and cannot be asked for now: {away.reason}"
        self.thawing.append(stored.key)
        lifetime = "" if kept.is_tier else f", for {days} days"
        return f"in {kept}, asked for: readable from about {_in_utc(kept.hours(tier))} on{lifetime}"


def wait_for_thaw(context: RestoreContext, thawing: Mapping[ChosenBag, Sequence[str]]) -> list[ChosenBag]:
    """Wait until all objects of a bag are readable, and return the bags of which they are; none if the time is over.

    Args:
        context: says until when to wait.
        thawing: by bag, the keys of the objects that are asked for.
    """
    left = {bag: list(keys) for bag, keys in thawing.items() if keys}
    pause_s = FIRST_PAUSE_S
    while left and (rest_s := context.wait_until - time.monotonic()) > 0:
        objects, until = sum(map(len, left.values())), _in_utc(rest_s / 3600)
        context.log.info("Waiting for %d objects in archived storage classes, until %s at most.", objects, until)
        wait_unless_stopped(context.stop, min(pause_s, rest_s))
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        bucket = context.new_bucket()
        left = {bag: _not_readable(bucket, keys) for bag, keys in left.items()}
        if readable := [bag for bag, keys in left.items() if not keys]:
            return readable
    return []


def _not_readable(bucket: Bucket, keys: Iterable[str]) -> list[str]:
    """Return the keys from the first one on whose object is not readable yet: one request for most bags."""
    return list(dropwhile(lambda key: not _is_thawing(bucket, key), keys))


def _is_thawing(bucket: Bucket, key: str) -> bool:
    stored = bucket.head(key)
    return stored is not None and stored.storage_class.is_thawing


def _describe_hours(kept: StorageClass) -> str:
    return f"about {kept.hours('standard'):g} hours, {kept.hours('bulk'):g} with the tier bulk"


def _in_utc(hours: float) -> str:
    return f"{datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%d %H:%M} UTC"


def _problem(kind: ProblemKind, path: str, detail: str) -> Problem:
    return Problem(kind=kind, path=shown(path), detail=shown(detail))
