"""The schedule of an audit: which bags are read next, and when the budget is used up. Pure.

Bags that were never read, or were replaced since, come first; then those that were not read for longest. Bags that were
damaged or could not be read are tried again between the others, within half the budget: they may be repaired by now,
and must not delay the others.

A version of a session that a newer version has superseded takes its turn by age like all others, but within half the
budget, too: a session gets a version with each document that comes, and each version holds all documents again. Of
those that were never read, superseded versions come last.
"""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.archive import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from tasks.audit.log import Record

LONG_AGO = datetime.min.replace(tzinfo=UTC)
AGAIN_SHARE = 0.5
"""Share of the budget for bags that were damaged or could not be read before."""
SUPERSEDED_SHARE = 0.5
"""Share of the budget that may be used up when the reading of a superseded version begins."""

MEASURED_SHARE = 0.01
"""Share of a bag's bytes that must be read for the bag to tell how long others take."""


class Budget:
    """The amount that an audit may read.

    Args:
        size: bytes; 0 for no limit.
        seconds: duration, from now on.
        clock: returns seconds.
    """

    def __init__(self, size: float, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._seconds = seconds
        self._clock = clock
        self._began = self._last_end = clock()
        self._idle = 0.0  # seconds with bags of which next to nothing was read
        self._planned = 0  # bytes of the bags that are being read
        self._read = 0  # bytes of the bags that were read

    def grants(self, size: int, share: float = 1.0) -> bool:
        """Tell whether the reading of a bag may begin; its size counts from then on, and the reading is not stopped.

        The first bag always may: else a bag larger than the whole budget would never be read.

        Args:
            size: of the bag, in bytes.
            share: of the budget that may be used up with this bag.
        """
        elapsed = self._clock() - self._began
        remaining = (elapsed - self._idle) * (self._planned + size) / self._read if self._read else 0.0
        is_in_time = elapsed + remaining < self._seconds * share
        fits = not self._size or self._read + self._planned + size <= self._size * share
        if (self._read or self._planned) and not fits:
            return False
        if (self._read or self._planned or self._idle) and not is_in_time:
            return False
        self._planned += max(size, 1)
        return True

    def drop_plans(self) -> None:
        """Forget the bags that were being read, as none is."""
        self._planned = 0

    def spent(self, planned: int, read: int) -> None:
        """Count the bytes that were read of a bag, in place of its planned size.

        If next to nothing was read, the time tells nothing of what another bag takes: the files may be in an archived
        storage class, and many such bags in a row must not make all others seem too slow to begin.
        """
        now = self._clock()
        if read < planned * MEASURED_SHARE:
            self._idle += now - self._last_end
        self._last_end = now
        self._planned -= max(planned, 1)
        self._read += read


def is_new(held: Held, record: Record | None) -> bool:
    """Tell whether this version of a bag has no record; where ETags change by themselves, every bag is new."""
    return record is None or record.versions != held.sums.versions


def order_bags(
    bags: Iterable[Held], records: Mapping[str, Record], superseded: Collection[str] = ()
) -> tuple[list[Held], list[Held]]:
    """Return the bags in the order of reading, and apart from them the bags that an earlier audit had trouble with.

    Args:
        bags: all bags of the audit.
        records: the last record of each bag, by folder.
        superseded: folders of versions of sessions of which a newer version is committed.
    """
    usual, troubled = list[Held](), list[Held]()
    for held in bags:
        record = records.get(held.folder)
        trouble = record is not None and record.outcome in {"damaged", "unread"} and not is_new(held, record)
        (troubled if trouble else usual).append(held)

    def urgency(held: Held) -> tuple[bool, datetime, bool, str]:
        record = records.get(held.folder)
        at = record.at if record else LONG_AGO
        return not is_new(held, record), at, held.folder in superseded, held.folder

    return sorted(usual, key=urgency), sorted(troubled, key=urgency)


def select_bags(
    usual: Iterable[Held], troubled: Iterable[Held], budget: Budget, superseded: Collection[str] = ()
) -> Iterator[Held]:
    """Yield the bags to read, one at a time, until the budget is used up."""
    first, again = deque(usual), deque(troubled)
    while first or again:
        while first:
            held = first.popleft()
            is_superseded = held.folder in superseded
            if budget.grants(held.sums.size, SUPERSEDED_SHARE if is_superseded else 1.0):
                yield held
                break
            # A bag too large for the rest of the budget is the first next time; if skipped, it would never be read.
            # A superseded version may be skipped: its age makes it the first of some later audit.
            if not is_superseded:
                first.clear()
        while again:
            held = again.popleft()
            if budget.grants(held.sums.size, AGAIN_SHARE):
                yield held
                break
