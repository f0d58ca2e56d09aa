"""A file system as a restore meets it: names, links, and the errors of the operating system in words."""

from __future__ import annotations

import errno
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import TargetUnusable
from tasks.restore.target import FileUnplaceable
from tasks.text import MIB

if TYPE_CHECKING:
    import io
    from typing import Self

FLUSHED_BYTES = 64 * MIB
"""After so many bytes the disk is to store what it has of a file."""
FLUSHING = "flushing"
"""The name of the threads that wait for the disk."""
_OF_ONE_FILE = frozenset({
    errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY,
    errno.EFBIG, errno.ELOOP,
})  # fmt: skip
"""Errors that concern one file and its name; all others concern the folder."""
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY})
"""Errors of a file in the place of a folder, or the other way round."""
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES})
"""Errors of a file system that has no hard links."""
MAKE_ROOM = "Make room there, or restore to another folder; what is restored is kept, the same command carries on."
_ALLOW = "Allow this user to write there, or restore to another folder."
_HINTS = {
    errno.ENOSPC: MAKE_ROOM, errno.EDQUOT: MAKE_ROOM, errno.EACCES: _ALLOW, errno.EPERM: _ALLOW,
    errno.EROFS: "It is read-only: restore to another folder.",
    errno.EEXIST: "Name a folder, or one that is not there yet.",
    errno.ENOTDIR: "Name a folder, or one that is not there yet.",
}  # fmt: skip
_ANY_HINT = "Look at the folder and its disk; what is restored is kept, the same command carries on."


def translate_os_error(error: OSError, target: str, *, is_of_one_file: bool) -> Exception:
    """Return what an error of the operating system means.

    Args:
        error: as raised.
        target: the folder, for people.
        is_of_one_file: it came with one file; it may concern all files nevertheless, such as a full disk.
    """
    number, reason = error.errno or 0, error.strerror or type(error).__name__
    if is_of_one_file and number in _OF_ONE_FILE:
        return FileUnplaceable(f"{reason}: this place does not take the file", in_the_way=number in _IN_THE_WAY)
    return TargetUnusable(target, reason, _HINTS.get(number, _ANY_HINT))


def require_no_link(folder: Path) -> None:
    """Check that a folder below the root is no link, and lies in none, which might lead anywhere.

    Raises:
        FileUnplaceable: it does.
    """
    if os.path.realpath(folder) != str(folder):
        raise FileUnplaceable("one of its folders is a link to another place")


def files_below(folder: Path, within: str) -> list[str]:
    """Return the paths of all files in a folder within a folder, from the outer one on, sorted; no link is followed."""
    there = (Path(place, name) for place, _, names in os.walk(folder / within) for name in names)
    return sorted(path.relative_to(folder).as_posix() for path in there)


def tells_apart(folder: Path, first: str, second: str) -> bool:
    """Tell whether a file system takes two paths for two files.

    Args:
        folder: an empty one.
    """
    place = folder / first
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    try:
        return not os.path.lexists(folder / second)
    finally:
        place.unlink()


def put_in_place(part: Path, place: Path, *, overwrite: bool) -> None:
    """Give a finished file its name; without `overwrite`, never in the place of another file."""
    if overwrite:
        part.replace(place)
        return
    try:
        os.link(part, place)
    except OSError as error:
        if error.errno not in _NO_LINKS and not isinstance(error, FileExistsError):
            raise
        if os.path.lexists(place):
            part.unlink()
            raise FileUnplaceable("something else lies there", in_the_way=True) from None
        part.rename(place)
    else:
        part.unlink()


class FlushedFile:
    """Writes a file, and has the disk store it meanwhile, so that the end does not wait for all of a large one.

    Args:
        out: the open file, whose position is where it goes on.
    """

    def __init__(self, out: io.FileIO) -> None:
        self._out = out
        self._thread = ThreadPoolExecutor(1, FLUSHING)
        self._flush: Future[None] | None = None
        self._unflushed = 0

    def write(self, chunk: bytes) -> None:
        """Write all of a chunk."""
        view = memoryview(chunk)
        while view:
            view = view[self._out.write(view) :]
        self._unflushed += len(chunk)
        if self._unflushed >= FLUSHED_BYTES and (self._flush is None or self._flush.done()):
            self._check()
            self._unflushed, self._flush = 0, self._thread.submit(os.fsync, self._out.fileno())

    def flush(self) -> None:
        """Wait until the disk has all of it."""
        self._check()
        os.fsync(self._out.fileno())

    def _check(self) -> None:
        """Wait for the flush under way: the system tells of a failure only once."""
        if self._flush is not None:
            self._flush.result()

    def __enter__(self) -> Self:
        """Begin with nothing to flush."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no thread behind."""
        self._thread.shutdown()
