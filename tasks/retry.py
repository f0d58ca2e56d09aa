"""Knows how to wait between attempts: growing pauses, the other side's Retry-After, progress, and when to give up."""

from __future__ import annotations

import random
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from tasks.errors import TransferStopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from tasks.errors import ArchiverError

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 20.0
LONGEST_RETRY_AFTER_S = 86_400.0
MOVING_BYTES = 64 * 1024
"""So much between two failures is progress, and makes the next failure the first."""


class Patience:
    """How long failures may go on without any progress; shared by all who work on the same thing.

    Progress of any of them refills it, so a transfer that moves is never given up, however often it breaks. A few
    bytes between one stall and the next are none: at that pace no recording ever arrives.

    Args:
        seconds: how long failures may go on before the last of them is raised.
        stop: set to end all pauses at once.
    """

    def __init__(self, seconds: float, stop: Event, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._stop = stop
        self._clock = clock
        self._failing_since: float | None = None
        self._moved = 0

    def progressed(self, count: int = MOVING_BYTES) -> None:
        """Note that something moved; called for every chunk.

        Args:
            count: bytes, of which a few do not count; what is no matter of bytes does.
        """
        self._moved += count
        if self._moved >= MOVING_BYTES:
            self._failing_since = None

    def check(self) -> None:
        """Raise `TransferStopped` if the run is being stopped."""
        if self._stop.is_set():
            raise TransferStopped

    def pause(self, error: ArchiverError, attempt: int) -> None:
        """Wait before the next attempt, or raise `error` if patience would end before it.

        Args:
            error: what just failed; its `retry_after` is kept to.
            attempt: how many failures in a row the caller has seen, 0 for the first after progress: no pause then.
        """
        now = self._clock()
        since = self._failing_since  # read once: another thread may make progress at any moment
        if since is None:
            since = self._failing_since = now
            self._moved = 0
        delay = max(error.retry_after or 0.0, backoff(attempt))
        if now + delay - since > self.seconds:
            raise error
        if self._stop.wait(delay):
            raise TransferStopped


def backoff(attempt: int) -> float:
    """Return the seconds to wait before trying again: none at first, then doubling with jitter up to 20 s."""
    if attempt <= 0:
        return 0.0
    longest = min(FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 10), LONGEST_PAUSE_S)
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter needs no cryptography


def retry_after_seconds(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, given as seconds or as a date; None if it says nothing.

    Source: RFC 9110, section 10.2.3.
    """
    if not value:
        return None
    if re.fullmatch(r"[0-9]+", value.strip()):
        return min(float(value), LONGEST_RETRY_AFTER_S)
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max(0.0, (when - datetime.now(UTC)).total_seconds()), LONGEST_RETRY_AFTER_S)
