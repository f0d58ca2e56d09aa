"""Throttle: how many requests with a body a store gets at once; fewer after "slow down", more while it is calm.

Half as many after a round in which the store refused, one more after a round in which it did not, as TCP does
(RFC 5681). To repeat with as many requests as before would send the body of each refused part over the network in vain.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Condition
from typing import TYPE_CHECKING

from tasks.errors import TransferStopped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

CHECK_INTERVAL_S = 0.25
"""Seconds between two looks at `stop` while a request waits for its turn."""


class Throttle:
    """A limit on the requests with a body that run at the same time; shared by all threads of a run that call a store.

    Args:
        most: the highest limit, and the first one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(most)
        self._under_way = 0
        self._round = 0  # a refusal of a request from an earlier round has already lowered the limit
        self._changed = Condition()

    @property
    def allowed(self) -> int:
        """How many requests may run at the same time now."""
        return int(self._allowed)

    @contextmanager
    def turn(self, stop: Event) -> Iterator[Turn]:
        """Wait for a turn, and hold it while the block runs.

        Args:
            stop: set to end the waiting at once; the turns may be held by another recording, which goes on.

        Raises:
            TransferStopped: `stop` was set.
        """
        with self._changed:
            while not self._changed.wait_for(lambda: self._under_way < self.allowed, CHECK_INTERVAL_S):
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

    def slow_down(self, begun: int) -> None:
        """Halve the limit, once for all requests that were refused together.

        Args:
            begun: the round in which the refused request began.
        """
        with self._changed:
            if begun == self._round:
                self._round += 1
                self._allowed = max(1.0, min(self._allowed, self._under_way) / 2)

    def speed_up(self) -> None:
        """Raise the limit a little: by one after as many accepted requests as the limit allows."""
        with self._changed:
            self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)
            self._changed.notify_all()


class Turn:
    """The turn of one request, which reports how the store answered."""

    def __init__(self, throttle: Throttle, begun: int) -> None:
        self._throttle = throttle
        self._begun = begun

    def taken(self) -> None:
        """Report that the store accepted the body."""
        self._throttle.speed_up()

    def refused(self) -> None:
        """Report that the store asked for fewer requests."""
        self._throttle.slow_down(self._begun)
