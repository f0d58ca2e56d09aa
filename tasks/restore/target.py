"""What a restore asks of the place where bags are brought: a folder, or another bucket."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from contextlib import AbstractContextManager

    from tasks.restore.models import BagFile

MOST_STRANGERS = 100
READINGS = 2
"""Of a file, before the file counts as damaged: bytes may change on their way, too."""


class State(Enum):
    """What lies where a file belongs."""

    RIGHT = "the file itself"
    ABSENT = "nothing"
    OTHER = "something else"


class FileDamaged(Exception):
    """The archive holds other bytes than the manifest states.

    Args:
        actual: what the archive holds, in words.
    """

    def __init__(self, actual: str) -> None:
        super().__init__(actual)
        self.actual = actual


class FileUnplaceable(Exception):
    """The place of a file cannot be used, and that of others may be.

    Args:
        reason: in words.
        in_the_way: something else lies there, which could be replaced.
    """

    def __init__(self, reason: str, *, in_the_way: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.in_the_way = reason, in_the_way


class Target(Protocol):
    """Where bags are brought. All paths are below the target's root, with slashes.

    Each method raises `TargetUnusable` or `TargetUnavailable` for what concerns all files.
    """

    url: str  # for people
    keeps_types: bool  # content types and metadata of objects

    def base(self, folder: str) -> str:
        """Return the path of a bag's folder here.

        Args:
            folder: of the bag, below the archive's root, with a slash at its end.
        """

    def place(self, path: str) -> str:
        """Return where a path is, for people."""

    def hold(self, base: str) -> AbstractContextManager[None]:
        """Keep other restores off a bag while the block runs, if they could do harm; wait for one that is at work."""

    def clashes(self, base: str, paths: Collection[str]) -> set[str]:
        """Return which of a bag's paths cannot be told apart here from others."""

    def strangers(self, base: str, paths: Collection[str]) -> list[str]:
        """Return the paths of files within a bag's payload that are none of the bag's, as far as that can be seen."""

    def require_room(self, base: str, files: Mapping[str, BagFile]) -> None:
        """Check that there is room for files, by their paths."""

    def state(self, path: str, file: BagFile) -> State:
        """Return what lies at a path; the content is read if nothing else tells."""

    def write(
        self, base: str, path: str, file: BagFile, read: Callable[[int], Iterator[bytes]], *, overwrite: bool
    ) -> int:
        """Bring a file to its path, verified, and return how many bytes were fetched; nothing else ever lies there.

        Args:
            base: of the file's bag, where unfinished work is kept.
            path: of the file.
            file: what it has to be.
            read: returns its bytes from an offset on; called again after a mismatch.
            overwrite: replace what lies there.

        Raises:
            FileDamaged: the bytes are not as stated.
            FileUnplaceable: this place does not take this file.
        """

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""

    def settle(self, base: str) -> None:
        """Make sure that all that was written of a bag would survive a power cut."""
