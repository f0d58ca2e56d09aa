"""A source over real sockets for tests: the stand-in, a link from its API, and short patience."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import httpx
import pytest

from tasks.download.http_client import new_http_client
from tasks.download.presigned_urls import PresignedUrl, PresignedUrls
from tasks.download.source import Source
from tasks.realtimekit.recordings import RealtimeKit
from tasks.retry import Patience
from tests.standins.realtimekit import MediaSource, RealtimeKitStandIn, StandInRecording, SyntheticContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.standins.realtimekit import FileRequest

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
PIECE = 64 * 1024
LOG = logging.getLogger(__name__)


@dataclass
class Reading:
    """One file of the stand-in, and a source that reads it."""

    kit: RealtimeKitStandIn
    media: MediaSource
    source: Source
    links: PresignedUrls
    stop: Event
    link: PresignedUrl = field(repr=False)
    """The link as first handed out."""

    @property
    def content(self) -> bytes:
        """What the file holds now."""
        return self.media.content.read(0, self.media.size)

    @property
    def requests(self) -> list[FileRequest]:
        """The requests for files so far."""
        return self.kit.file_requests

    def read(self, start: int, stop: int) -> bytes:
        """Read a range of an open source."""
        return b"".join(self.source.read(start, stop))

    def fetch(self, part: int | None = None) -> bytes:
        """Open the source and read all of it, in ranges of `part` bytes where it can be."""
        size = part or self.media.size or 1
        found = self.source.open(size)
        if not found.ranged:
            return b"".join(self.source.read_all())
        return b"".join(self.read(start, min(start + size, found.size)) for start in range(0, found.size, size))

    def fetch_in_parallel(self, part: int, readers: int = 8) -> bytes:
        """Open the source and read all of it, several ranges at once."""
        size = self.source.open(part).size
        with ThreadPoolExecutor(readers) as pool:
            return b"".join(pool.map(lambda start: self.read(start, min(start + part, size)), range(0, size, part)))


@contextmanager
def reading(
    content: bytes | SyntheticContent | MediaSource,
    *,
    stall_s: float = 10.0,
    patience_s: float = 20.0,
    pause_s: float = 0.001,
    details: Mapping[str, object] | None = None,
    **knobs: object,
) -> Iterator[Reading]:
    """Serve a file and make a source of it; pauses are next to nothing, one call to the API tries once.

    Args:
        content: what the file holds.
        stall_s: the stall timeout.
        patience_s: the source's patience.
        pause_s: the longest pause between two attempts.
        details: what the API says, besides what the stand-in has it say.
        knobs: of the stand-in, set before the first link is handed out.
    """
    media = content if isinstance(content, MediaSource) else MediaSource(content)
    stop = Event()
    with (
        _impatient(pause_s),
        RealtimeKitStandIn() as kit,
        httpx.Client() as api_http,
        new_http_client(stall_s) as http,
    ):
        for name, value in knobs.items():
            setattr(kit, name, value)
        kit.add(StandInRecording(ID, video=media, details=dict(details or {})))
        api = RealtimeKit(api_http, kit.base_url, kit.account_id, kit.app_id, kit.token, stop=stop, patience_s=0)

        def links_now() -> Mapping[str, PresignedUrl]:
            recording = api.recording(ID)
            return {file.label: PresignedUrl(file.url, file.expires_at, recording.expires) for file in recording.media}

        first = links_now()
        ((label, link),) = first.items()
        links = PresignedUrls(first, links_now, stop, LOG)
        source = Source(http, links, label, Patience(patience_s, stop))
        try:
            yield Reading(kit, media, source, links, stop, link)
        finally:
            source.close()


@contextmanager
def _impatient(pause_s: float) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.retry.FIRST_PAUSE_S", pause_s)
        patch.setattr("tasks.retry.LONGEST_PAUSE_S", pause_s)
        # Without this, loading certificates that loopback has no use for takes longer than most tests.
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(Path(__file__).parent))
        yield
