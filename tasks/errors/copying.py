"""Errors of the second copy of the archive."""

from __future__ import annotations

from tasks.errors.base import FinalError, RetryableError

_SETTINGS = "ARCHIVE_COPY_URL, ARCHIVE_COPY_ENDPOINT_URL, ARCHIVE_COPY_REGION"


class CopyUnusable(FinalError):
    """The bucket of the second copy does not take it."""

    def __init__(self, copy_url: str, reason: str, hint: str = "") -> None:
        super().__init__(copy_url, reason, hint)
        self.copy_url, self.reason, self.hint = copy_url, reason, hint

    def _message(self) -> str:
        hint = self.hint or f"Correct {_SETTINGS}, or the keys of the copy's store and their rights."
        return f"The second copy {self.copy_url} cannot be used: {self.reason}. {hint}"


class CopyUnavailable(RetryableError):
    """The store of the second copy is away."""

    def __init__(self, copy_url: str, reason: str) -> None:
        super().__init__(copy_url, reason)
        self.copy_url, self.reason = copy_url, reason

    def _message(self) -> str:
        return (
            f"The store of the second copy {self.copy_url} does not answer: {self.reason}. Check that it runs, and "
            f"{_SETTINGS}; what is copied is kept, and the next run carries on."
        )


class CopyIncomplete(FinalError):
    """The second copy lacks something, or holds something else; all else was copied."""

    def __init__(self, problems: str) -> None:
        super().__init__(problems)
        self.problems = problems

    def _message(self) -> str:
        return f"The second copy is not complete. {self.problems}"
