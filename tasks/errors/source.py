"""Errors of a file at its source, behind a presigned URL."""

from __future__ import annotations

from tasks.errors.base import FinalError, RetryableError


class SourceGone(FinalError):
    """The file is no longer in RealtimeKit's bucket, whose seven days are over; no new URL will help."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def _message(self) -> str:
        return (
            f"{self.name}: the source answers 404, the file is gone from RealtimeKit's bucket, which keeps files for 7 "
            "days. No run can fetch it any more; look for the recording in RealtimeKit's dashboard."
        )


class VideoEmpty(FinalError):
    """The recording is UPLOADED, and its video has 0 bytes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def _message(self) -> str:
        return (
            f"{self.name}: the file is empty at the source, 0 bytes: there is nothing to watch, and nothing "
            "is archived. Look at the recording in RealtimeKit's dashboard before its 7 days are over."
        )


class SourceLied(FinalError):
    """The source keeps sending what cannot be the file."""

    def __init__(self, name: str, expected: str, actual: str) -> None:
        super().__init__(name, expected, actual)
        self.name, self.expected, self.actual = name, expected, actual

    def _message(self) -> str:
        return (
            f"{self.name}: the source does not send the file: expected {self.expected}, got {self.actual}. "
            "Look whether a proxy answers in its place, then run again."
        )


class SourceTooLarge(FinalError):
    """The source sends more than a file of its kind can have."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(name, most)
        self.name, self.most = name, most

    def _message(self) -> str:
        return (
            f"{self.name}: the source sends more than {self.most:,} bytes, far more than a file of this kind has. "
            "It was not archived; download it from RealtimeKit's dashboard."
        )


class SizeDisagrees(FinalError):
    """The API and the source name different sizes for the same file."""

    def __init__(self, name: str, announced: int, actual: int) -> None:
        super().__init__(name, announced, actual)
        self.name, self.announced, self.actual = name, announced, actual

    def _message(self) -> str:
        return (
            f"{self.name}: the API announces {self.announced:,} bytes, the source holds {self.actual:,}. "
            "Nothing was archived, as one of them is wrong; compare with RealtimeKit's dashboard. If what the source "
            "holds is the file, run again with accept_size (--accept-size)."
        )


class SourceUnavailable(RetryableError):
    """The presigned URL's server is away, overloaded, drops connections or stalls."""

    def __init__(self, name: str, reason: str, retry_after: float | None = None) -> None:
        super().__init__(name, reason, retry_after)
        self.name, self.reason, self.retry_after = name, reason, retry_after

    def _message(self) -> str:
        return f"{self.name}: the source failed: {self.reason}. The next run carries on from the parts already stored."


class SourceMissing(RetryableError):
    """A presigned URL leads to nothing, and fresh ones too, although the API lists the file."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def _message(self) -> str:
        return (
            f"{self.name}: the source answers 404 through fresh URLs too, although the API lists the file. It may not "
            "be there yet: run again; if it stays so, look for the recording in RealtimeKit's dashboard."
        )


class LinkRefused(RetryableError):
    """A presigned URL is refused as expired or wrongly signed."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def _message(self) -> str:
        return (
            f"{self.name}: the source refuses its URL ({self.reason}), freshly issued ones too. "
            "Run again; if it stays so, compare with RealtimeKit's dashboard."
        )


class SourceChanged(RetryableError):
    """The URL leads to another object than the one that was begun; the next attempt starts from that one."""

    def __init__(self, name: str, expected: str, actual: str) -> None:
        super().__init__(name, expected, actual)
        self.name, self.expected, self.actual = name, expected, actual

    def _message(self) -> str:
        return (
            f"{self.name}: the source is another object now: expected {self.expected}, got {self.actual}. "
            "The next run starts from that one."
        )


class RangesUnproved(SourceChanged):
    """The source answers with ranges, or with the whole file, in a way that does not prove them to be of one object."""

    def _message(self) -> str:
        return (
            f"{self.name}: the source's answers do not prove that they are ranges of one object: expected "
            f"{self.expected}, got {self.actual}. A run reads such a file as a whole instead."
        )
