"""Checks on the bytes of an answer while they arrive: their number, their beginning, and whether they can be media.

Each check is a generator that holds back the bytes that it cannot trust yet, and raises instead of yielding them.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING

from tasks.errors import SourceChanged, SourceLied, SourceUnavailable
from tasks.evidence import TEXT_HEAD, identify_container, is_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

WORTH_JUDGING = 8
"""Bytes that may already show that a file is no text: two letters of the widest encoding."""


def require_length(label: str, pieces: Iterable[bytes], promised: int, wanted: int) -> Generator[bytes]:
    """Yield the first `wanted` of the `promised` bytes of a body.

    The last piece is yielded only after the body has ended at the promised length: a longer body is not the range.

    Raises:
        SourceLied: the body is longer; SourceUnavailable: it is shorter.
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


def hold_until_complete(label: str, pieces: Iterable[bytes], promised: int) -> Generator[bytes]:
    """Hold the pieces of a body without an announced length until its end proves the length, then yield them.

    The bytes before a broken connection are yielded, as for any body. Of a body that ends properly at another length
    nothing is yielded: such a body is not the range but something in its place, as from a proxy that compresses.

    Raises:
        SourceLied: the body is longer; SourceUnavailable: it is shorter, or the connection breaks.
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


def require_media(label: str, pieces: Iterable[bytes], promised: int, doubt: str = "") -> Generator[bytes]:
    """Yield the pieces of a body that starts at the file's first byte, unless the body begins as a text or a document.

    An error page may have status 200, a correct length, and the media type of the file. So nothing is yielded while
    all bytes so far could be text. Media show by their first bytes that they are no text, and are not held back.

    Args:
        label: of the file.
        pieces: of the body.
        promised: length of the whole body in bytes.
        doubt: what the headers say against the body being the file; a known container outweighs that.

    Raises:
        SourceLied: the body is a text, or there is a doubt and no known container.
    """
    pieces, enough, head = iter(pieces), min(TEXT_HEAD, promised), b""
    try:
        for piece in pieces:
            head += piece
            if len(head) >= enough or (not doubt and len(head) >= WORTH_JUDGING and not is_text(head[:TEXT_HEAD])):
                break
    except SourceUnavailable:
        if head and not doubt and not is_text(head):
            yield head  # bytes before a broken connection count
        raise
    if (looks_like_text := is_text(head[:TEXT_HEAD])) or (doubt and not identify_container(head)):
        if len(head) < enough:
            return  # the body ended early, which `require_length` raises: no byte of it counts
        raise SourceLied(label, "media", "a text or a document (HTML, XML, JSON …)" if looks_like_text else doubt)
    if head:
        yield head
    yield from pieces


def skip_known_start(label: str, pieces: Iterable[bytes], count: int, sha256: bytes) -> Generator[bytes]:
    """Skip the first `count` bytes of a body, compare their SHA-256, and yield the bytes after them.

    Raises:
        SourceChanged: the SHA-256 differs.
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
