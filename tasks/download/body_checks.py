"""Checks on the bytes of an answer while they come in: how many they are, and whether they can be a file's.

A check holds back what it does not believe yet, and raises instead of handing it on.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING

from tasks.errors import SourceChanged, SourceLied, SourceUnavailable
from tasks.evidence import TEXT_HEAD, container_of, is_text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

WORTH_JUDGING = 8
"""Bytes that may already show that a file is no text: two letters of the widest encoding."""


def require_length(label: str, pieces: Iterable[bytes], promised: int, wanted: int) -> Generator[bytes]:
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


def hold_until_complete(label: str, pieces: Iterable[bytes], promised: int) -> Generator[bytes]:
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


def require_media(label: str, pieces: Iterable[bytes], promised: int, doubt: str = "") -> Generator[bytes]:
    """Yield the pieces of a body from the file's first byte on, unless it begins as a text or a document.

    An error page may well come with status 200, its own length, and whatever type the file was stored with. So nothing
    is handed on while all that came could be text; what is none, as media show by their first bytes, waits for nothing.

    Args:
        label: of the file.
        pieces: of the body.
        promised: bytes that the whole body has.
        doubt: what its headers say against its being the file; a container that is known says more.

    Raises:
        SourceLied: it is a text, or doubtful and no container that is known.
    """
    pieces, enough, head = iter(pieces), min(TEXT_HEAD, promised), b""
    try:
        for piece in pieces:
            head += piece
            if len(head) >= enough or (not doubt and len(head) >= WORTH_JUDGING and not is_text(head[:TEXT_HEAD])):
                break
    except SourceUnavailable:
        if head and not doubt and not is_text(head):
            yield head  # a connection that broke takes nothing back
        raise
    if (looks_like_text := is_text(head[:TEXT_HEAD])) or (doubt and not container_of(head)):
        if len(head) < enough:
            return  # it ended early, as `require_length` finds: nothing of it counts
        raise SourceLied(label, "media", "a text or a document (HTML, XML, JSON …)" if looks_like_text else doubt)
    if head:
        yield head
    yield from pieces


def skip_known_start(label: str, pieces: Iterable[bytes], count: int, sha256: bytes) -> Generator[bytes]:
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
