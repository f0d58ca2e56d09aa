"""The transfer of one file: what the source has, what the store has of it, and the rest part by part.

Ranges are read in parallel and become parts of one multipart upload. Nothing touches a disk, and the buffer pool
bounds what is in memory, whatever the file's size.
"""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import replace
from threading import Semaphore
from typing import TYPE_CHECKING
from urllib.parse import quote

from tasks.archive import STORED_AS, is_marked, read_back
from tasks.errors import SizeDisagrees, SourceChanged, TransferStopped, UploadVanished, VideoEmpty
from tasks.evidence import Evidence
from tasks.s3 import PartRange, crc64, fill_buffers, grow_part_size, part_ranges
from tasks.transfer.buffers import BufferLease, LastUse, OrderedSha256
from tasks.transfer.completion import require_bytes
from tasks.transfer.models import FileFacts, ProvedFile, UploadedFile
from tasks.workers import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.download import Source, SourceObject
    from tasks.s3 import Part, StoredObject, Upload
    from tasks.transfer.models import Payload, TransferContext, TransferredFile

LONGEST_VALUE = 200
"""Characters of a metadata value; stores take 256 or more. A longer one is kept as its digest."""


class FileTransfer:
    """One attempt to bring one file into the store.

    Args:
        context: shared with the other files.
        payload: the file.
        source: where its bytes come from.
    """

    def __init__(self, context: TransferContext, payload: Payload, source: Source) -> None:
        self._context = context
        self._store = context.store
        self._journal = context.journal()
        self._payload = payload
        self._source = source
        self.begun: Upload | None = None
        self._found: SourceObject | None = None

    @property
    def is_resumable(self) -> bool:
        """Whether another run can carry on an upload: its parts can be proved, and read back once they are an object.

        Of what an earlier run has stored, only reading it back tells the SHA-256.
        """
        return self._is_ranged and not self._store.options.is_unreadable

    @property
    def _is_ranged(self) -> bool:
        """Whether the parts of an upload could ever be proved to be of this source."""
        return self._found is not None and self._found.ranged

    def run(self, *, keep_existing: bool, reuse_stored: bool, absent: bool = False) -> TransferredFile:
        """Bring the bytes into the store.

        Args:
            keep_existing: do not touch an object of that key; leave the upload uncompleted until commit. The same
                happens if another run has committed the recording meanwhile.
            reuse_stored: take an object of that key for done if an earlier run provably made it from the same source.
            absent: there was no object of that key a moment ago.

        Raises:
            SizeDisagrees: the API and the source name different sizes, and nobody accepts that.
            VideoEmpty: the file is a video of 0 bytes.
            ArchiverError: whatever reading the source or writing to the store raises.
        """
        self._found = source = self._source.open(self._context.limits.part_size)
        facts = self._facts(source)
        part_size = grow_part_size(source.size, self._context.limits.part_size)
        # What must not differ for an upload to be carried on; without a strong ETag nothing proves it.
        origin: dict[str, str | int] = {"etag": source.etag, "size": source.size, "part_size": part_size}
        single = source.size <= part_size and not keep_existing
        # A single part goes in one request, if at all: there is next to nothing that an upload could have left of it.
        if self.is_resumable and not single and (left := self._journal.resumable(self._payload.key, origin)):
            return self._upload_parts(facts, part_size, *left)
        # Of a large file the store is asked again: another run may have stored it since, and fetching costs more.
        there = None if keep_existing or (absent and single) else self._store.head(self._payload.key)
        if reuse_stored and there is not None and (proved := self._reuse(facts, part_size, there)):
            return proved
        if single and not self._journal.is_committed():
            return self._put(facts, if_absent=there is None)
        self.begun = self._journal.begin(self._payload.key, origin, facts.content_type, facts.metadata)
        return self._upload_parts(facts, part_size, self.begun, {})

    def _facts(self, source: SourceObject) -> FileFacts:
        payload, announced = self._payload, self._payload.media.size
        accepted: tuple[str, ...] = ()
        if announced is not None and announced != source.size:
            self._require_accepted(announced, source)
            sizes = f"{source.size:,} bytes where the API announces {announced:,}"
            accepted = (f"{payload.path} has {sizes}: a person accepted that, and the source held it twice.",)
        if payload.media.kind == "video" and not source.size:
            raise VideoEmpty(payload.media.label)
        # Stores lose empty values, and take neither long ones nor all characters.
        metadata = {name: _short(value) for name, value in payload.metadata.items() if value}
        if source.ranged:
            metadata["source-etag"] = _short(source.etag)
        if stored_as := self._store.options.fingerprint:
            metadata[STORED_AS] = stored_as
        weak = not source.ranged and announced is None
        return FileFacts(payload, source.size, _content_type(source, payload), metadata, weak, accepted)

    def _require_accepted(self, announced: int, first: SourceObject) -> None:
        """Check that a person accepts another size than the API's, and that a fresh URL leads to the very same file.

        Raises:
            SizeDisagrees: nobody accepts the size, or nothing could prove that the file is the same.
            SourceChanged: the second look leads to another file.
        """
        label = self._payload.media.label
        if not self._payload.accept_size or not first.ranged:
            raise SizeDisagrees(label, announced, first.size)
        second = self._source.open_anew(self._context.limits.part_size)
        if (second.size, second.etag) != (first.size, first.etag):
            raise SourceChanged(
                label, f"{first.size} bytes, ETag {first.etag}", f"{second.size} bytes, ETag {second.etag}"
            )

    def _reuse(self, facts: FileFacts, part_size: int, stored: StoredObject) -> ProvedFile | None:
        """Return the file as an earlier run has stored it, once reading it back has proved it; None if it has not."""
        if not self._is_ranged or stored.size != facts.size or not is_marked(stored, facts.metadata):
            return None
        if stored.storage_class.is_cold or stored.metadata.get(STORED_AS, "") != self._store.options.fingerprint:
            return None
        # Of a bag that was withdrawn, maybe because it was damaged, only what its own manifest confirms is good.
        stated = self._journal.manifest_sha256(self._payload.key)
        evidence = Evidence(self._payload.path, facts.size)
        sha256 = read_back(self._store, stored, part_size=part_size, evidence=evidence)
        if stated not in (None, sha256) or stored.metadata.get("sha256") not in (None, sha256):
            return None
        self._context.progress.begin(self._payload.path, stored.size, stored.size)
        self._context.log.info("%s: an earlier run has stored the file.", self._payload.path)
        return ProvedFile(facts, evidence, sha256, stored.etag)

    def _put(self, facts: FileFacts, *, if_absent: bool) -> ProvedFile:
        """Store a small file in one request; not over what another run has stored, and maybe committed, meanwhile."""
        key, evidence = self._payload.key, Evidence(self._payload.path, facts.size)
        self._context.progress.begin(self._payload.path, facts.size, 0)
        with BufferLease(self._context.buffers) as lease:
            if (body := lease.acquire(facts.size)) is None:
                raise TransferStopped
            next(fill_buffers(self._chunks(0, facts.size), [body]))
            sha256 = hashlib.sha256(body).hexdigest()
            evidence.feed(body)
            metadata = {**facts.metadata, "sha256": sha256}
            if not self._store.put(key, body, facts.content_type, metadata, if_absent=if_absent, media=True):
                raise UploadVanished("put_object", key, "another run has stored it meanwhile")
            stored = self._store.verify(key, len(body), crc64(body))
            require_bytes(self._store, stored, facts.size, metadata, sha256)
        return ProvedFile(replace(facts, metadata=metadata), evidence, sha256, stored.etag)

    def _upload_parts(
        self, facts: FileFacts, part_size: int, upload: Upload, stored: Mapping[int, Part]
    ) -> UploadedFile:
        """Store the parts that are missing."""
        ranges = part_ranges(facts.size, part_size)
        kept = {r.number: stored[r.number] for r in ranges if r.number in stored and stored[r.number].size == r.size}
        missing = [r for r in ranges if r.number not in kept]
        log, path = self._context.log, self._payload.path
        self._context.progress.begin(path, facts.size, sum(part.size for part in kept.values()))
        if kept:
            log.info("%s: carrying on, %d of %d parts are stored.", path, len(kept), len(ranges))
        if 1 in kept:
            self._source.close()
        self._journal.detect_capabilities(upload, len(missing))
        evidence = Evidence(path, facts.size)
        # In order only from the first byte on; after a resume the digest comes from reading the object back.
        fetched, sha256 = self._move_parts(upload, missing, evidence, hashed=not kept)
        parts = kept | fetched
        in_order = [parts[r.number] for r in ranges]
        return UploadedFile(facts, evidence, upload, in_order, sha256, begun_here=upload is self.begun)

    def _move_parts(
        self, upload: Upload, missing: Sequence[PartRange], evidence: Evidence, *, hashed: bool
    ) -> tuple[dict[int, Part], str]:
        """Read and store the missing parts; return the parts, and their SHA-256 if that is wanted.

        A source without ranges is read by this thread, in order.
        """
        ranged, context = self._is_ranged, self._context

        def buffers() -> Iterator[bytearray]:
            for part in missing:
                if (buffer := lease.acquire(part.size)) is None:
                    return
                yield buffer

        def move(part: PartRange, body: bytearray) -> None:
            if ranged:
                with reading:
                    lease.require_open()
                    next(fill_buffers(self._chunks(part.start, part.stop), [body]))
            if hashed:  # before it is stored: a part that the store is slow to take holds up no other
                digest.add(part.number, body)
            with storing:
                lease.require_open()
                stored[part.number] = self._store.put_part(upload, part.number, body)
            uses.end_one(body)

        stored: dict[int, Part] = {}
        # Apart, as the source would idle while parts go to the store, and the other way round.
        reading, storing = Semaphore(context.limits.concurrency), Semaphore(context.limits.concurrency)
        with BufferLease(context.buffers) as lease:
            uses = LastUse(lease.release, uses=2 if hashed else 1)
            with (
                OrderedSha256(uses.end_one, evidence.feed) as digest,
                Pool(context.limits.parts_at_once, context.stop, lease.close) as pool,
            ):
                bodies = buffers() if ranged else fill_buffers(self._chunks(0, sum(p.size for p in missing)), buffers())
                for part, body in zip(missing, bodies, strict=False):
                    pool.submit(move, part, body)
                pool.wait()
        return stored, digest.hexdigest(len(missing)) if hashed else ""

    def _chunks(self, start: int, stop: int) -> Iterator[bytes]:
        for chunk in self._source.read(start, stop) if self._is_ranged else self._source.read_all():
            self._context.progress.advance(self._payload.path, len(chunk))
            yield chunk


def _content_type(source: SourceObject, payload: Payload) -> str:
    if source.content_type.startswith(("video/", "audio/")):
        return source.content_type
    guessed, _ = mimetypes.guess_type(payload.path)
    return guessed or source.content_type or "application/octet-stream"


def _short(value: str) -> str:
    text = quote(value, safe="")
    return text if len(text) <= LONGEST_VALUE else hashlib.sha256(text.encode()).hexdigest()
