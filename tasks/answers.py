"""Knows what an HTTP answer claims about a file, and whether that can be so; it neither asks, nor waits, nor retries.

What cannot be the file is told apart by what would help: a fresh URL, another attempt, a person.
One lie cannot be told from the truth here: other bytes of the right number under the right headers. Against it stand
the checksums and sizes that are compared further up, where there are any.

Sources: RFC 9110, sections 8.4 (codings), 8.8 (validators), 14 (ranges), 15.3.7 (206), 15.5.17 (416).
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import httpx

from tasks.backoff import retry_after_seconds
from tasks.errors import LinkRefused, SourceChanged, SourceGone, SourceLied, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from tasks.errors import ArchiverError

BEGINNING_PIECES = 8
"""So much of a body that is not the file is looked at: an error document comes in one or two pieces."""

# Numbers without end would be refused by int(), and not in our words.
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII | re.IGNORECASE)
_EMPTY = re.compile(r"bytes \*/0+", re.IGNORECASE)
# What may be sent back in If-Match; an empty tag would prove nothing.
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]+"')
_NOT_MEDIA = re.compile(r"text/|application/(json|xml|xhtml|problem)|.*\+(xml|json)$", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)  # RFC 6838, section 4.2
# HTML, XML and JSON begin so, and no media file does.
_DOCUMENT = re.compile(rb"(\xef\xbb\xbf)?\s*[<{\[]")
# Every dialect of "expired": R2 403 (400 until 2026-07), S3 403, Google 400, CDNs 401, 403 or 410.
_REFUSED_LINK = frozenset({400, 401, 403, 410})
_TRY_AGAIN = frozenset({408, 425, 429})
_ANOTHER_OBJECT = frozenset({412, 416})  # once it is known what should be there


@dataclass(frozen=True)
class SourceObject:
    """What the source says of a file before the first byte is stored."""

    size: int  # bytes
    etag: str  # as sent, quotes and all; empty if there is none
    content_type: str  # media type without parameters; empty if none is said
    ranged: bool  # can be read in ranges, each provably of the same object: it has a strong ETag


def described(label: str, response: httpx.Response, stop: int) -> tuple[SourceObject, int]:
    """Return what the answer to a request for the bytes up to `stop` says of the file, and where that answer ends.

    Raises:
        SourceGone, LinkRefused, SourceUnavailable, SourceLied: it is not the beginning of a file.
    """
    etag = _etag(response)
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and _says_empty(response):
        # Only a store that knows the object answers so; a 200 without a byte could be anybody's hiccup.
        return SourceObject(0, etag, "", ranged=False), 0
    _refuse(label, response, None)
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        end, size = _checked_range(label, response, 0, stop)
        ranged = _STRONG_ETAG.fullmatch(etag) is not None
        return SourceObject(size, etag, _content_type(response), ranged=ranged), end
    length = _length(response)
    if not length:
        raise SourceLied(label, "status 206, or 200 with a length", _whole(length))
    return SourceObject(length, etag, _content_type(response), ranged=False), length


def end_of(label: str, response: httpx.Response, start: int, stop: int, known: SourceObject) -> int:
    """Return where the answer to a request for the bytes from `start` up to `stop` of a known object ends.

    Raises:
        SourceChanged: it is of another object; and as for `described`.
    """
    _refuse(label, response, known)
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        end, size = _checked_range(label, response, start, stop)
    else:
        end = size = _checked_whole(label, response, start, stop, known)
    if (size, _etag(response)) != (known.size, known.etag):
        raise SourceChanged(label, _named(known.size, known.etag), _named(size, _etag(response)))
    return end


def exactly(label: str, pieces: Iterable[bytes], promised: int, wanted: int) -> Generator[bytes]:
    """Yield the first `wanted` of the `promised` bytes of a body.

    The last piece comes only when the body has ended where it promised to: what goes on was never the range.

    Raises:
        SourceLied: there are more; SourceUnavailable: there are fewer.
    """
    expected, last = promised, b""
    for piece in pieces:
        promised -= len(piece)
        if promised < 0:
            raise SourceLied(label, f"a body of {expected} bytes", "more")
        part = piece[:wanted]
        wanted -= len(part)
        if wanted:
            yield part
        elif promised:
            yield part
            return
        else:
            last = part
    if wanted:
        raise SourceUnavailable(label, f"the answer ended {wanted} bytes early")
    yield last


def announced(response: httpx.Response) -> bool:
    """Tell whether the length of the body was announced, and so compared with the range before its first byte."""
    return _length(response) is not None and "Transfer-Encoding" not in response.headers


def counted(label: str, pieces: Iterable[bytes], promised: int) -> Generator[bytes]:
    """Yield the pieces of a body whose length nobody announced, once its end has shown that they are so many bytes.

    What a broken connection has brought is kept, as ever. But nothing of a body that comes to a proper end elsewhere:
    it never was the range, but something in its place, such as what somebody in between has compressed.

    Raises:
        SourceLied: there are more; SourceUnavailable: there are fewer, or the connection breaks.
    """
    kept, missing, broken = deque[bytes](), promised, None
    try:
        for piece in pieces:
            kept.append(piece)
            missing -= len(piece)
            if missing < 0:
                raise SourceLied(label, f"a body of {promised} bytes", "more")
    except SourceUnavailable as cut:
        broken = cut
    if missing and broken is None:
        raise SourceUnavailable(label, f"the answer ended {missing} bytes early")
    while kept:
        yield kept.popleft()
    if broken is not None:
        raise broken


def media(label: str, pieces: Iterable[bytes]) -> Generator[bytes]:
    """Yield the pieces of a body from the file's first byte on, unless it begins as a document does.

    An error page may well come with status 200, its own length, and whatever type the file was stored with.

    Raises:
        SourceLied: it is a document.
    """
    first = True
    for piece in pieces:
        if first and _DOCUMENT.match(piece):
            raise SourceLied(label, "media", "a document (HTML, XML or JSON)")
        first = False
        yield piece


def proved(label: str, pieces: Iterable[bytes], count: int, sha256: bytes) -> Generator[bytes]:
    """Yield what comes after the first `count` bytes, once these have proved to be the ones with that SHA-256.

    Raises:
        SourceChanged: they are others.
    """
    skipped = hashlib.sha256()
    for piece in pieces:
        head = piece[:count]
        count -= len(head)
        skipped.update(head)
        if head and count == 0 and skipped.digest() != sha256:
            raise SourceChanged(label, "the same beginning again", "another one")
        if len(piece) > len(head):
            yield piece[len(head) :]


def beginning(response: httpx.Response) -> bytes:
    """Read the beginning of a body that is not the file: never without end, and whatever breaks."""
    body = b""
    try:
        for piece in islice(response.iter_raw(), BEGINNING_PIECES):
            body += piece
    except httpx.RequestError:
        pass
    return body


def _refuse(label: str, response: httpx.Response, known: SourceObject | None) -> None:
    """Raise what the answer means, unless it may hold bytes of the file."""
    if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        raise _failure(label, response, known)
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise SourceLied(label, "the bytes as they are", f"Content-Encoding {coding[:40]}")
    if _NOT_MEDIA.match(_media_type(response)):
        raise SourceLied(label, "media", f"Content-Type {_media_type(response)[:80]}")


def _failure(label: str, response: httpx.Response, known: SourceObject | None) -> ArchiverError:
    status = response.status_code
    if status == httpx.codes.NOT_FOUND:
        return SourceGone(label)
    code = re.search(rb"<Code>(\w{1,60})</Code>", beginning(response))
    reason = f"HTTP {status} {code[1].decode() if code else ''}".rstrip()
    if status in _REFUSED_LINK:
        return LinkRefused(label, reason)
    if status in _TRY_AGAIN or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return SourceUnavailable(label, reason, retry_after_seconds(response.headers.get("Retry-After")))
    if status in _ANOTHER_OBJECT and known is not None:
        return SourceChanged(label, _named(known.size, known.etag), f"another ({reason})")
    return SourceLied(label, "status 206 or 200", reason)


def _checked_range(label: str, response: httpx.Response, start: int, stop: int) -> tuple[int, int]:
    """Return where the answer's range ends and the file's size, if the range is the one asked for."""
    said = response.headers.get("Content-Range", "").strip()
    found = _CONTENT_RANGE.fullmatch(said)
    first, last, size = (int(number) for number in found.groups()) if found else (-1, -1, 0)
    end = min(stop, size)
    if (first, last + 1) != (start, end):
        raise SourceLied(label, f"bytes {start}-{stop - 1}", f"Content-Range {said[:80] or 'missing'}")
    if _length(response) not in (None, end - start):
        raise SourceLied(label, f"{end - start} bytes", f"Content-Length {_length(response)}")
    return end, size


def _checked_whole(label: str, response: httpx.Response, start: int, stop: int, known: SourceObject) -> int:
    """Return the length of a 200, which is right only if the whole file was wanted."""
    length = _length(response)
    if not length or (start, stop) != (0, known.size):
        raise SourceLied(label, f"bytes {start}-{stop - 1}", _whole(length))
    return length


def _etag(response: httpx.Response) -> str:
    return str(response.headers.get("ETag", "")).strip()


def _length(response: httpx.Response) -> int | None:
    said = response.headers.get("Content-Length", "").strip()
    return int(said) if re.fullmatch(r"[0-9]{1,18}", said) else None


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def _content_type(response: httpx.Response) -> str:
    """Return the media type if it is one: it goes to the store as it is."""
    said = _media_type(response)
    return said if _MEDIA_TYPE.fullmatch(said) else ""


def _says_empty(response: httpx.Response) -> bool:
    return _EMPTY.fullmatch(response.headers.get("Content-Range", "").strip()) is not None


def _named(size: int, etag: str) -> str:
    return f"{size} bytes, ETag {etag[:80] or 'missing'}"


def _whole(length: int | None) -> str:
    return f"status 200 with {'no length' if length is None else f'{length} bytes'}"
