"""Logs: the type of a logger, secrets kept out of all logs, and a pace at which a person can read."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from tasks.text.redaction import redact

if TYPE_CHECKING:
    from collections.abc import MutableMapping

Log: TypeAlias = logging.Logger | logging.LoggerAdapter[Any]
"""What the plain code logs to: Prefect's loggers of runs are adapters."""

_TALKATIVE = ("httpx", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))
LOGGED_EVERY_S = 10.0


class RecordingLog(logging.LoggerAdapter[Log]):
    """The log of one of many recordings that are archived at the same time: each line begins with the recording's id.

    Args:
        log: where to.
        recording_id: of the recording.
        info: the level at which lines of the level INFO are logged.
    """

    def __init__(self, log: Log, recording_id: str, *, info: int = logging.INFO) -> None:
        super().__init__(log)
        self._recording_id = recording_id
        self._info = info

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line, as `logging` does it."""
        super().log(self._info if level == logging.INFO else level, msg, *args, **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Return the line with the recording's id before it."""
        return f"Recording {self._recording_id}: {msg}", kwargs


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


def redact_logs() -> None:
    """Keep secrets out of all that is logged from now on, be it by a library, and in the text of an error.

    By the handlers that there are: whoever configures logging later has to call it again.
    """
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict))]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        handler.addFilter(_concealed)


def _concealed(record: logging.LogRecord) -> bool:
    try:
        message = record.getMessage()
    except (TypeError, ValueError):  # its arguments do not fit its text: the handler says so
        return True
    if (text := redact(message)) != message:
        record.msg, record.args = text, None
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    if record.exc_text:
        record.exc_text = redact(record.exc_text)
    return True


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
