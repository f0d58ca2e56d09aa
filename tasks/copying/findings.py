"""What a copy has found out and done so far; it outlives an attempt that failed and runs again."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from tasks.archive import shown
from tasks.copying.models import CopyProblem, FailedBag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasks.restore import RestoredBag

MOST_KEPT = 1000
"""Failed bags, and folders of each kind, that are named; all are counted."""


@dataclass
class Folders:
    """Folders that are counted, and of which the first are named."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, folder: str) -> None:
        """Count a folder."""
        self.count += 1
        if len(self.first) < MOST_KEPT:
            self.first.append(shown(folder))


class CopyFindings:
    """What a copy has found out and done so far, for all threads."""

    def __init__(self) -> None:
        self.copied: set[str] = set()  # folders
        self.bytes = self.derived = self.tombstones = self.removed = 0
        self._lock = Lock()
        self.begin()

    def begin(self) -> None:
        """Forget what each attempt finds out anew; what was done counts on."""
        self.already_there = self.left = self.failed = 0
        self.failures: list[FailedBag] = []
        self.only_in_copy, self.deleted = Folders(), Folders()

    def note_there(self, folder: str) -> None:
        """Note that a bag was found in the copy; not one that this run has copied."""
        with self._lock:
            self.already_there += folder not in self.copied

    def note_left(self) -> None:
        """Note a bag that the copy lacks, and that is left to a later run."""
        with self._lock:
            self.left += 1

    def note_result(self, folder: str, result: RestoredBag) -> None:
        """Note what became of a bag that was to be copied; one that has gone meanwhile is no failure."""
        problems = [
            CopyProblem(kind=problem.kind, path=problem.path, detail=problem.detail) for problem in result.problems
        ]
        with self._lock:
            self.bytes += result.fetched_bytes
            if result.whole:
                self.copied.add(folder)
        if not result.whole and [problem.kind for problem in problems] != ["not archived"]:
            self.note_failure(folder, problems or [CopyProblem(kind="unreadable", path="", detail="it is not whole")])

    def note_failure(self, folder: str, problems: Sequence[CopyProblem]) -> None:
        """Note a bag that is not the same in both, or could not be copied."""
        with self._lock:
            self.failed += 1
            if len(self.failures) < MOST_KEPT:
                self.failures.append(FailedBag(folder=shown(folder), problems=tuple(problems)))

    def note_sent(self, sizes: Iterable[int]) -> int:
        """Count the bytes of small files that were sent, and return the number of these files."""
        sent = [size for size in sizes if size >= 0]
        with self._lock:
            self.bytes += sum(sent)
        return len(sent)
