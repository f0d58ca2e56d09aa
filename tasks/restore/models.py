"""What a restore is about: the files of a bag, what is wrong with any of them, and what was brought where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from tasks.s3 import StoredObject

ProblemKind = Literal[
    "damaged", "missing", "unknown", "unreadable", "archived class", "in the way", "unsafe", "not archived"
]
CHANGEABLE = frozenset({"damaged", "missing", "unknown"})
"""Kinds that a bag may show only because another run is replacing the bag."""


class Problem(BaseModel):
    """Why a file of a bag, or a bag, is not restored."""

    model_config = ConfigDict(frozen=True)

    kind: ProblemKind
    path: str  # within the bag, fit to be shown; empty for all of the bag
    detail: str


class RestoredBag(BaseModel):
    """What became of one bag."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["recording", "session"]
    id: str  # of the recording or of the session
    archive_url: str  # empty if there is none
    restored_to: str
    whole: bool  # all files are there and verified, and so is bagit.txt
    files: int = 0  # that are there and right
    bytes: int = 0  # of these files
    fetched_bytes: int = 0  # of them, by this run
    problems: tuple[Problem, ...] = ()


class RestoreReport(BaseModel):
    """What a restore did."""

    model_config = ConfigDict(frozen=True)

    to: str
    recordings: int  # that are there, whole
    sessions: int  # the same
    files: int
    bytes: int
    fetched_bytes: int
    problems: int
    seconds: float
    bags: tuple[RestoredBag, ...]


@dataclass(frozen=True)
class BagFile:
    """A file of a bag, as the bag's manifests state it, or one that lies beside the bag."""

    path: str  # within the bag; from the store, and checked by `bag_contents`
    sha256: str
    stored: StoredObject | None  # None if the archive has lost it
    content: bytes | None = field(default=None, repr=False)  # if it was read already, as all parsed tag files are
    content_type: str = ""  # empty if only the store knows it
    is_beside: bool = False  # then the path is what follows the name of the bag's folder

    @property
    def size(self) -> int:
        """Bytes; -1 if nothing tells."""
        if self.content is not None:
            return len(self.content)
        return self.stored.size if self.stored is not None else -1


@dataclass(frozen=True)
class BagContents:
    """What is to be restored of a bag, and what cannot be."""

    files: tuple[BagFile, ...]  # all that the manifests state, but the marker
    marker: BagFile | None  # None if no manifest states it
    is_stated: bool  # the manifests say all that a bag's have to, so that with all files the bag is whole
    problems: tuple[Problem, ...]
    session_id: str  # of a recording; empty if nothing tells it
    versions: int  # of all objects in the folder, see `tasks.archive.Sums`
    findings: tuple[str, ...] = ()  # what is wrong with the bag, as far as its tag files and its listing show
