"""What the headers of an HTTP answer claim about a file, and whether that can be so: no request, no pause, no retry.

What cannot be the file is told apart by what would help: a fresh URL, another attempt, the whole file instead of
ranges, a person. One lie cannot be told from the truth here: other bytes of the right number under the right headers.
Against it stands what `tasks.evidence.media_evidence` lists.

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
"""So much of a body that is not the file is looked at: an error document comes in one or two pieces."""

# Numbers without end would be refused by int(), and not in our words.
_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)
_TOTAL = re.compile(r"/\s*(\d{1,18})$", re.ASCII)
_EMPTY = re.compile(r"bytes \*/0+", re.IGNORECASE)
# What may be sent back in If-Match; an empty tag would prove nothing.
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]+"')
_NOT_MEDIA = re.compile(r"text/|application/(json|xml|xhtml|problem)|.*\+(xml|json)$", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)  # RFC 6838, section 4.2
# Stores keep this one of an upload whose framing they have taken off.
_HARMLESS = frozenset({"", "identity", "aws-chunked"})
NOTHING_MD5 = hashlib.md5(usedforsecurity=False).hexdigest()
"""What stores have for an ETag of an object without a byte."""
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
    doubt: str = ""  # what the headers said against the bytes, which proved to be a container that is known


def described(
    label: str, response: httpx.Response, stop: int | None, announced_size: int | None = None
) -> tuple[SourceObject, int]:
    """Return what the answer to a first request says of the file, and where that answer ends.

    Args:
        label: of the file.
        response: to a request for the bytes up to `stop`, or for the whole file if that is None.
        stop: see there.
        announced_size: what the API says, if it does: it stands in for the length of a whole file that has none.

    Raises:
        RangesUnproved: the whole file has to be asked for, as a range tells too little.
        SourceMissing, LinkRefused, SourceUnavailable, SourceLied: it is not the beginning of a file.
    """
    etag = _etag(response)
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and stop is not None:
        # Only a store that knows the object says so with its size; others are asked without a range.
        if not _says_empty(response):
            raise RangesUnproved(label, "a range, or bytes */0", "HTTP 416")
        return SourceObject(0, etag, "", ranged=False), 0
    _refuse(label, response, None)
    if _is_partial(label, response):
        end, size = _range_in(label, response, 0, stop)
        if stop is not None and (size is None or (end > stop and not announced(response))):
            raise RangesUnproved(label, f"bytes 0-{stop - 1} of a known size", _content_range(response)[:80])
        if size is None or (stop is None and end < size):
            raise SourceLied(label, "the whole file", f"Content-Range {_content_range(response)[:80]}")
        ranged = stop is not None and _STRONG_ETAG.fullmatch(etag) is not None
        return SourceObject(size, etag, _content_type(response), ranged, doubt_of(response)), end
    length = _length(response)
    length = announced_size if length is None else length
    if not length and not (length == 0 and _opaque(etag) == NOTHING_MD5):
        raise SourceLied(label, "status 206, or 200 with a length", _whole(length))
    return SourceObject(length or 0, etag, _content_type(response), ranged=False, doubt=doubt_of(response)), length or 0


def end_of(label: str, response: httpx.Response, start: int, stop: int, known: SourceObject) -> int:
    """Return where the answer to a request for the bytes from `start` up to `stop` of a known object ends.

    It may end before `stop`, or after: a server is free to send less than asked for, or more.

    Raises:
        SourceChanged: it is of another object; RangesUnproved: it may be of the same; and as for `described`.
    """
    _refuse(label, response, known)
    if partial := _is_partial(label, response):
        end, said = _range_in(label, response, start, stop)
        size = known.size if said is None else said
    else:
        end = size = _whole_of(label, response, start, known)
    _require_same(label, response, size, known)
    if (start and not partial) or (known.ranged and end > stop and not announced(response)):
        raise RangesUnproved(label, f"bytes {start}-{stop - 1}", "the whole file, or more of it without a length")
    coding = _coding_doubt(response)
    if start and coding and coding != known.doubt:
        raise SourceLied(label, "the bytes as they are", coding)
    return end


def doubt_of(response: httpx.Response) -> str:
    """Return what the headers say against the body being media as they are stored; empty if nothing."""
    said = _media_type(response)
    return _coding_doubt(response) or (f"Content-Type {said[:80]}" if _NOT_MEDIA.match(said) else "")


def announced(response: httpx.Response) -> bool:
    """Tell whether the length of the body was announced, and so compared with the range before its first byte."""
    return _length(response) is not None and "Transfer-Encoding" not in response.headers


def failure_of(label: str, response: httpx.Response) -> ArchiverError:
    """Return what an answer means that is not the whole file; a part of it was never asked for."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        return SourceLied(label, "status 200", "HTTP 206")
    return _failure(label, response, None)


def length_of(response: httpx.Response) -> int | None:
    """Return the Content-Length in bytes; None if none is said that can be one."""
    return _length(response)


def content_type_of(response: httpx.Response) -> str:
    """Return the media type without parameters; empty if none is said that can be one."""
    return _content_type(response)


def md5_in(response: httpx.Response) -> str:
    """Return the MD5 in hexadecimal that an ETag is, as stores have it of objects that came in one piece, else ""."""
    opaque = _opaque(_etag(response)).lower()
    return opaque if re.fullmatch(r"[0-9a-f]{32}", opaque) else ""


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


def _coding_doubt(response: httpx.Response) -> str:
    codings = {coding.strip().lower() for coding in response.headers.get("Content-Encoding", "").split(",")}
    return f"Content-Encoding {','.join(sorted(codings))[:40]}" if codings - _HARMLESS else ""


def _failure(label: str, response: httpx.Response, known: SourceObject | None) -> ArchiverError:
    status = response.status_code
    if status == httpx.codes.NOT_FOUND:
        return SourceMissing(label)
    code = re.search(rb"<Code>(\w{1,60})</Code>", beginning(response))
    reason = f"HTTP {status} {code[1].decode() if code else ''}".rstrip()
    if status in _REFUSED_LINK:
        return LinkRefused(label, reason)
    if status in _TRY_AGAIN or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return SourceUnavailable(label, reason, retry_after_seconds(response.headers.get("Retry-After")))
    if status in _ANOTHER_OBJECT and known is not None:
        return SourceChanged(label, _named(known.size, known.etag), f"another ({reason})")
    return SourceLied(label, "status 206 or 200", reason)


def _is_partial(label: str, response: httpx.Response) -> bool:
    """Tell whether the body is a part of the file: by its status, or by a Content-Range that has the wrong status.

    Raises:
        SourceLied: a whole file whose Content-Range names another size than its length.
    """
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        return True
    said = _content_range(response)
    found = _CONTENT_RANGE.fullmatch(said)
    if found and (found[1], str(int(found[2]) + 1)) != ("0", found[3]):
        return True
    total, length = _TOTAL.search(said), _length(response)
    if total and length is not None and int(total[1]) != length:
        raise SourceLied(label, f"{length} bytes", f"Content-Range {said[:80]}")
    return False


def _range_in(label: str, response: httpx.Response, start: int, stop: int | None) -> tuple[int, int | None]:
    """Return where the answer's range ends and the file's size, if that is told; it begins where it was asked for."""
    said = _content_range(response)
    found = _CONTENT_RANGE.fullmatch(said)
    first, end = (int(found[1]), int(found[2]) + 1) if found else (-1, 0)
    size = int(found[3]) if found and found[3] != "*" else None
    if first != start or end <= start or (size is not None and end > size):
        raise SourceLied(label, f"bytes {start}-{'' if stop is None else stop - 1}", f"Content-Range {said[:80]}")
    if _length(response) not in (None, end - start):
        raise SourceLied(label, f"{end - start} bytes", f"Content-Length {_length(response)}")
    return end, size


def _whole_of(label: str, response: httpx.Response, start: int, known: SourceObject) -> int:
    """Return the length of a 200; where a range was asked for, only the whole file is no lie."""
    length = _length(response)
    length = known.size if length is None else length
    if not length or (length != known.size and (known.ranged or start or doubt_of(response))):
        raise SourceLied(label, f"{known.size} bytes, or those from {start} on", _whole(length))
    return length


def _require_same(label: str, response: httpx.Response, size: int, known: SourceObject) -> None:
    etag = _etag(response)
    same = size == known.size and _opaque(etag) == _opaque(known.etag)
    if same and not (known.ranged and etag.startswith("W/")):
        return
    its = _named(size, etag)
    # As from a second server that spells the ETag in another way, or leaves it out.
    if known.ranged and size == known.size and (same or not etag):
        raise RangesUnproved(label, _named(known.size, known.etag), its)
    raise SourceChanged(label, _named(known.size, known.etag), its)


def _content_range(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Range", "")).strip()


def _opaque(etag: str) -> str:
    """Return an ETag without its quotes and its mark of weakness."""
    return etag.removeprefix("W/").strip('"')


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
    return _EMPTY.fullmatch(_content_range(response)) is not None


def _named(size: int, etag: str) -> str:
    return f"{size} bytes, ETag {etag[:80] or 'missing'}"


def _whole(length: int | None) -> str:
    return f"status 200 with {'no length' if length is None else f'{length} bytes'}"
