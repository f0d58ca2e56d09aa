"""Knows one file's way: what the source has, what the store has of it, and the rest moved part by part.

Ranges are read in parallel and become parts of one multipart upload. Nothing touches a disk, and what is in memory
is bounded by the window, whatever the file's size.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass, field
from threading import Semaphore
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from tasks.archive import is_marked, read_back
from tasks.errors import SizeDisagrees, SourceChanged, StoredWrong, TransferStopped, UploadVanished, VideoEmpty
from tasks.evidence import Evidence
from tasks.s3 import PartRange, crc64, cut, grown_part_size, part_ranges
from tasks.text import MIB
from tasks.transfer.buffers import Sha256InOrder, Share, Uses, Window
from tasks.workers import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from threading import Event

    from tasks.archive import Unfinished
    from tasks.download import Source, SourceObject
    from tasks.realtimekit import MediaFile
    from tasks.s3 import Part, Store, StoredObject, Upload
    from tasks.text import Log

WAITING_PARTS = 4
"""Parts in memory besides those being read, and at most one fewer than those: they are being stored, or wait for an
earlier one, as a file is hashed in order."""
LONGEST_VALUE = 200
"""Characters of a metadata value; stores take 256 or more. A longer one is kept as its digest."""


class Progress(Protocol):
    """Told what moves; called from many threads."""

    def begin(self, path: str, size: int, already: int) -> None:
        """Note that a file of `size` bytes is being moved, of which `already` are in the store."""

    def advance(self, path: str, count: int) -> None:
        """Note that `count` more bytes of the file were read."""


@dataclass(frozen=True)
class Limits:
    """How much at once, and for how long without progress."""

    concurrency: int = 8  # ranges in flight per file, and as many parts on their way to the store
    part_size: int = 8 * MIB  # bytes; grows so that 10,000 parts suffice
    patience_s: float = 300.0  # seconds without any progress

    @property
    def parts_at_once(self) -> int:
        """How many parts are in memory, and lost by a death: those that are read, to be stored, or being stored."""
        return self.concurrency + min(WAITING_PARTS, self.concurrency - 1)


@dataclass(frozen=True)
class Payload:
    """One media file and where it goes."""

    media: MediaFile
    path: str  # within the bag
    key: str
    metadata: Mapping[str, str]
    accept_size: bool = False  # a person wants what the source holds, though the API announces another size


@dataclass
class Moved:
    """A file whose bytes are all in the store; if it has an upload, that only waits for its completion."""

    payload: Payload
    size: int
    content_type: str
    evidence: Evidence
    weak: bool = False  # its total is weak, see `tasks.evidence.media_evidence`
    sha256: str = ""  # empty: not known before the stored object is read back
    etag: str = ""  # of the object that was proved to hold it; empty while there is none
    metadata: Mapping[str, str] = field(default_factory=dict)  # of its object
    upload: Upload | None = None
    parts: Sequence[Part] = field(default_factory=list)
    begun: Upload | None = None  # the upload if this run has begun it, completed or not
    accepted: tuple[str, ...] = ()  # findings that a person has accepted, in sentences


def require_bytes(store: Store, stored: StoredObject, moved: Moved) -> None:
    """Check that an object holds what was moved, and not what another run wrote: by its metadata, else by its bytes.

    Raises:
        StoredWrong: it does not.
    """
    if stored.size != moved.size:
        raise StoredWrong(stored.key, f"{moved.size} bytes", f"{stored.size} bytes")
    if not is_marked(stored, moved.metadata) and (sha256 := read_back(store, stored, moved.parts)) != moved.sha256:
        raise StoredWrong(stored.key, f"SHA-256 {moved.sha256}", sha256)


@dataclass(frozen=True)
class Means:
    """What all files of a recording are moved with."""

    store: Store
    unfinished: Callable[[], Unfinished]
    limits: Limits
    window: Window
    progress: Progress
    stop: Event
    log: Log


class FileMove:
    """One look at one file, and what follows from it.

    Args:
        means: what it is moved with.
        payload: the file.
        source: where from; it is opened here.

    Raises:
        SizeDisagrees: the API and the source name different sizes, and nobody accepts that.
        VideoEmpty: it is a video without a byte.
        ArchiverError: whatever opening the source raises.
    """

    def __init__(self, means: Means, payload: Payload, source: Source) -> None:
        self._means = means
        self._store = means.store
        self._unfinished = means.unfinished()
        self._payload = payload
        self._source = source
        self.begun: Upload | None = None
        self._accepted: tuple[str, ...] = ()
        self._found = source.open(means.limits.part_size)
        announced = payload.media.size
        if announced is not None and announced != self._found.size:
            self._require_accepted(announced)
            sizes = f"{self._found.size:,} bytes where the API announces {announced:,}"
            self._accepted = (f"{payload.path} has {sizes}: a person accepted that, and the source held it twice.",)
        if payload.media.kind == "video" and not self._found.size:
            raise VideoEmpty(payload.media.label)
        self._part_size = grown_part_size(self._found.size, means.limits.part_size)
        # What must not differ for an upload to be carried on; without a strong ETag nothing proves it.
        self._origin: dict[str, str | int] = {"etag": self._found.etag, "size": self._found.size,
                                              "part_size": self._part_size}  # fmt: skip
        # Stores lose empty values, and take neither long ones nor all characters.
        self._metadata = {name: _short(value) for name, value in payload.metadata.items() if value}
        if self._found.ranged:
            self._metadata["source-etag"] = _short(self._found.etag)

    def _require_accepted(self, announced: int) -> None:
        """Check that a person accepts another size than the API's, and that a fresh URL leads to the very same file.

        Raises:
            SizeDisagrees: nobody accepts it, or nothing could prove that the file is the same.
            SourceChanged: it is another file at the second look.
        """
        label, found = self._payload.media.label, self._found
        if not self._payload.accept_size or not found.ranged:
            raise SizeDisagrees(label, announced, found.size)
        again = self._source.open_anew(self._means.limits.part_size)
        if (again.size, again.etag) != (found.size, found.etag):
            raise SourceChanged(
                label, f"{found.size} bytes, ETag {found.etag}", f"{again.size} bytes, ETag {again.etag}"
            )

    @property
    def is_resumable(self) -> bool:
        """Whether the parts of an upload could ever be proved to be of this source."""
        return self._found.ranged

    def move(self, *, beside: bool, trust: bool, absent: bool = False) -> Moved:
        """Bring the bytes into the store.

        Args:
            beside: leave an object of that key untouched: the bytes go into an upload that is yet to be completed.
                So they do if another run has committed the recording meanwhile.
            trust: take an object of that key for done if an earlier run provably made it from the same source.
            absent: there was no object of that key a moment ago.
        """
        moved = Moved(
            self._payload,
            self._found.size,
            _content_type(self._found, self._payload),
            Evidence(self._payload.path, self._found.size),
            weak=not self._found.ranged and self._payload.media.size is None,
            accepted=self._accepted,
            metadata=self._metadata,
        )
        single = self._found.size <= self._part_size and not beside
        # A single part goes in one go, if at all: there is next to nothing that an upload could have left of it.
        if self._found.ranged and not single and (left := self._unfinished.resumable(self._payload.key, self._origin)):
            return self._multipart(moved, *left)
        # Of a large file it is asked again: another run may have stored it since, and to fetch it twice costs more.
        there = None if beside or (absent and single) else self._store.head(self._payload.key)
        if trust and there is not None and self._is_stored(moved, there):
            return moved
        if single and not self._unfinished.is_over():
            return self._put_whole(moved, if_absent=there is None)
        upload = self._unfinished.begin(self._payload.key, self._origin, moved.content_type, self._metadata)
        self.begun = moved.begun = upload
        return self._multipart(moved, upload, {})

    def _is_stored(self, moved: Moved, stored: StoredObject) -> bool:
        if not self._found.ranged or stored.size != self._found.size or not is_marked(stored, self._metadata):
            return False
        # Of a bag that was withdrawn, maybe because it was damaged, only what its own manifest confirms is good.
        stated = self._unfinished.stated(self._payload.key)
        sha256 = read_back(self._store, stored, part_size=self._part_size, evidence=moved.evidence)
        if stated not in (None, sha256) or stored.metadata.get("sha256") not in (None, sha256):
            return False
        moved.sha256, moved.etag = sha256, stored.etag
        self._means.progress.begin(self._payload.path, stored.size, stored.size)
        self._means.log.info("%s: an earlier run has stored it.", self._payload.path)
        return True

    def _put_whole(self, moved: Moved, *, if_absent: bool) -> Moved:
        """Store a small file in one go; not over what another run has stored, and maybe committed, in between."""
        self._means.progress.begin(self._payload.path, self._found.size, 0)
        with Share(self._means.window) as share:
            if (body := share.enter(self._found.size)) is None:
                raise TransferStopped
            next(cut(self._chunks(0, self._found.size), [body]))
            moved.sha256 = hashlib.sha256(body).hexdigest()
            moved.evidence.restart()
            moved.evidence.feed(body)
            moved.metadata = {**self._metadata, "sha256": moved.sha256}
            if not self._store.put(self._payload.key, body, moved.content_type, moved.metadata, if_absent=if_absent):
                raise UploadVanished("put_object", self._payload.key, "another run has stored it meanwhile")
            stored = self._store.verify(self._payload.key, len(body), crc64(body))
            require_bytes(self._store, stored, moved)
        moved.etag = stored.etag
        return moved

    def _multipart(self, moved: Moved, upload: Upload, stored: Mapping[int, Part]) -> Moved:
        ranges = part_ranges(self._found.size, self._part_size)
        kept = {r.number: stored[r.number] for r in ranges if r.number in stored and stored[r.number].size == r.size}
        missing = [r for r in ranges if r.number not in kept]
        log, path = self._means.log, self._payload.path
        self._means.progress.begin(path, self._found.size, sum(part.size for part in kept.values()))
        if kept:
            log.info("%s: carrying on, %d of %d parts are stored.", path, len(kept), len(ranges))
        if 1 in kept:
            self._source.close()
        self._unfinished.learn_dialect(upload, len(missing))
        moved.evidence.restart()
        # In order only from the first byte on; after a resume the digest comes from reading the object back.
        fetched, moved.sha256 = self._move_parts(upload, missing, moved.evidence, hashed=not kept)
        parts = kept | fetched
        moved.upload, moved.parts = upload, [parts[r.number] for r in ranges]
        return moved

    def _move_parts(
        self, upload: Upload, missing: Sequence[PartRange], evidence: Evidence, *, hashed: bool
    ) -> tuple[dict[int, Part], str]:
        """Read and store the missing parts, and return them, and their SHA-256 if that is wanted.

        A source without ranges is read by this thread, in order.
        """
        ranged, means = self._found.ranged, self._means

        def rooms() -> Iterator[bytearray]:
            for part in missing:
                if (room := share.enter(part.size)) is None:
                    return
                yield room

        def move(part: PartRange, body: bytearray) -> None:
            if ranged:
                with reading:
                    share.require_open()
                    next(cut(self._chunks(part.start, part.stop), [body]))
            if hashed:  # before it is stored: a part that the store is slow to take holds up no other
                digest.add(part.number, body)
            with storing:
                share.require_open()
                stored[part.number] = self._store.put_part(upload, part.number, body)
            uses.over(body)

        stored: dict[int, Part] = {}
        # Apart, as the source would idle while parts go to the store, and the other way round.
        reading, storing = Semaphore(means.limits.concurrency), Semaphore(means.limits.concurrency)
        with Share(means.window) as share:
            uses = Uses(share.leave, each=2 if hashed else 1)
            with (
                Sha256InOrder(uses.over, evidence.feed) as digest,
                Pool(means.limits.parts_at_once, means.stop, share.close) as pool,
            ):
                bodies = rooms() if ranged else cut(self._chunks(0, self._found.size), rooms())
                for part, body in zip(missing, bodies, strict=False):
                    pool.submit(move, part, body)
                pool.wait()
        return stored, digest.hexdigest(len(missing)) if hashed else ""

    def _chunks(self, start: int, stop: int) -> Iterator[bytes]:
        for chunk in self._source.read(start, stop) if self._found.ranged else self._source.read_all():
            self._means.progress.advance(self._payload.path, len(chunk))
            yield chunk


def _content_type(found: SourceObject, payload: Payload) -> str:
    if found.content_type.startswith(("video/", "audio/")):
        return found.content_type
    guessed, _ = mimetypes.guess_type(payload.path)
    return guessed or found.content_type or "application/octet-stream"


def _short(value: str) -> str:
    text = quote(value, safe="")
    return text if len(text) <= LONGEST_VALUE else hashlib.sha256(text.encode()).hexdigest()
