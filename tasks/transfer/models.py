"""What a transfer is told, and the two states of a file in it: uploaded, and proved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from threading import Event

    from tasks.archive import UploadJournal
    from tasks.evidence import Evidence
    from tasks.realtimekit import MediaFile
    from tasks.s3 import Part, Store, Upload
    from tasks.text import Log
    from tasks.transfer.buffers import BufferPool

WAITING_PARTS = 4
"""Parts in memory besides those that are being read, and at most one fewer than those: such a part is being stored, or
waits for an earlier one, as a file is hashed in order."""


class Progress(Protocol):
    """Counts the bytes that move; called from many threads."""

    def begin(self, path: str, size: int, already: int) -> None:
        """Note that a file of `size` bytes is being transferred, of which `already` are in the store."""

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
        """How many parts are in memory, and lost by a crash: being read, waiting for the store, or being stored."""
        return self.concurrency + min(WAITING_PARTS, self.concurrency - 1)


@dataclass(frozen=True)
class TransferContext:
    """What the transfers of all files of a recording share."""

    store: Store
    journal: Callable[[], UploadJournal]  # reads anew at each call what other runs have left
    limits: Limits
    buffers: BufferPool
    progress: Progress
    stop: Event  # set by whoever fails or cancels; ends all waiting and reading
    log: Log


@dataclass(frozen=True)
class Payload:
    """One media file, and where it goes."""

    media: MediaFile
    path: str  # within the bag
    key: str
    metadata: Mapping[str, str]
    accept_size: bool = False  # a person wants what the source holds, though the API announces another size


@dataclass(frozen=True)
class FileFacts:
    """What is known of a file once its source has answered."""

    payload: Payload
    size: int  # bytes
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)  # of the object that it becomes
    weak: bool = False  # only a Content-Length states its size, see `tasks.evidence.media_evidence`
    accepted: tuple[str, ...] = ()  # findings that a person has accepted, in sentences


@dataclass(frozen=True)
class UploadedFile:
    """A file whose bytes are all in a multipart upload, which waits for its completion."""

    facts: FileFacts
    evidence: Evidence
    upload: Upload
    parts: Sequence[Part]
    sha256: str  # empty after a resume: not known before the object is read back
    begun_here: bool  # by this run, and not found in the store

    @property
    def own_upload(self) -> Upload | None:
        """The upload that this run has begun for the file."""
        return self.upload if self.begun_here else None


@dataclass(frozen=True)
class ProvedFile:
    """A file whose object in the store was proved to hold the source's bytes."""

    facts: FileFacts
    evidence: Evidence
    sha256: str
    etag: str  # of the object
    own_upload: Upload | None = None  # that this run has begun for it, completed by now

    @property
    def findings(self) -> tuple[str, ...]:
        """What a person has to know of the file, in sentences."""
        return (*self.facts.accepted, *self.evidence.findings())


TransferredFile = UploadedFile | ProvedFile
