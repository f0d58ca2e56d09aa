"""Knows how many bodies a store takes at once: fewer each time that it says "slow down", more while it is calm.

Half as many after a round in which it refused, one more after a round in which it did not, as TCP does (RFC 5681). To
try again and again with as many as before would send each refused part over the link in vain.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING

from tasks.errors import TransferStopped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

LOOK_EACH_S = 0.25
"""How often who waits for a turn looks whether to stop."""


class Pace:
    """How many requests with a body may be under way at once; shared by all threads of a run that talk to a store.

    Args:
        most: never more than so many; it begins with them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(most)
        self._under_way = 0
        self._round = 0  # a refusal of a request that was begun in an earlier one has been heeded already
        self._changed = Condition()

    @property
    def allowed(self) -> int:
        """How many may be under way now."""
        return int(self._allowed)

    @contextmanager
    def turn(self, stop: Event) -> Iterator[Turn]:
        """Wait for a turn, and have it while the block runs.

        Args:
            stop: set to end the waiting: others whose turn it is may be of a recording that goes on.

        Raises:
            TransferStopped: it was set.
        """
        with self._changed:
            while not self._changed.wait_for(lambda: self._under_way < self.allowed, LOOK_EACH_S):
                if stop.is_set():
                    raise TransferStopped
            self._under_way += 1
            begun = self._round
        try:
            yield Turn(self, begun)
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def slower(self, begun: int) -> None:
        """Allow half of what is under way, once for all that were refused together.

        Args:
            begun: the round in which the refused request was begun.
        """
        with self._changed:
            if begun == self._round:
                self._round += 1
                self._allowed = max(1.0, min(self._allowed, self._under_way) / 2)

    def faster(self) -> None:
        """Allow a little more: one, once as many as are allowed were taken."""
        with self._changed:
            self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)
            self._changed.notify_all()


class Turn:
    """One request's turn, and how the store took it."""

    def __init__(self, pace: Pace, begun: int) -> None:
        self._pace = pace
        self._begun = begun

    def taken(self) -> None:
        """Note that the store took the body."""
        self._pace.faster()

    def refused(self) -> None:
        """Note that the store asked for less."""
        self._pace.slower(self._begun)
