"""Knows how to log what others cause, as often as they like: at a pace that a person can read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

LOGGED_EVERY_S = 10.0


class Sparing:
    """Logs one kind of trouble, but not at the pace at which it comes.

    Args:
        log: where to.
        level: how serious it is, as `logging` has it.
    """

    def __init__(self, log: logging.Logger, level: int) -> None:
        self._log = log
        self._level = level
        self._silent_until = 0.0
        self._untold = 0

    def note(self, text: str) -> None:
        """Log it, or count it for the next one that is logged."""
        now = time.monotonic()
        if now < self._silent_until:
            self._untold += 1
            return
        more = f" ({self._untold} more since the last one)" if self._untold else ""
        self._log.log(self._level, "%s%s", text, more)
        self._silent_until, self._untold = now + LOGGED_EVERY_S, 0
