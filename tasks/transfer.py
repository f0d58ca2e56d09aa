"""Joins source and store: parts in parallel within a bounded window, hashed in order, carried on where they stopped.

Ranges are read in parallel and become parts of one multipart upload. Nothing touches a disk, and what is in memory
is bounded by the window, whatever the file's size.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from awscrt.checksums import crc64nvme

from tasks.archive import ArchivedFile
from tasks.backoff import Patience
from tasks.download import Source
from tasks.errors import SizeDisagrees, StoredWrong, StoreRefused, UploadVanished
from tasks.parts import MIB, PartRange, cut, grown_part_size, part_ranges
from tasks.window import Pool, Sha256InOrder, Share, Window

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from threading import Event

    import httpx

    from tasks.details import MediaFile
    from tasks.download import SourceObject
    from tasks.links import Links
    from tasks.store import Part, Store, StoredObject, Upload
    from tasks.unfinished import Unfinished

FILES_AT_ONCE = 4
WINDOW_PARTS = 2
"""Parts in memory per range in flight: one being read or stored, one that waits for its turn to be hashed."""
LOOKS = 3
"""How often a file is looked at anew when another run ended the upload that was used."""


class Progress(Protocol):
    """Told what moves; called from many threads."""

    def begin(self, path: str, size: int, already: int) -> None:
        """Note that a file of `size` bytes is being moved, of which `already` are in the store."""

    def advance(self, path: str, count: int) -> None:
        """Note that `count` more bytes of the file were read."""


@dataclass(frozen=True)
class Limits:
    """How much at once, and for how long without progress."""

    concurrency: int = 8  # ranges in flight per file
    part_size: int = 8 * MIB  # bytes; grows so that 10,000 parts suffice
    patience_s: float = 300.0  # seconds without any progress


@dataclass(frozen=True)
class Payload:
    """One media file and where it goes."""

    media: MediaFile
    path: str  # within the bag
    key: str
    metadata: Mapping[str, str]


@dataclass
class Moved:
    """A file whose bytes are all in the store; if it has an upload, that only waits for its completion."""

    payload: Payload
    size: int
    content_type: str
    sha256: str = ""  # empty: not known before the stored object is read back
    upload: Upload | None = None
    parts: Sequence[Part] = field(default_factory=list)


class Transfer:
    """Moves the files of one recording.

    Args:
        store: where to.
        http: for the sources, see `tasks.download.new_http_client`.
        links: the files' URLs by label.
        unfinished: looks for what earlier runs left.
        progress: told what moves.
        stop: set by whoever fails or cancels; ends all waiting and reading.
        log: told what a person wants to know.
    """

    def __init__(
        self,
        store: Store,
        http: httpx.Client,
        links: Links,
        unfinished: Callable[[], Unfinished],
        limits: Limits,
        progress: Progress,
        stop: Event,
        log: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self.store = store
        self.http = http
        self.links = links
        self.unfinished = unfinished
        self.limits = limits
        self.progress = progress
        self.stop = stop
        self.log = log
        self.window = Window(WINDOW_PARTS * limits.concurrency * limits.part_size)
        self.resumes = 0

    def move_all(self, payloads: Sequence[Payload], *, replace: bool = False) -> list[Moved]:
        """Move several files, a few at a time, into the store.

        Args:
            payloads: what goes where.
            replace: leave objects of these keys untouched until `finish`, and take none of them for done.

        Raises:
            ArchiverError: the first that any of them met; all others are stopped by it.
        """
        with Pool(min(FILES_AT_ONCE, len(payloads)), self.stop) as pool:
            return pool.map(lambda payload: self._move(payload, replace=replace), payloads)

    def finish(self, moved: Moved) -> ArchivedFile:
        """Make an object of a file that waits for it, and prove it; may be called again after an interruption.

        Raises:
            UploadVanished, StoredWrong: the file has to be moved again.
        """
        if moved.upload is not None:
            stored = self._completed(moved.upload, moved.parts)
            moved.sha256 = moved.sha256 or read_back(self.store, stored, moved.parts)
        return ArchivedFile(
            path=moved.payload.path, size=moved.size, sha256=moved.sha256, content_type=moved.content_type
        )

    def _completed(self, upload: Upload, parts: Sequence[Part]) -> StoredObject:
        try:
            return self.store.complete(upload, parts)
        except StoreRefused as refused:
            if refused.code != "InvalidPart":
                raise
        # Another run of the same recording stored the same bytes again, under another ETag.
        listed = self.store.parts(upload)
        return self.store.complete(upload, [listed.get(part.number, part) for part in parts])

    def _move(self, payload: Payload, *, replace: bool) -> Moved:
        for look in range(1, LOOKS + 1):
            source = Source(self.http, self.links, payload.media.label, Patience(self.limits.patience_s, self.stop))
            try:
                moved = _File(self, payload, source).move(replace=replace)
                if not replace:
                    self.finish(moved)
                    moved.upload = None
            except UploadVanished:
                # Another run of the same recording was faster, or cleaned up; what it stored counts for us too.
                if look == LOOKS:
                    raise
                self.log.info("%s: another run ended the upload; looking again at what is there.", payload.path)
            else:
                return moved
            finally:
                source.close()
                self.resumes += source.resumes
        raise AssertionError


class _File:
    """One look at one file: what the source has, what the store has, and the rest moved."""

    def __init__(self, transfer: Transfer, payload: Payload, source: Source) -> None:
        self._to = transfer
        self._store = transfer.store
        self._payload = payload
        self._source = source
        self._found = source.open(transfer.limits.part_size)
        announced = payload.media.size
        if announced is not None and announced != self._found.size:
            raise SizeDisagrees(payload.media.label, announced, self._found.size)
        self._part_size = grown_part_size(self._found.size, transfer.limits.part_size)
        # What must not differ for an upload to be carried on; without a strong ETag nothing proves it.
        self._origin: dict[str, str | int] = {"etag": self._found.etag, "size": self._found.size,
                                              "part_size": self._part_size}  # fmt: skip
        self._metadata = dict(payload.metadata)
        if self._found.ranged:
            self._metadata["source-etag"] = quote(self._found.etag, safe="")[:200]

    def move(self, *, replace: bool) -> Moved:
        moved = Moved(self._payload, self._found.size, _content_type(self._found, self._payload))
        left = self._to.unfinished().resumable(self._payload.key, self._origin) if self._found.ranged else None
        if left is not None:
            return self._multipart(moved, *left)
        if not replace and self._is_stored(moved):
            return moved
        if self._found.size == 0 or (self._found.size <= self._part_size and not replace):
            return self._put_whole(moved)
        return self._multipart(moved, self._begin_upload(moved.content_type), {})

    def _is_stored(self, moved: Moved) -> bool:
        """Tell whether an earlier run stored the file, provably from the same source object."""
        stored = self._store.head(self._payload.key) if self._found.ranged else None
        if stored is None or stored.size != self._found.size:
            return False
        if any(stored.metadata.get(name) != value for name, value in self._metadata.items()):
            return False
        self._to.progress.begin(self._payload.path, stored.size, stored.size)
        self._to.log.info("%s: an earlier run has stored it.", self._payload.path)
        moved.sha256 = stored.metadata.get("sha256") or read_back(self._store, stored, [])
        return True

    def _begin_upload(self, content_type: str) -> Upload:
        if self._found.ranged:
            return self._to.unfinished().begin(self._payload.key, self._origin, content_type, self._metadata)
        return self._store.begin_upload(self._payload.key, content_type, self._metadata)

    def _put_whole(self, moved: Moved) -> Moved:
        self._to.progress.begin(self._payload.path, self._found.size, 0)
        with Share(self._to.window) as share:
            share.enter(self._found.size)
            (body,) = cut(self._chunks(0, self._found.size), [self._found.size])
            moved.sha256 = hashlib.sha256(body).hexdigest()
            self._store.put(self._payload.key, body, moved.content_type, {**self._metadata, "sha256": moved.sha256})
            self._store.verify(self._payload.key, len(body), crc64nvme(body))
        return moved

    def _multipart(self, moved: Moved, upload: Upload, stored: Mapping[int, Part]) -> Moved:
        ranges = part_ranges(self._found.size, self._part_size)
        kept = {r.number: stored[r.number] for r in ranges if r.number in stored and stored[r.number].size == r.size}
        missing = [r for r in ranges if r.number not in kept]
        self._to.progress.begin(self._payload.path, self._found.size, sum(part.size for part in kept.values()))
        if kept:
            self._to.log.info("%s: carrying on, %d of %d parts are stored.", self._payload.path, len(kept), len(ranges))
        if 1 in kept:
            self._source.close()
        # In order only from the first byte on; after a resume the digest comes from reading the object back.
        digest = None if kept else Sha256InOrder()
        parts = kept | self._move_parts(upload, missing, digest)
        moved.upload, moved.parts = upload, [parts[r.number] for r in ranges]
        moved.sha256 = digest.hexdigest() if digest else ""
        return moved

    def _move_parts(
        self, upload: Upload, missing: Sequence[PartRange], digest: Sha256InOrder | None
    ) -> dict[int, Part]:
        """Read and store the missing parts; a source without ranges is read by this thread, in order."""
        in_order = None if self._found.ranged else cut(self._chunks(0, self._found.size), (r.size for r in missing))

        def move(part: PartRange, body: bytearray | None) -> Part:
            if body is None:
                (body,) = cut(self._chunks(part.start, part.stop), [part.size])
            stored = self._store.put_part(upload, part.number, body)
            share.leave(digest.add(part.number, body) if digest else part.size)
            return stored

        with Share(self._to.window) as share, Pool(self._to.limits.concurrency, self._to.stop) as pool:
            futures = []
            for part in missing:
                share.enter(part.size)
                if pool.failure is not None:
                    break
                futures.append(pool.submit(move, part, next(in_order) if in_order else None))
            pool.wait()
            return {part.number: part for part in (future.result() for future in futures)}

    def _chunks(self, start: int, stop: int) -> Iterator[bytes]:
        for chunk in self._source.read(start, stop) if self._found.ranged else self._source.read_all():
            self._to.progress.advance(self._payload.path, len(chunk))
            yield chunk


def read_back(store: Store, stored: StoredObject, parts: Sequence[Part]) -> str:
    """Return the SHA-256 of a stored object, and compare it on the way with the checksums that are known.

    Args:
        parts: what it was made of; parts without a checksum are not compared.

    Raises:
        StoredWrong: it is not what was sent; the object is deleted, so that it is not taken for done again.
    """
    sha256, whole = hashlib.sha256(), 0
    sizes: Iterable[int] = [part.size for part in parts] or [r.size for r in part_ranges(stored.size, 8 * MIB)]
    known = [part.crc64 for part in parts]
    for number, body in enumerate(cut(store.read(stored), sizes)):
        sha256.update(body)
        whole = crc64nvme(body, whole)
        if number < len(known) and known[number] not in (None, crc64nvme(body)):
            store.delete([stored.key])
            raise StoredWrong(stored.key, f"part {number + 1} as it was sent", "other bytes")
    if stored.crc64 not in (None, whole):
        store.delete([stored.key])
        raise StoredWrong(stored.key, f"CRC64NVME {stored.crc64:016x}", f"{whole:016x}")
    return sha256.hexdigest()


def _content_type(found: SourceObject, payload: Payload) -> str:
    if found.content_type.startswith(("video/", "audio/")):
        return found.content_type
    guessed, _ = mimetypes.guess_type(payload.path)
    return guessed or found.content_type or "application/octet-stream"
