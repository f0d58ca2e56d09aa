"""Source: one file behind expiring URLs, which can be read at any offset in spite of failures.

`Source.read` yields exactly the requested bytes, of exactly the object that was opened, or raises; its callers do not
deal with expiry, broken connections or stalls. A *refresh* gets a new URL, a *retry* uses the same URL again; progress
refills the patience for retries. Requests are in `tasks.download.http_client`, the meaning of an answer in
`tasks.download.response`, URLs in `tasks.download.presigned_urls`, the reaction to a failure in
`tasks.download.recovery`.
"""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING

import httpx

from tasks.download.body_checks import hold_until_complete, require_length, require_media, skip_known_start
from tasks.download.http_client import read_pieces, require_progress, send_get
from tasks.download.recovery import Recovery
from tasks.download.response import SourceObject, describe_object, find_doubt, find_end, is_length_announced
from tasks.errors import (
    LinkRefused,
    RangesUnproved,
    SourceChanged,
    SourceLied,
    SourceMissing,
    SourceUnavailable,
)
from tasks.retry import MOVING_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import TypeAlias

    from tasks.download.presigned_urls import PresignedUrl, PresignedUrls
    from tasks.retry import Patience

    Body: TypeAlias = Generator[bytes]

_SURVIVABLE = (SourceUnavailable, LinkRefused, SourceLied, SourceChanged, SourceMissing)


class Source:
    """One file behind expiring URLs. Threads may read different ranges of it at once.

    Args:
        http: see `new_http_client`.
        urls: give the file's current URL.
        label: the file's name in `urls`, in logs and in errors.
        patience: shared by all readers of the file.
        announced: its size in bytes, if the API says so.
        ranges: ask for ranges; without, only for the whole file, which no server may refuse.
    """

    def __init__(
        self,
        http: httpx.Client,
        urls: PresignedUrls,
        label: str,
        patience: Patience,
        announced: int | None = None,
        *,
        ranges: bool = True,
    ) -> None:
        self._http = http
        self._urls = urls
        self._label = label
        self._patience = patience
        self._announced = announced
        self._ranges = ranges
        self._conditional = True
        self._object: SourceObject | None = None
        self._first: _Answer | None = None
        self._lock = Lock()  # guards the first answer and the count
        self.resumes = 0

    def open(self, first_bytes: int) -> SourceObject:
        """Request the beginning of the file, and so its size, validator and type; almost nothing is read yet.

        Args:
            first_bytes: how many bytes the first reader will request, so that its answer is already on the way.

        Raises:
            SourceGone, SourceLied: final.
            SourceUnavailable, SourceMissing, LinkRefused, ApiUnavailable, TransferStopped: worth retrying.
        """
        self.close()
        recovery = Recovery(self._urls, self._label, self._patience)
        while True:
            self._patience.check()
            presigned = self._urls.current(self._label)
            try:
                self._object = self._open_once(presigned, first_bytes)
            except RangesUnproved:
                self._ranges = False
            except _SURVIVABLE as failure:
                recovery.recover(failure, presigned)
            else:
                return self._object

    def open_anew(self, first_bytes: int) -> SourceObject:
        """Open the file as `open` does, through a fresh URL.

        Raises:
            ArchiverError: as for `open`.
        """
        self._urls.refresh(self._label, self._urls.current(self._label), "the file is looked at once more")
        return self.open(first_bytes)

    def close(self) -> None:
        """Close the answer that `open` received, unless a reader has taken it."""
        first = self._take_first()
        if first is not None:
            first.response.close()

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, not including, `stop`: exactly those, or an error.

        Raises:
            SourceGone, SourceLied: final.
            RangesUnproved: the source has to be read as a whole, see `ranges`.
            Any other error: worth a retry.
        """
        return self._read(self._range_body, start, stop)

    def read_all(self) -> Iterator[bytes]:
        """Yield the whole file from a source without ranges or without a strong validator.

        After a broken connection it reads from the first byte again, skips the bytes that were yielded, and proves by
        their hash that they are the same.

        Raises:
            SourceChanged: the beginning differs from the first reading; and as for `read`.
        """
        yielded = hashlib.sha256()

        def body(presigned: PresignedUrl, offset: int, stop: int) -> Body:
            with closing(self._range_body(presigned, 0, stop)) as pieces:
                for piece in skip_known_start(self._label, pieces, offset, yielded.digest()):
                    yielded.update(piece)
                    yield piece

        return self._read(body, 0, self._known.size)

    def _read(self, body: Callable[[PresignedUrl, int, int], Body], start: int, stop: int) -> Iterator[bytes]:
        offset, recovery = start, Recovery(self._urls, self._label, self._patience)
        while offset < stop:
            self._patience.check()
            presigned, began = self._urls.current(self._label), offset
            try:
                with closing(body(presigned, offset, stop)) as pieces:
                    for piece in pieces:
                        offset += len(piece)
                        recovery.note_progress(len(piece))
                        yield piece
                if offset < stop and offset - began < MOVING_BYTES:
                    raise SourceUnavailable(self._label, f"it sends {offset - began} bytes at a time")
            except _SURVIVABLE as failure:
                recovery.recover(failure, presigned)
                with self._lock:
                    self.resumes += 1
        self._patience.progressed()

    @property
    def _known(self) -> SourceObject:
        if self._object is None:
            message = "open() comes first"
            raise RuntimeError(message)
        return self._object

    def _open_once(self, presigned: PresignedUrl, first_bytes: int) -> SourceObject:
        headers = {"Range": f"bytes=0-{first_bytes - 1}"} if self._ranges else {}
        response = send_get(self._http, self._label, presigned.url, headers)
        try:
            described, end = describe_object(
                self._label, response, first_bytes if self._ranges else None, self._announced
            )
            pieces = self._pieces(response, 0, end)
            # No header proves that the body is the file, and not a document in its place: its first bytes have to.
            pieces = chain([next(pieces, b"")], pieces) if end else pieces
        except BaseException:
            response.close()
            raise
        self._urls.note_success(self._label)
        if end == 0 or (not described.ranged and end < described.size):
            response.close()
        else:
            self._first = _Answer(response, pieces, end)
        return described

    def _range_body(self, presigned: PresignedUrl, start: int, stop: int) -> Body:
        """Yield the bytes of a range that a single answer brings: all that it promised, or some and then an error."""
        answer = (self._take_first() if start == 0 else None) or self._request_range(presigned, start, stop)
        with closing(answer.response):
            pieces, promised = answer.pieces, answer.end - start
            if self._known.ranged and not is_length_announced(answer.response):
                pieces = hold_until_complete(self._label, pieces, promised)
            yield from require_length(self._label, pieces, promised, min(answer.end, stop) - start)

    def _pieces(self, response: httpx.Response, start: int, end: int) -> Iterator[bytes]:
        pieces = require_progress(self._label, read_pieces(self._label, response), self._patience.seconds)
        for piece in pieces if start else require_media(self._label, pieces, end, find_doubt(response)):
            self._patience.check()
            yield piece

    def _take_first(self) -> _Answer | None:
        with self._lock:
            first, self._first = self._first, None
        return first

    def _request_range(self, presigned: PresignedUrl, start: int, stop: int) -> _Answer:
        known = self._known
        headers = {"Range": f"bytes={start}-{stop - 1}"} if known.ranged else {}
        if known.ranged and self._conditional:
            headers["If-Match"] = known.etag
        response = send_get(self._http, self._label, presigned.url, headers)
        if response.status_code == httpx.codes.PRECONDITION_FAILED:
            # Some servers refuse their own ETag. An answer without the condition has to have that ETag all the same.
            self._conditional = False
        try:
            end = find_end(self._label, response, start, stop, known)
        except BaseException:
            response.close()
            raise
        self._urls.note_success(self._label)
        return _Answer(response, self._pieces(response, start, end), end)


@dataclass(frozen=True)
class _Answer:
    """An answer that may be the range: its body, not read yet, and the offset in the file where the body ends."""

    response: httpx.Response
    pieces: Iterator[bytes]
    end: int
