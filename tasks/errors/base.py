"""The root of all errors, and those that any code may meet."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tasks.text import redact

if TYPE_CHECKING:
    from pydantic import BaseModel


class ArchiverError(Exception):
    """Base of all errors of this project; `str()` of one is a paragraph that says what to do next."""

    retryable: ClassVar[bool] = False
    retry_after: float | None = None
    """Seconds that the other side asked us to wait, if it did."""
    result: BaseModel | None = None
    """What a flow returns, where it has a result although it fails."""

    def __str__(self) -> str:
        # Facts come from elsewhere: a library's message may well quote a URL.
        return redact(self._message())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def _message(self) -> str:
        return super().__str__()


class FinalError(ArchiverError):
    """Trying again as things stand cannot help."""


class RetryableError(ArchiverError):
    """The same call may succeed later."""

    retryable = True


class Unforeseen(RetryableError):
    """An error that is none of ours, on its way out of a stage: its own text may quote a header or a URL."""

    def __init__(self, kind: str, text: str, place: str) -> None:
        super().__init__(kind, text, place)
        self.kind, self.text, self.place = kind, text, place

    def _message(self) -> str:
        message = f": {self.text}" if self.text else ""
        hint = "The log tells more; run again, or report it."
        return f"{self.kind}, which nobody foresaw, at {self.place}{message}. {hint}"


def describe_unforeseen(error: BaseException) -> str:
    """Return the kind and the place of an unexpected error; not its text, which may hold anything."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(where.filename).name}, line {where.lineno}, which nobody foresaw"


class TookTooLong(RetryableError):
    """Something that a run can do without did not end within its time limit."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(waited_s)
        self.waited_s = waited_s

    def _message(self) -> str:
        return f"It took more than {self.waited_s:g} s, and was ended. The next run or sweep tries again."


class TransferStopped(RetryableError):
    """The run is being cancelled, or has failed in another thread."""

    def _message(self) -> str:
        return "The transfer was told to stop. The next run carries on from the parts already stored."
