"""Which bags an audit reads next, and when it has read enough. Pure.

Those never read come first, and those of which another version lies there since; then those not read for longest. Bags
that were damaged or could not be read are tried again between the others, within half the budget: they may be mended,
and must not keep the others waiting.
"""

from __future__ import annotations

import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.archive import Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tasks.audit.log import Record

LONG_AGO = datetime.min.replace(tzinfo=UTC)
AGAIN_SHARE = 0.5
"""Of the budget, for what gave trouble before."""


class Budget:
    """How much may be read.

    Args:
        size: bytes; 0 for any number.
        seconds: from now on.
        clock: tells seconds.
    """

    def __init__(self, size: float, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._seconds = seconds
        self._clock = clock
        self._began = clock()
        self._planned = 0  # bytes of the bags under way
        self._read = 0  # bytes of those that are done

    def grants(self, size: int, share: float = 1.0) -> bool:
        """Tell whether a bag may be begun; it is reckoned with then, and not stopped in the middle.

        The first always may: else a bag that is larger than all of the budget would never be read.

        Args:
            size: its bytes.
            share: of the budget, which may be used up by then.
        """
        gone = self._clock() - self._began
        lasts = gone * (self._planned + size) / self._read if self._read else 0.0
        fits = not self._size or self._read + self._planned + size <= self._size * share
        if (self._read or self._planned) and not (fits and gone + lasts < self._seconds * share):
            return False
        self._planned += max(size, 1)
        return True

    def drop_plans(self) -> None:
        """Reckon no longer with bags under way, as there are none."""
        self._planned = 0

    def spent(self, planned: int, read: int) -> None:
        """Note what a bag really took, in place of what it was reckoned with."""
        self._planned -= max(planned, 1)
        self._read += read


def is_new(held: Held, record: Record | None) -> bool:
    """Tell whether what lies there was never looked at; on a store whose ETags change by themselves, all is new."""
    return record is None or record.versions != held.sums.versions


def in_order(bags: Iterable[Held], records: Mapping[str, Record]) -> tuple[list[Held], list[Held]]:
    """Return the bags to read in their order, and apart from them those that an earlier audit had trouble with.

    Args:
        bags: all of them.
        records: the last of each bag, by its folder.
    """
    usual, troubled = list[Held](), list[Held]()
    for held in bags:
        record = records.get(held.folder)
        trouble = record is not None and record.outcome in {"damaged", "unread"} and not is_new(held, record)
        (troubled if trouble else usual).append(held)

    def urgency(held: Held) -> tuple[bool, datetime, str]:
        record = records.get(held.folder)
        return not is_new(held, record), record.at if record else LONG_AGO, held.folder

    return sorted(usual, key=urgency), sorted(troubled, key=urgency)


def granted(usual: Iterable[Held], troubled: Iterable[Held], budget: Budget) -> Iterator[Held]:
    """Yield the bags to read, in turn, each as soon as the next is asked for, until the budget is used up."""
    first, again = deque(usual), deque(troubled)
    while first or again:
        if first:
            # One that is too large for today's rest is the first tomorrow; if it were passed over, it never would be.
            if not budget.grants(first[0].sums.size):
                first.clear()
                continue
            yield first.popleft()
        while again:
            held = again.popleft()
            if budget.grants(held.sums.size, AGAIN_SHARE):
                yield held
                break
