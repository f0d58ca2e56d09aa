"""Retries: growing pauses, the Retry-After of a server, patience that progress refills, and its end."""

from __future__ import annotations

import math
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
"""Bytes between two failures that count as progress, so that the next failure counts as the first."""


class Patience:
    """A limit on the time of failures without progress; shared by all threads that work on the same file or store.

    Progress of any thread refills the patience, so that a transfer that makes progress is never given up, however
    often its connections break. A few bytes between two stalls are no progress: so slowly, no recording arrives.

    Args:
        seconds: of failures without progress, after which the last failure is raised.
        stop: set to end all pauses at once.
        limit_s: seconds after which it is over all the same, however much progress is made.
    """

    def __init__(
        self, seconds: float, stop: Event, clock: Callable[[], float] = time.monotonic, *, limit_s: float = math.inf
    ) -> None:
        self.seconds = seconds
        self._stop = stop
        self._clock = clock
        self._end = clock() + limit_s if limit_s < math.inf else math.inf
        self._failing_since: float | None = None
        self._moved = 0

    def progressed(self, count: int = MOVING_BYTES) -> None:
        """Note progress; called for every chunk.

        Args:
            count: of bytes; fewer than `MOVING_BYTES` do not count yet. Without it, for progress other than bytes.
        """
        self._moved += count
        if self._moved >= MOVING_BYTES:
            self._failing_since = None

    @property
    def is_over(self) -> bool:
        """Whether the limit has passed."""
        return self._end < math.inf and self._clock() >= self._end

    def check(self) -> None:
        """Raise `TransferStopped` if the run is being stopped."""
        if self._stop.is_set():
            raise TransferStopped

    def pause(self, error: ArchiverError, attempt: int) -> None:
        """Wait before the next attempt, or raise `error` if patience would end before it.

        Args:
            error: the latest failure; a pause is at least its `retry_after` long.
            attempt: the number of earlier failures in a row; 0 for the first after progress, without a pause.
        """
        now = self._clock()
        since = self._failing_since  # read once: another thread may make progress at any moment
        if since is None:
            since = self._failing_since = now
            self._moved = 0
        delay = max(error.retry_after or 0.0, backoff(attempt))
        if now + delay - since > self.seconds or now + delay >= self._end:
            raise error
        wait_unless_stopped(self._stop, delay)


def wait_unless_stopped(stop: Event, seconds: float) -> None:
    """Wait for `seconds`.

    Raises:
        TransferStopped: `stop` was set meanwhile.
    """
    if stop.wait(seconds):
        raise TransferStopped


def backoff(attempt: int) -> float:
    """Return the seconds to wait before trying again: none at first, then doubling with jitter up to 20 s."""
    if attempt <= 0:
        return 0.0
    longest = min(FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 10), LONGEST_PAUSE_S)
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter needs no cryptography


def retry_after_seconds(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or as a date; None if it cannot be parsed.

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
