"""Clock skew: how far this machine's clock is from those of servers, by the `Date` of their answers. Pure.

Source: RFC 9110, section 6.6.1: the moment at which the answer was made, in whole seconds.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from threading import Lock


class ClockSkew:
    """The differences between this machine's clock and those of servers; safe for threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._bounds: dict[str, tuple[float, float]] = {}

    def note(self, server: str, sent: float, received: float, date: str | None) -> None:
        """Add the time of an answer.

        Args:
            server: its name for people.
            sent: this machine's time when the request went out, seconds since 1970.
            received: the same, when the answer had arrived.
            date: the answer's `Date` header; ignored if it is not a date.
        """
        try:
            when = parsedate_to_datetime(date or "")
        except (ValueError, OverflowError):
            return
        theirs = when.replace(tzinfo=when.tzinfo or UTC).timestamp()
        # The answer was made between the two moments, and within the second that its header names.
        low, high = theirs - received, theirs + 1 - sent
        with self._lock:
            known_low, known_high = self._bounds.get(server, (low, high))
            self._bounds[server] = max(low, known_low), min(high, known_high)

    def ahead(self) -> dict[str, float]:
        """Return by how many seconds each server's clock is ahead of this one, at the least; negative if it is behind.

        A slow answer proves little, so the closest bounds of all answers count.
        """
        with self._lock:
            return {server: _nearest(*bounds) for server, bounds in self._bounds.items()}


def _nearest(low: float, high: float) -> float:
    if low > high:  # one of the clocks was set meanwhile
        return (low + high) / 2
    return min(max(0.0, low), high)
