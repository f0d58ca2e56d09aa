"""The result of a copy: what was copied, what was there, and what could not be copied or is only in one of the two."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class CopyProblem(BaseModel):
    """What is wrong with a file of a bag, or with a bag."""

    model_config = ConfigDict(frozen=True)

    kind: str  # a problem of a restore, or: damaged in the copy, another, missing or deleted in the copy
    path: str  # within the bag, fit to be shown; empty for all of the bag
    detail: str


class FailedBag(BaseModel):
    """A bag that is not in the copy as it is in the archive."""

    model_config = ConfigDict(frozen=True)

    folder: str  # below the root of both archives, fit to be shown
    problems: tuple[CopyProblem, ...]

    def __str__(self) -> str:
        """Return it as a part of a message."""
        first = self.problems[0]
        more = f"; and {len(self.problems) - 1} more" if len(self.problems) > 1 else ""
        return f"{self.folder}: {f'{first.path}: ' if first.path else ''}{first.kind}: {first.detail}{more}"


class CopyFigures(BaseModel):
    """What a copy did, in numbers; the event's payload. A bag is a recording, or a version of a session."""

    model_config = ConfigDict(frozen=True)

    archive_url: str
    copy_url: str
    compared_only: bool
    copied: int  # bags
    already_there: int  # bags
    failed: int  # bags that could not be copied, or are not the same in both
    left: int  # bags that are missing in the copy, and were left to the next run
    bytes: int  # that were sent
    derived: int  # descriptions, captions and posters that were sent
    tombstones: int  # that were sent
    only_in_copy: int  # bags that the archive has no longer, though nothing says that they were deleted
    deleted_in_archive: int  # bags that were deleted from the archive on purpose, and are in the copy still
    removed: int  # bags that were deleted from the copy, as they were deleted from the archive
    seconds: float
    finished: bool  # all was looked at


class CopyReport(CopyFigures):
    """The result of a copy, or of a comparison."""

    failures: tuple[FailedBag, ...] = ()
    only_in_copy_folders: tuple[str, ...] = ()  # the first of them
    deleted_folders: tuple[str, ...] = ()  # the first of those that are in the copy still
    unfinished: str = ""  # why the run ended before it was done
