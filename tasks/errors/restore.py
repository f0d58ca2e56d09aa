"""Errors of restoring recordings from the archive."""

from __future__ import annotations

from tasks.errors.base import FinalError, RetryableError


class NothingSelected(FinalError):
    """A restore is not told which recordings to bring."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def _message(self) -> str:
        return (
            f"{self.reason}. Name recordings by their ids, or select them with since, until, meeting, session, person "
            "or app_id; since 2000-01 selects all that have a time."
        )


class TargetUnusable(FinalError):
    """The folder or the bucket that recordings are to be restored to does not take them."""

    def __init__(self, target: str, reason: str, hint: str) -> None:
        super().__init__(target, reason, hint)
        self.target, self.reason, self.hint = target, reason, hint

    def _message(self) -> str:
        return f"Nothing more can be restored to {self.target}: {self.reason}. {self.hint}"


class TargetUnavailable(RetryableError):
    """The other store, which recordings are to be restored to, is away."""

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(target, reason)
        self.target, self.reason = target, reason

    def _message(self) -> str:
        return (
            f"The store of {self.target} does not answer: {self.reason}. Check that it runs, and RESTORE_ENDPOINT_URL "
            "and RESTORE_PROFILE; what is restored is kept, and the same command carries on."
        )


class RestoreIncomplete(FinalError):
    """Something could not be restored; all else was."""

    def __init__(self, problems: str) -> None:
        super().__init__(problems)
        self.problems = problems

    def _message(self) -> str:
        return f"Not everything was restored. {self.problems}"


class NotInBag(FinalError):
    """A recording's archive has no such file."""

    def __init__(self, archive_url: str, path: str, paths: str) -> None:
        super().__init__(archive_url, path, paths)
        self.archive_url, self.path, self.paths = archive_url, path, paths

    def _message(self) -> str:
        return f"{self.archive_url} holds no {self.path[:300]!r}. Its files: {self.paths}"
