"""A folder as the target of a restore: a folder per bag, and files that appear whole and verified, or not at all.

A file is written to `unfinished/` in its bag's folder, in order, hashed on the way, and gets its name once its SHA-256
is as stated. A killed run leaves the file's beginning there: the next run hashes the beginning, and carries on behind
it. If the beginning is not the file's, the SHA-256 of the whole shows it, and the file is fetched anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import unicodedata
from collections import defaultdict
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.archive import layout
from tasks.errors import TargetUnusable, TransferStopped
from tasks.restore.file_system import (
    MAKE_ROOM,
    FlushedFile,
    files_below,
    put_in_place,
    require_no_link,
    tells_apart,
    translate_os_error,
)
from tasks.restore.folder_lock import NO_FOLLOW, lock_folder, unlock_folder
from tasks.restore.target import MOST_STRANGERS, READINGS, FileDamaged, FileUnplaceable, State
from tasks.text import MIB, human_size

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Collection, Iterator, Mapping
    from threading import Event
    from typing import Any

    from tasks.restore.models import BagFile
    from tasks.text import Log


class FolderTarget:
    """A folder that bags are restored to: `RECORDING_ID/` and `session-SESSION_ID/vNNNN/`.

    Args:
        root: the folder; it is made if it is not there.
        stop: ends all waiting and reading.
        log: told of waiting.

    Raises:
        TargetUnusable: it cannot be made, or is none.
    """

    def __init__(self, root: Path, stop: Event, log: Log) -> None:
        self.keeps_types = False
        self.url = str(root)
        self._stop = stop
        self._log = log
        with self._errors():
            root.mkdir(parents=True, exist_ok=True)
            self._root = Path(os.path.realpath(root))

    def base(self, folder: str) -> str:
        """Return the path of a bag's folder here."""
        parts = folder.rstrip("/").split("/")
        return "/".join(parts[-2:] if layout.version_of(folder) else parts[-1:])

    def place(self, path: str) -> str:
        """Return where a path is, for people."""
        return str(Path(self.url, path))

    @contextmanager
    def hold(self, base: str) -> Iterator[None]:
        """Keep other restores off a bag's folder while the block runs; wait for one that is at work."""
        with self._errors(base):
            unfinished = self._made(f"{base}/{layout.UNFINISHED}")
            number = lock_folder(unfinished, self._stop, self._log)
        try:
            yield
        finally:
            unlock_folder(unfinished, number)

    def clashes(self, base: str, paths: Collection[str]) -> set[str]:
        """Return the paths that this file system does not tell apart from others."""
        alike: dict[str, list[str]] = defaultdict(list)
        for path in sorted(paths):
            alike[unicodedata.normalize("NFKD", path.casefold()).casefold()].append(path)
        doubtful = [group for group in alike.values() if len(group) > 1]
        if not doubtful:
            return set()
        with (
            self._errors(base),
            tempfile.TemporaryDirectory(dir=self._root / base / layout.UNFINISHED) as probe,
        ):
            return {path for group in doubtful for path in group[1:] if not tells_apart(Path(probe), group[0], path)}

    def strangers(self, base: str, paths: Collection[str]) -> list[str]:
        """Return the paths of files within a bag's payload that are none of the bag's paths."""
        known = {unicodedata.normalize("NFC", path) for path in paths}  # file systems may keep names in another form
        with self._errors(base):
            there = files_below(self._root / base, layout.PAYLOAD)
        return [path for path in there if unicodedata.normalize("NFC", path) not in known][:MOST_STRANGERS]

    def require_room(self, base: str, files: Mapping[str, BagFile]) -> None:
        """Check that there is room for what is missing of files.

        Raises:
            TargetUnusable: there is not.
        """
        with self._errors():
            free = shutil.disk_usage(self._root).free
            parts = [self._part(base, path, file) for path, file in files.items()]
            there = sum(part.stat().st_size for part in parts if part.exists())
        needed = sum(file.size for file in files.values()) - there
        if free < needed:
            reason = f"the next recording needs {human_size(needed)}, and {human_size(free)} are free"
            raise TargetUnusable(self.url, reason, MAKE_ROOM)

    def state(self, path: str, file: BagFile) -> State:
        """Return what lies at a path; the content of a file of the right size is read."""
        with self._errors(path):
            place = self._inside(path)
            try:
                status = place.lstat()
                if not stat.S_ISREG(status.st_mode) or file.size not in {-1, status.st_size}:
                    return State.OTHER
                with place.open("rb", buffering=0) as content:
                    sha256 = self._hash(content)
            except (FileNotFoundError, NotADirectoryError):
                return State.ABSENT
        return State.RIGHT if sha256.hexdigest() == file.sha256 else State.OTHER

    def write(
        self, base: str, path: str, file: BagFile, read: Callable[[int], Iterator[bytes]], *, overwrite: bool
    ) -> int:
        """Bring a file to its path, verified, and return how many bytes were fetched; see `Target`."""
        with self._errors(path):
            folder = self._made(path.rpartition("/")[0])
            part = self._part(base, path, file)
            number = os.open(part, os.O_RDWR | os.O_CREAT | NO_FOLLOW, 0o666)
            with open(number, "r+b", buffering=0) as out:  # noqa: PTH123 - it is open
                try:
                    fetched = self._fill(out, file, read)
                except FileDamaged:
                    part.unlink()
                    raise
            put_in_place(part, folder / path.rpartition("/")[2], overwrite=overwrite)
        return fetched

    def remove(self, path: str) -> None:
        """Remove a file, if it is there."""
        with self._errors(path):
            self._inside(path).unlink(missing_ok=True)

    def settle(self, base: str) -> None:
        """Make sure that all names that were written would survive a power cut, as the files' contents do.

        Beginnings of files that the bag had once, and has no more, go.
        """
        within = self._root / base
        above = [folder for folder in within.parents if folder == self._root or self._root in folder.parents]
        with self._errors(base):
            for part in (within / layout.UNFINISHED).glob("*.part"):
                part.unlink()
            for folder in (*(Path(place) for place, _, _ in os.walk(within)), *above):
                try:
                    number = os.open(folder, os.O_RDONLY)
                except PermissionError:
                    continue  # Windows opens no folders
                try:
                    with suppress(OSError):  # not every file system knows it
                        os.fsync(number)
                finally:
                    os.close(number)

    def _part(self, base: str, path: str, file: BagFile) -> Path:
        """Return where a file is written until it is whole: another place for another content of the same path."""
        named = hashlib.sha256(f"{path}\0{file.sha256}".encode()).hexdigest()[:40]
        return self._root / base / layout.UNFINISHED / f"{named}.part"

    def _fill(self, out: io.FileIO, file: BagFile, read: Callable[[int], Iterator[bytes]]) -> int:
        """Write a file's bytes behind those that are there, until their SHA-256 is as stated."""
        readings = 0
        while True:
            sha256 = self._hash(out) if os.fstat(out.fileno()).st_size <= file.size else hashlib.sha256()
            begun = out.tell()
            fetched = 0
            with closing(read(begun)) as chunks, FlushedFile(out) as flushed:  # type: ignore[type-var]  # a generator
                for chunk in chunks:
                    sha256.update(chunk)
                    flushed.write(chunk)
                    fetched += len(chunk)
                if sha256.hexdigest() == file.sha256 and out.tell() == file.size:
                    out.truncate()
                    flushed.flush()
                    return fetched
            readings += not begun
            if readings == READINGS:
                raise FileDamaged(f"SHA-256 {sha256.hexdigest()}, {out.tell():,} bytes")
            out.seek(0)
            out.truncate()

    def _hash(self, content: io.FileIO) -> Any:
        """Return the SHA-256 of what is left to read of a file.

        Raises:
            TransferStopped: the run is being stopped.
        """
        sha256 = hashlib.sha256()
        while chunk := content.read(MIB):
            if self._stop.is_set():
                raise TransferStopped
            sha256.update(chunk)
        return sha256

    def _made(self, path: str) -> Path:
        """Return a folder below the root, which is made if it is not there."""
        folder = self._root / path
        if self._root not in (folder, *folder.parents):
            raise FileUnplaceable("it would lie outside of the folder")
        require_no_link(folder)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _inside(self, path: str) -> Path:
        """Return the place of a file below the root."""
        place = self._root / path
        if self._root not in place.parents:
            raise FileUnplaceable("it would lie outside of the folder")
        require_no_link(place.parent)
        return place

    @contextmanager
    def _errors(self, path: str = "") -> Iterator[None]:
        """Translate the errors of the operating system.

        Args:
            path: of the file that the block is about; empty if it is about all.
        """
        try:
            yield
        except OSError as error:
            failure = translate_os_error(error, self.url, is_of_one_file=bool(path))
        else:
            return
        raise failure
