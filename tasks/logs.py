"""Knows logs: what a logger is here, whose logs must not be seen, and at what pace a person can read."""

from __future__ import annotations

import logging
import time
from typing import Any, TypeAlias

Log: TypeAlias = logging.Logger | logging.LoggerAdapter[Any]
"""What the plain code logs to: Prefect's loggers of runs are adapters."""

_TALKATIVE = ("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))
LOGGED_EVERY_S = 10.0


class ThrottledLog:
    """Logs one kind of trouble, but not at the pace at which it comes.

    Args:
        log: where to.
        level: how serious it is, as `logging` has it.
    """

    def __init__(self, log: Log, level: int) -> None:
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


def quiet_http_logs() -> None:
    """Keep httpx from logging whole URLs at INFO, and httpcore from logging redirects' targets at DEBUG.

    By level, which is cheap, and by filter: whoever configures logging later may set the level again.
    """
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.addFilter(_is_warning)


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
