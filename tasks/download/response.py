"""Responses: what the headers of an HTTP answer claim about a file, and whether the claims agree; no request, no retry.

An answer that cannot be the file becomes the error that says what would help: a fresh URL, another attempt, the whole
file instead of ranges, or a person. One wrong answer cannot be detected here: other bytes of the right number under
the right headers. `tasks.evidence.media_evidence` lists what protects against those.

Sources: RFC 9110, sections 8.4 (codings), 8.8 (validators), 14 (ranges), 15.3.7 (206), 15.5.17 (416).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import httpx

from tasks.errors import LinkRefused, RangesUnproved, SourceChanged, SourceLied, SourceMissing, SourceUnavailable
from tasks.retry import retry_after_seconds

if TYPE_CHECKING:
    from tasks.errors import ArchiverError

BEGINNING_PIECES = 8
"""Pieces that are read of a body that is not the file: an error document arrives in one or two."""

# Bounded, as int() raises its own error for very long numbers.
_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_TOTAL = re.compile(r"/\s*(\d{1,18})$", re.ASCII)
_EMPTY = re.compile(r"bytes \*/0+", re.IGNORECASE)
# Only a strong ETag may be sent in If-Match; an empty one would prove nothing.
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]+"')
_NOT_MEDIA = re.compile(r"text/|application/(json|xml|xhtml|problem)|.*\+(xml|json)$", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)  # RFC 6838, section 4.2
# Some stores keep "aws-chunked" of an upload although they have removed its framing.
_HARMLESS = frozenset({"", "identity", "aws-chunked"})
NOTHING_MD5 = hashlib.md5(usedforsecurity=False).hexdigest()
"""The ETag that stores give an object of 0 bytes."""
# Statuses for an expired URL: R2 403 (400 until 2026-07), S3 403, Google 400, CDNs 401, 403 or 410.
_REFUSED_LINK = frozenset({400, 401, 403, 410})
_TRY_AGAIN = frozenset({408, 425, 429})
_ANOTHER_OBJECT = frozenset({412, 416})  # once it is known what should be there


@dataclass(frozen=True)
class SourceObject:
    """A file as its source describes it before the first byte is stored."""

    size: int  # bytes
    etag: str  # as sent, quotes and all; empty if there is none
    content_type: str  # media type without parameters; empty if none is said
    ranged: bool  # can be read in ranges, each provably of the same object: it has a strong ETag
    doubt: str = ""  # what the headers say against the file, although its bytes are a known container


def describe_object(
    label: str, response: httpx.Response, stop: int | None, announced_size: int | None = None
) -> tuple[SourceObject, int]:
    """Return the file that the answer to a first request describes, and the offset where that answer ends.

    Args:
        label: of the file.
        response: to a request for the bytes up to `stop`, or for the whole file if `stop` is None.
        stop: offset after the last requested byte.
        announced_size: in bytes, if the API gives the size; it replaces a missing Content-Length of the whole file.

    Raises:
        RangesUnproved: the whole file has to be requested, as the answer to a range proves too little.
        SourceMissing, LinkRefused, SourceUnavailable, SourceLied: the answer is not the beginning of a file.
    """
    etag = _read_etag(response)
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and stop is not None:
        # A store that has the object gives its size with this status; any other server is asked without a range.
        if not _says_empty(response):
            raise RangesUnproved(label, "a range, or bytes */0", "HTTP 416")
        return SourceObject(0, etag, "", ranged=False), 0
    _require_success(label, response, None)
    if _is_partial(label, response):
        end, size = _parse_range(label, response, 0, stop)
        if stop is not None and (size is None or (end > stop and not is_length_announced(response))):
            raise RangesUnproved(label, f"bytes 0-{stop - 1} of a known size", _read_content_range(response)[:80])
        if size is None or (stop is None and end < size):
            raise SourceLied(label, "the whole file", f"Content-Range {_read_content_range(response)[:80]}")
        ranged = stop is not None and _STRONG_ETAG.fullmatch(etag) is not None
        return SourceObject(size, etag, read_content_type(response), ranged, find_doubt(response)), end
    length = read_length(response)
    length = announced_size if length is None else length
    if not length and not (length == 0 and _strip_etag(etag) == NOTHING_MD5):
        raise SourceLied(label, "status 206, or 200 with a length", _format_whole(length))
    size = length or 0
    return SourceObject(size, etag, read_content_type(response), ranged=False, doubt=find_doubt(response)), size


def find_end(label: str, response: httpx.Response, start: int, stop: int, known: SourceObject) -> int:
    """Return the offset where the answer to a request for the bytes from `start` to `stop` of a known object ends.

    This may be before or after `stop`: a server may send fewer bytes than requested, or more.

    Raises:
        SourceChanged: the answer is of another object; RangesUnproved: it may be of the same object; and as for
            `describe_object`.
    """
    _require_success(label, response, known)
    if partial := _is_partial(label, response):
        end, announced = _parse_range(label, response, start, stop)
        size = known.size if announced is None else announced
    else:
        end = size = _parse_whole(label, response, start, known)
    _require_same(label, response, size, known)
    if (start and not partial) or (known.ranged and end > stop and not is_length_announced(response)):
        raise RangesUnproved(label, f"bytes {start}-{stop - 1}", "the whole file, or more of it without a length")
    coding = _find_coding_doubt(response)
    if start and coding and coding != known.doubt:
        raise SourceLied(label, "the bytes as they are", coding)
    return end


def find_doubt(response: httpx.Response) -> str:
    """Return the header that contradicts that the body is the stored media; empty if none does."""
    media_type = _read_media_type(response)
    return _find_coding_doubt(response) or (f"Content-Type {media_type[:80]}" if _NOT_MEDIA.match(media_type) else "")


def is_length_announced(response: httpx.Response) -> bool:
    """Tell whether the headers give the length of the body, which was then compared with the range."""
    return read_length(response) is not None and "Transfer-Encoding" not in response.headers


def to_document_error(label: str, response: httpx.Response) -> ArchiverError:
    """Return the error for an answer that is not a whole document; a range of a document is never asked for."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        return SourceLied(label, "status 200", "HTTP 206")
    return _to_error(label, response, None)


def read_md5(response: httpx.Response) -> str:
    """Return the MD5 in hexadecimal that an ETag is, as stores have it of objects sent in one piece; else ""."""
    etag = _strip_etag(_read_etag(response)).lower()
    return etag if re.fullmatch(r"[0-9a-f]{32}", etag) else ""


def read_beginning(response: httpx.Response) -> bytes:
    """Read a few pieces of a body that is not the file; if the connection breaks, return what has arrived."""
    body = b""
    try:
        for piece in islice(response.iter_raw(), BEGINNING_PIECES):
            body += piece
    except httpx.RequestError:
        pass
    return body


def _require_success(label: str, response: httpx.Response, known: SourceObject | None) -> None:
    """Raise the error for a status that holds no bytes of the file."""
    if response.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        raise _to_error(label, response, known)


def _find_coding_doubt(response: httpx.Response) -> str:
    codings = {coding.strip().lower() for coding in response.headers.get("Content-Encoding", "").split(",")}
    return f"Content-Encoding {','.join(sorted(codings))[:40]}" if codings - _HARMLESS else ""


def _to_error(label: str, response: httpx.Response, known: SourceObject | None) -> ArchiverError:
    status = response.status_code
    if status == httpx.codes.NOT_FOUND:
        return SourceMissing(label)
    code = re.search(rb"<Code>(\w{1,60})</Code>", read_beginning(response))
    reason = f"HTTP {status} {code[1].decode() if code else ''}".rstrip()
    if status in _REFUSED_LINK:
        return LinkRefused(label, reason)
    if status in _TRY_AGAIN or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return SourceUnavailable(label, reason, retry_after_seconds(response.headers.get("Retry-After")))
    if status in _ANOTHER_OBJECT and known is not None:
        return SourceChanged(label, _format_object(known.size, known.etag), f"another ({reason})")
    return SourceLied(label, "status 206 or 200", reason)


def _is_partial(label: str, response: httpx.Response) -> bool:
    """Tell whether the body is a part of the file: by status 206, or by a Content-Range under another status.

    Raises:
        SourceLied: the Content-Range of a whole file gives another size than its Content-Length.
    """
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        return True
    content_range = _read_content_range(response)
    matched = _CONTENT_RANGE.fullmatch(content_range)
    if matched and (matched[1], str(int(matched[2]) + 1)) != ("0", matched[3]):
        return True
    total, length = _TOTAL.search(content_range), read_length(response)
    if total and length is not None and int(total[1]) != length:
        raise SourceLied(label, f"{length} bytes", f"Content-Range {content_range[:80]}")
    return False


def _parse_range(label: str, response: httpx.Response, start: int, stop: int | None) -> tuple[int, int | None]:
    """Return the end of an answer's range, which has to begin at `start`, and the file's size, or None if not given."""
    content_range = _read_content_range(response)
    matched = _CONTENT_RANGE.fullmatch(content_range)
    first, end = (int(matched[1]), int(matched[2]) + 1) if matched else (-1, 0)
    size = int(matched[3]) if matched and matched[3] != "*" else None
    if first != start or end <= start or (size is not None and end > size):
        asked = f"bytes {start}-{'' if stop is None else stop - 1}"
        raise SourceLied(label, asked, f"Content-Range {content_range[:80]}")
    if read_length(response) not in (None, end - start):
        raise SourceLied(label, f"{end - start} bytes", f"Content-Length {read_length(response)}")
    return end, size


def _parse_whole(label: str, response: httpx.Response, start: int, known: SourceObject) -> int:
    """Return the length of an answer with status 200; after a request for a range, it has to be the whole file."""
    length = read_length(response)
    length = known.size if length is None else length
    if not length or (length != known.size and (known.ranged or start or find_doubt(response))):
        raise SourceLied(label, f"{known.size} bytes, or those from {start} on", _format_whole(length))
    return length


def _require_same(label: str, response: httpx.Response, size: int, known: SourceObject) -> None:
    etag = _read_etag(response)
    same = size == known.size and _strip_etag(etag) == _strip_etag(known.etag)
    if same and not (known.ranged and etag.startswith("W/")):
        return
    expected, actual = _format_object(known.size, known.etag), _format_object(size, etag)
    # A second server of the same file may write the ETag in another way, or leave it out.
    if known.ranged and size == known.size and (same or not etag):
        raise RangesUnproved(label, expected, actual)
    raise SourceChanged(label, expected, actual)


def _read_content_range(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Range", "")).strip()


def _strip_etag(etag: str) -> str:
    """Return an ETag without quotes and without the prefix of weak ETags."""
    return etag.removeprefix("W/").strip('"')


def _read_etag(response: httpx.Response) -> str:
    return str(response.headers.get("ETag", "")).strip()


def read_length(response: httpx.Response) -> int | None:
    """Return the Content-Length in bytes; None if it is missing or invalid."""
    length = response.headers.get("Content-Length", "").strip()
    return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None


def _read_media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def read_content_type(response: httpx.Response) -> str:
    """Return the media type if it is valid, as it is sent to the store; else an empty string."""
    media_type = _read_media_type(response)
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else ""


def _says_empty(response: httpx.Response) -> bool:
    return _EMPTY.fullmatch(_read_content_range(response)) is not None


def _format_object(size: int, etag: str) -> str:
    return f"{size} bytes, ETag {etag[:80] or 'missing'}"


def _format_whole(length: int | None) -> str:
    return f"status 200 with {'no length' if length is None else f'{length} bytes'}"
