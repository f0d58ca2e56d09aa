"""Media files that were written live: a header, then fragments, and no index over them.

A player has to walk over all of them to learn how long such a file is. Here, what lies between the header and one
fragment is declared empty instead, in the format's own words, and a player finds itself there at once.
Sources: ISO/IEC 14496-12 (boxes, `moof`, `free`), RFC 8794 and RFC 9559 (EBML, Cluster, Void).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.media.ranged_file import RangedFile

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 256 * 1024
SEARCHED = 8 * 1024 * 1024
"""How far a fragment is looked for, in bytes."""
BOXES_BEFORE = 32
"""How many boxes may come before the first fragment."""
_EBML = b"\x1a\x45\xdf\xa3"
_CLUSTER = b"\x1f\x43\xb6\x75"
_OVERLAP = 16


@dataclass(frozen=True)
class FragmentLayout:
    """Where the fragments of a file are.

    Args:
        mp4: whether they are boxes (`moof`, `mdat`), or else clusters.
        first: the first one's offset.
        second: offset of what follows the first one; in WebM the file's size, as clusters may not know theirs.
    """

    mp4: bool
    first: int
    second: int


def read_layout(file: RangedFile) -> FragmentLayout | None:
    """Return how a file is laid out, or None if it is not made of fragments."""
    if file.read_at(0, 4) == _EBML:
        first = next(_occurrences(file, _CLUSTER, range(0, min(file.size, SEARCHED), WINDOW)), None)
        return None if first is None else FragmentLayout(mp4=False, first=first, second=file.size)
    first = None
    for offset, kind, stop in _boxes(file):
        if kind == b"moof" and first is None:
            first = offset
        elif kind == b"mdat":
            return None if first is None else FragmentLayout(mp4=True, first=first, second=stop)
    return None


def _boxes(file: RangedFile, offset: int = 0) -> Iterator[tuple[int, bytes, int]]:
    """Walk over some boxes of an MP4, as (offset, kind, offset of the next)."""
    for _ in range(BOXES_BEFORE):
        header = file.read_at(offset, 16)
        if len(header) < 16:
            return
        size, kind = struct.unpack_from(">I4s", header)
        size = struct.unpack_from(">Q", header, 8)[0] if size == 1 else size or file.size - offset
        if size < 8:
            return
        yield offset, kind, offset + size
        offset += size


def find_last_fragments(file: RangedFile, layout: FragmentLayout) -> Iterator[int]:
    """Yield the offsets of the fragments near the end, the last one first."""
    return _fragments(file, layout, range(file.size - WINDOW, file.size - SEARCHED, -WINDOW), last=True)


def find_fragment_after(file: RangedFile, layout: FragmentLayout, offset: int) -> int | None:
    """Return the offset of the first fragment from an offset on, or None if there is none soon."""
    return next(_fragments(file, layout, range(offset, min(file.size, offset + SEARCHED), WINDOW)), None)


def _fragments(file: RangedFile, layout: FragmentLayout, windows: range, *, last: bool = False) -> Iterator[int]:
    if not layout.mp4:
        yield from _occurrences(file, _CLUSTER, windows, last=last)
        return
    for at in _occurrences(file, b"moof", windows, last=last):
        size = int.from_bytes(file.read_at(at - 4, 4), "big")
        if file.read_at(at - 4 + size + 4, 4) == b"mdat":  # else these four letters are in somebody's picture
            yield at - 4


def _occurrences(file: RangedFile, signature: bytes, windows: range, *, last: bool = False) -> Iterator[int]:
    """Yield where a signature is, in windows that overlap."""
    for start in windows:
        begin = max(start, 0)
        data = file.read_at(begin, max(start + WINDOW - begin, 0) + _OVERLAP)
        places = [begin + at for at in _places(data, signature)]
        yield from reversed(places) if last else places


def _places(data: bytes, signature: bytes) -> Iterator[int]:
    at = data.find(signature)
    while at >= 0:
        yield at
        at = data.find(signature, at + 1)


def end_after_first(file: RangedFile, layout: FragmentLayout) -> RangedFile:
    """Return the file as if it ended with its first fragment."""
    return RangedFile(file.read_at, min(layout.second, file.size))


def skip_to_fragment(file: RangedFile, layout: FragmentLayout, fragment: int) -> RangedFile:
    """Return the file as if nothing were between its header and a fragment; all offsets stay as they are.

    An MP4 ends with that fragment as well, as a player would go on and look for others.
    """
    gap = fragment - layout.first
    size = min(_stop(file, fragment), file.size) if layout.mp4 else file.size
    if gap < _OVERLAP:
        return RangedFile(file.read_at, size)
    empty = struct.pack(">I4sQ", 1, b"free", gap) if layout.mp4 else b"\xec\x01" + (gap - 9).to_bytes(7, "big")

    def read_at(offset: int, length: int) -> bytes:
        data = file.read_at(offset, length)
        begin, stop = max(offset, layout.first), min(offset + len(data), layout.first + len(empty))
        if begin >= stop:
            return data
        patch = empty[begin - layout.first : stop - layout.first]
        return data[: begin - offset] + patch + data[stop - offset :]

    return RangedFile(read_at, size)


def _stop(file: RangedFile, fragment: int) -> int:
    """Return where the media data of an MP4's fragment end."""
    return next((stop for _, kind, stop in _boxes(file, fragment) if kind == b"mdat"), file.size)
