"""Knows HTTP: one file behind expiring URLs, readable at any offset whatever breaks on the way.

Nobody above knows of expiry, drops or stalls: `Source.read` yields exactly the bytes asked for, of exactly the
object that was opened, or raises. A *refresh* (new URL) is not a *retry* (the same again), and progress refills
the patience for retries.

Sources: RFC 9110, sections 8.8 (validators), 13.1.1 (If-Match), 14 (ranges).
"""

from __future__ import annotations

import hashlib
import logging
import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from tasks.backoff import retry_after_seconds
from tasks.errors import (
    ApiUnavailable,
    LinkRefused,
    SourceChanged,
    SourceGone,
    SourceLied,
    SourceUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.backoff import Patience
    from tasks.errors import ArchiverError
    from tasks.links import Link, Links

CONNECT_TIMEOUT_S = 10.0
MAX_REDIRECTS = 5
ERROR_BODY_BYTES = 4096
LIES_BELIEVED = 4  # impossible answers in a row

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_NOT_MEDIA = re.compile(r"text/|application/(json|xml|xhtml|problem)|.*\+(xml|json)$", re.IGNORECASE)
# Every dialect of "expired": R2 403 (400 until 2026-07), S3 403, Google 400, CDNs 401, 403 or 410.
_REFUSED_LINK = frozenset({400, 401, 403, 410})
_TRY_AGAIN = frozenset({408, 425, 429})


def new_http_client(stall_timeout_s: float) -> httpx.Client:
    """Return a client for presigned URLs: raw bytes, a few redirects, and a connection without a byte counts as dead.

    Args:
        stall_timeout_s: seconds without a byte.
    """
    quiet_http_logs()
    return httpx.Client(
        headers={"Accept-Encoding": "identity", "User-Agent": "realtimekit-archiver"},
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        timeout=httpx.Timeout(stall_timeout_s, connect=min(CONNECT_TIMEOUT_S, stall_timeout_s), pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
    )


def quiet_http_logs() -> None:
    """Keep httpx from logging whole URLs at INFO, and httpcore from logging redirects' targets at DEBUG."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


@dataclass(frozen=True)
class SourceObject:
    """What the source says of a file before the first byte is stored."""

    size: int  # bytes
    etag: str  # as sent, quotes and all; empty if there is none
    content_type: str  # media type without parameters; empty if not said
    ranged: bool  # can be read in ranges, each provably of the same object: it has a strong ETag


_SourceError = (SourceUnavailable, LinkRefused, SourceLied, SourceChanged, ApiUnavailable)


class Source:
    """One file behind expiring URLs. Threads may read different ranges of it at once.

    Args:
        http: see `new_http_client`.
        links: where its URL comes from.
        label: the file's name in `links`, in logs and in errors.
        patience: shared by all readers of the file.
    """

    def __init__(self, http: httpx.Client, links: Links, label: str, patience: Patience) -> None:
        self._http = http
        self._links = links
        self._label = label
        self._patience = patience
        self._object: SourceObject | None = None
        self._first: tuple[httpx.Response, int] | None = None  # and where it ends
        self.resumes = 0

    def open(self, first_bytes: int) -> SourceObject:
        """Ask for the beginning of the file, and so for its size, validator and type; nothing is read yet.

        Args:
            first_bytes: how much the first reader is going to want, so that its answer is already on the way.

        Raises:
            SourceGone, SourceLied: final.
            SourceUnavailable, LinkRefused: worth retrying.
        """
        failures = 0
        while True:
            link = self._links.current(self._label)
            try:
                self._object = self._open_once(link, first_bytes)
            except _SourceError as error:
                failures += 1
                self._recover(error, link, failures)
            else:
                return self._object

    def close(self) -> None:
        """Drop the answer that `open` began, if nobody has read it."""
        first, self._first = self._first, None
        if first is not None:
            first[0].close()

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, not including, `stop`: exactly those, or an error.

        Raises:
            SourceGone, SourceLied: final.
            SourceUnavailable, LinkRefused, SourceChanged, TransferStopped: worth retrying.
        """
        return self._read(self._range_body, start, stop)

    def read_all(self) -> Iterator[bytes]:
        """Yield the whole file from a source without ranges or without a strong validator.

        After a drop it begins again, skips what was already yielded, and proves by its hash that this was the same.

        Raises:
            SourceChanged: the beginning is not what it was; and as for `read`.
        """
        yielded = hashlib.sha256()

        def body(link: Link, offset: int, stop: int) -> Iterator[bytes]:
            for chunk in _skip(self._range_body(link, 0, stop), offset, yielded.digest(), self._label):
                yielded.update(chunk)
                yield chunk

        return self._read(body, 0, self._known.size)

    def _read(self, body: Callable[[Link, int, int], Iterator[bytes]], start: int, stop: int) -> Iterator[bytes]:
        offset, failures = start, 0
        while offset < stop:
            link = self._links.current(self._label)
            try:
                for chunk in body(link, offset, stop):
                    offset += len(chunk)
                    failures = 0
                    self._patience.progressed()
                    yield chunk
            except _SourceError as error:
                failures += 1
                self._recover(error, link, failures)
                self.resumes += 1

    def _recover(self, error: ArchiverError, link: Link, failures: int) -> None:
        """Do what the failure asks for before the next attempt, or raise it."""
        if isinstance(error, LinkRefused):
            self._links.refused(self._label, link, error)
            return
        if isinstance(error, SourceLied | SourceChanged):
            if failures >= LIES_BELIEVED:
                raise error
            # A page where the file should be is how some servers say "expired".
            self._links.refresh(self._label, link, "the old one led to something else")
        self._patience.pause(error, failures - 1)

    @property
    def _known(self) -> SourceObject:
        if self._object is None:
            message = "open() comes first"
            raise RuntimeError(message)
        return self._object

    def _open_once(self, link: Link, first_bytes: int) -> SourceObject:
        response = self._send(link, f"bytes=0-{first_bytes - 1}")
        try:
            found, end = self._described(response, first_bytes)
        except BaseException:
            response.close()
            raise
        self._links.worked()
        self._first = (response, end)
        if end == 0 or (not found.ranged and end < found.size):
            self.close()
        return found

    def _described(self, response: httpx.Response, first_bytes: int) -> tuple[SourceObject, int]:
        """Return what the first answer says of the file, and where that answer ends."""
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and _says_empty(response):
            # Only a store that knows the object answers so; a 200 without a byte could be anybody's hiccup.
            return SourceObject(0, _etag(response), "", ranged=False), 0
        self._refuse(response)
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            end, size = self._checked_range(response, 0, first_bytes)
            strong = _etag(response).startswith('"')
            return SourceObject(size, _etag(response), _media_type(response), ranged=strong), end
        length = _length(response)
        if not length:
            raise self._lied("status 206, or 200 with a length", f"200 with {length or 'no'} length")
        return SourceObject(length, _etag(response), _media_type(response), ranged=False), length

    def _range_body(self, link: Link, start: int, stop: int) -> Iterator[bytes]:
        """Yield what a single answer brings of a range: as much as it promised, or an error after some of it."""
        response, end = self._take_first(start) or self._request_range(link, start, stop)
        left = min(end, stop) - start
        with closing(response):
            for chunk in self._chunks(response):
                self._patience.check()
                if len(chunk) > left:
                    if end <= stop:
                        raise self._lied(f"{end - start} bytes", "more")
                    chunk = chunk[:left]
                left -= len(chunk)
                yield chunk
                if left == 0 and end > stop:
                    return
        if left:
            raise SourceUnavailable(
                self._label, f"the answer ended {left} bytes early, at byte {min(end, stop) - left}"
            )

    def _take_first(self, start: int) -> tuple[httpx.Response, int] | None:
        if start != 0:
            return None
        first, self._first = self._first, None
        return first

    def _request_range(self, link: Link, start: int, stop: int) -> tuple[httpx.Response, int]:
        known = self._known
        response = self._send(link, f"bytes={start}-{stop - 1}" if known.ranged else None)
        try:
            self._refuse(response)
            if response.status_code == httpx.codes.PARTIAL_CONTENT:
                end, size = self._checked_range(response, start, stop)
            else:
                end = size = self._checked_whole(response, start, stop)
            if (size, _etag(response)) != (known.size, known.etag):
                actual = f"{size} bytes, ETag {_etag(response) or 'missing'}"
                raise SourceChanged(self._label, f"{known.size} bytes, ETag {known.etag or 'missing'}", actual)
        except BaseException:
            response.close()
            raise
        self._links.worked()
        return response, end

    def _send(self, link: Link, byte_range: str | None) -> httpx.Response:
        headers = {"Range": byte_range} if byte_range else {}
        if self._object is not None and self._object.ranged:
            headers["If-Match"] = self._object.etag
        failure = ""
        try:
            return self._http.send(self._http.build_request("GET", link.url, headers=headers), stream=True)
        except (httpx.RequestError, httpx.InvalidURL) as error:
            failure = _plain(error)
        # Raised outside of the handler: httpx's errors hold the request, and with it the URL.
        raise SourceUnavailable(self._label, failure)

    def _chunks(self, response: httpx.Response) -> Iterator[bytes]:
        failure = ""
        try:
            yield from response.iter_raw()
        except httpx.RequestError as error:
            failure = _plain(error)
        if failure:
            raise SourceUnavailable(self._label, failure)

    def _refuse(self, response: httpx.Response) -> None:
        """Raise what the answer means, unless it may hold bytes of the file."""
        status, headers = response.status_code, response.headers
        if status not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
            raise self._failure(response, status)
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            raise self._lied("the bytes as they are", f"Content-Encoding {headers['Content-Encoding'][:40]}")
        if _NOT_MEDIA.match(_media_type(response)):
            raise self._lied("media", f"Content-Type {_media_type(response)[:80]}")

    def _failure(self, response: httpx.Response, status: int) -> ArchiverError:
        reason = f"HTTP {status} {self._error_code(response)}".rstrip()
        if status == httpx.codes.NOT_FOUND:
            return SourceGone(self._label)
        if status in _REFUSED_LINK:
            return LinkRefused(self._label, reason)
        if status == httpx.codes.PRECONDITION_FAILED and self._object is not None:
            return SourceChanged(self._label, f"ETag {self._object.etag}", "another (HTTP 412)")
        if status in _TRY_AGAIN or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return SourceUnavailable(self._label, reason, retry_after_seconds(response.headers.get("Retry-After")))
        return self._lied("status 206 or 200", reason)

    def _error_code(self, response: httpx.Response) -> str:
        """Return the <Code> of an S3 error body, reading no more than its beginning."""
        body = b""
        try:
            for chunk in self._chunks(response):
                body += chunk
                if len(body) > ERROR_BODY_BYTES:
                    break
        except SourceUnavailable:
            pass
        found = re.search(rb"<Code>(\w{1,60})</Code>", body)
        return found[1].decode() if found else ""

    def _checked_range(self, response: httpx.Response, start: int, stop: int) -> tuple[int, int]:
        """Return where the answer's range ends and the file's size, if the range is the one asked for."""
        said = response.headers.get("Content-Range", "")
        found = _CONTENT_RANGE.fullmatch(said.strip())
        first, last, size = (int(number) for number in found.groups()) if found else (-1, -1, 0)
        end = min(stop, size)
        if (first, last + 1) != (start, end):
            raise self._lied(f"bytes {start}-{stop - 1}", f"Content-Range {said[:80] or 'missing'}")
        if _length(response) not in (None, end - start):
            raise self._lied(f"{end - start} bytes", f"Content-Length {_length(response)}")
        return end, size

    def _checked_whole(self, response: httpx.Response, start: int, stop: int) -> int:
        """Return the length of a 200, which is right only if the whole file was wanted."""
        length = _length(response)
        if length is None or (start, stop) != (0, self._known.size):
            raise self._lied(f"bytes {start}-{stop - 1}", f"status 200 with {length or 'no'} length")
        return length

    def _lied(self, expected: str, actual: str) -> SourceLied:
        return SourceLied(self._label, expected, actual)


def _skip(chunks: Iterator[bytes], count: int, digest: bytes, label: str) -> Iterator[bytes]:
    """Yield what comes after the first `count` bytes, once these have proved to be the ones with that SHA-256."""
    skipped = hashlib.sha256()
    for chunk in chunks:
        head = chunk[:count]
        count -= len(head)
        skipped.update(head)
        if head and count == 0 and skipped.digest() != digest:
            raise SourceChanged(label, "the same beginning again", "another one")
        if len(chunk) > len(head):
            yield chunk[len(head) :]


def _etag(response: httpx.Response) -> str:
    return str(response.headers.get("ETag", "")).strip()


def _length(response: httpx.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _says_empty(response: httpx.Response) -> bool:
    return bool(response.headers.get("Content-Range", "").replace(" ", "") == "bytes*/0")


def _plain(error: Exception) -> str:
    """Name a failure without any URL's query: some of httpx's messages quote what they choked on."""
    return f"{type(error).__name__}: {error}".partition("?")[0].rstrip(": ")[:200]
