"""Small files behind expiring URLs: transcripts, chats, summaries, and what a chat links to.

Such a file has some KB to some MB, its size is announced nowhere, and it is a text: what proves that a recording is
whole does not fit. A document is read as a whole, into memory, up to a bound. Its bytes count if the store's ETag is
their MD5, and else once two readings agree.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import zlib
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from tasks.documents import describe_error_page
from tasks.download.http_client import MAX_REDIRECTS, read_pieces, require_progress, send_get
from tasks.download.presigned_urls import PresignedUrl
from tasks.download.response import read_content_type, read_length, read_md5, to_document_error
from tasks.errors import (
    LinkRefused,
    SourceChanged,
    SourceLied,
    SourceMissing,
    SourceTooLarge,
    SourceUnavailable,
)
from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.errors import ArchiverError
    from tasks.retry import Patience

LARGEST_DOCUMENT = 64 * MIB
"""Bytes: a day of talk has less than one in ten of that."""
REFRESHES = 4
"""Fresh URLs of one document that are asked for, as the one before was refused or led to something else."""
READINGS = 4
"""Of a document whose bytes no ETag confirms, until two agree."""

_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_PLAIN = frozenset({"", "identity", "aws-chunked"})


@dataclass(frozen=True)
class Document:
    """A document as it came."""

    content: bytes = field(repr=False)
    content_type: str  # media type without parameters; empty if none is said

    @property
    def sha256(self) -> str:
        """Of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def fetch_document(
    http: httpx.Client,
    label: str,
    link: PresignedUrl,
    refresh: Callable[[], PresignedUrl | None] | None,
    patience: Patience,
    most: int = LARGEST_DOCUMENT,
    redirects: int = MAX_REDIRECTS,
) -> Document:
    """Return a document, through whatever breaks on the way; it may have 0 bytes.

    Args:
        http: see `new_http_client`.
        label: names the document in logs and errors.
        link: its URL.
        refresh: asks the API for a fresh URL, and returns None if it hands out none any more; None for a URL that
            cannot be refreshed.
        patience: how long failures may go on.
        most: bytes that are taken.
        redirects: how many are followed at most.

    Raises:
        SourceLied: what came was an error page, again and again; SourceTooLarge: it has more bytes.
        SourceMissing: the API hands out no URL any more, or the URL leads to nothing.
        SourceChanged: no two readings agree.
        SourceUnavailable, LinkRefused, ApiUnavailable, TransferStopped: worth retrying.
    """
    refreshes = failures = 0
    readings: list[Document] = []
    while len(readings) < READINGS:
        patience.check()
        try:
            document, is_proved = _read_once(http, label, link, patience, most, redirects)
        except (LinkRefused, SourceMissing, SourceLied) as failure:
            refreshes += 1
            link = _renew_url(failure, label, refresh, patience, refreshes)
        except SourceUnavailable as failure:
            patience.pause(failure, failures)
            failures += 1
        else:
            if is_proved or document.sha256 in {reading.sha256 for reading in readings}:
                return document
            readings.append(document)
    raise SourceChanged(label, "the same bytes at two readings", f"{READINGS} different ones")


def fetch_upload(http: httpx.Client, label: str, url: str, trusted: str, patience: Patience, most: int) -> Document:
    """Return a file that a message of a chat links to.

    The URL comes from a stranger, who might name a server within this machine's network. So it must be https, whose
    certificate an internal server does not have for a stranger's name, at a public address, without redirects; or the
    server that the chat itself came from.

    Args:
        url: of the file.
        trusted: the chat's own URL.
        most: bytes that are taken.

    Raises:
        SourceLied: the URL is not one of a public server, or something else than the file came.
        ArchiverError: as for `fetch_document`; the URL cannot be refreshed.
    """
    if _origin(url) != _origin(trusted) and not _is_public(url):
        raise SourceLied(label, "an https URL of a public server", "another")
    return fetch_document(http, label, PresignedUrl(url), None, patience, most, redirects=0)


def _renew_url(
    failure: ArchiverError,
    label: str,
    refresh: Callable[[], PresignedUrl | None] | None,
    patience: Patience,
    refreshes: int,
) -> PresignedUrl:
    """Return a fresh URL, after a pause; raise the failure if there were enough of them."""
    if refresh is None or refreshes > REFRESHES:
        raise failure
    patience.pause(failure, refreshes - 1)
    fresh = refresh()
    if fresh is None:
        raise SourceMissing(label)
    return fresh


def _read_once(
    http: httpx.Client, label: str, link: PresignedUrl, patience: Patience, most: int, redirects: int
) -> tuple[Document, bool]:
    """Return a document, and whether its bytes are proved to be those that the server holds."""
    with closing(send_get(http, label, link.url, {}, redirects)) as response:
        if response.status_code != httpx.codes.OK:
            raise to_document_error(label, response)
        raw = _body(label, response, patience, most)
        content = _decoded(label, response, raw, most)
    if page := describe_error_page(content):
        raise SourceLied(label, "a document", page)
    md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    return Document(content, read_content_type(response)), read_md5(response) == md5


def _body(label: str, response: httpx.Response, patience: Patience, most: int) -> bytes:
    body = bytearray()
    for piece in _moving(label, response, patience):
        body += piece
        if len(body) > most:
            raise SourceTooLarge(label, most)
    announced = read_length(response)
    if announced is not None and len(body) != announced:
        raise SourceUnavailable(label, f"{len(body)} bytes came, of {announced} announced")
    return bytes(body)


def _moving(label: str, response: httpx.Response, patience: Patience) -> Iterator[bytes]:
    for piece in require_progress(label, read_pieces(label, response), patience.seconds):
        patience.check()
        if patience.is_over:
            raise SourceUnavailable(label, "it was still arriving when its time was over")
        yield piece


def _decoded(label: str, response: httpx.Response, raw: bytes, most: int) -> bytes:
    """Return the body without the compression that some servers put on texts unasked; never more than `most` bytes."""
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding in _PLAIN:
        return raw
    if coding not in _CODINGS:
        raise SourceLied(label, "the bytes as they are", f"Content-Encoding {coding[:40]}")
    inflater, content = zlib.decompressobj(wbits=47), b""
    try:
        content = inflater.decompress(raw, most + 1)
    except zlib.error:
        inflater = zlib.decompressobj()  # which is not at its end
    if len(content) > most:
        raise SourceTooLarge(label, most)
    if not inflater.eof:
        raise SourceLied(label, f"a whole body with Content-Encoding {coding}", "another")
    return content


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return "", "", None
    return parsed.scheme, parsed.host, parsed.port


def _is_public(url: str) -> bool:
    """Tell whether a URL is https, on the usual port, and all addresses of its host are public."""
    scheme, host, port = _origin(url)
    if scheme != "https" or not host or port is not None:
        return False
    try:
        resolved = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(address[4][0]).partition("%")[0]) for address in resolved]
    except (OSError, ValueError):
        return False
    return bool(addresses) and all(address.is_global and not address.is_multicast for address in addresses)
