"""Media containers: which one a file begins as, and whether its structure reaches exactly to the file's last byte.

A walk is fed the bytes in order and keeps next to none of them: it looks at the headers of boxes, elements, pages and
members, and passes over what they hold. Of MPEG audio, which has no such structure, only the last frames are looked at.

Sources: ISO/IEC 14496-12, section 4.2 (MP4) · RFC 8794 and RFC 9559 (WebM) · ISO/IEC 11172-3 and 14496-3 (MPEG audio,
ADTS) · https://id3.org (tags) · RFC 3533 (Ogg) · Microsoft's RIFF and EBU Tech 3306 (WAV) · POSIX.1-2017, pax (tar).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    # A parser asks for the next n bytes with n, and has the next n bytes passed over with -n.
    Steps: TypeAlias = Generator[int, bytes, None]

HEAD = 1024
"""Bytes that are enough to tell which container a file begins as."""
TAIL = 32 * 1024
"""Bytes at the end of MPEG audio that are looked at: a frame has up to 8,191."""
_TO_THE_END = -(2**63)

_MP4_FIRST = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip"})
_EBML, _SEGMENT, _CLUSTER = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
_RIFF = frozenset({b"RIFF", b"RF64", b"BW64"})
_BLOCK = 512  # of a tar file


class Walk(Protocol):
    """The structure of one file, as far as it has been fed."""

    def feed(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""

    def flaw(self) -> str:
        """Return what is wrong with the end, once all bytes were fed; empty if the structure ends with the file."""


def identify_container(head: bytes) -> str:
    """Return the name of the container that a file begins as; empty if none is known.

    Args:
        head: the first `HEAD` bytes, or all there are.
    """
    if head[4:8] in _MP4_FIRST:
        return "MP4"
    if head.startswith(_EBML):
        return "WebM"
    if head.startswith(b"OggS"):
        return "Ogg"
    if head[:4] in _RIFF:
        return "RIFF"
    if _is_tar_header(head[:_BLOCK]):
        return "tar"
    first = _frame_size(head, 0)
    if head.startswith(b"ID3") or (first and (len(head) < first + 4 or _frame_size(head, first))):
        return "MPEG audio"
    return ""


def new_walk(container: str) -> Walk:
    """Return a walk through a file of a container that `identify_container` returned."""
    if container == "MPEG audio":
        return _LastFrames()
    parsers = {"MP4": _mp4, "WebM": _webm, "Ogg": _ogg, "RIFF": _riff, "tar": _tar}
    return _Structure(parsers[container])


@dataclass
class _Place:
    """Where a parser is: told by the parser before each step, read when the file ends."""

    flaw: str = ""  # what it would mean if the file ended before the next byte
    open_ended: bool = False  # what is being passed over may be of any length


class _Malformed(Exception):
    pass


class _Structure:
    """A walk from header to header.

    Args:
        parse: the container's parser.
    """

    def __init__(self, parse: Callable[[_Place], Steps]) -> None:
        self._place = _Place()
        self._steps = parse(self._place)
        self._want = next(self._steps)
        self._seen = b""  # of what is wanted
        self._malformed = ""

    def feed(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        view, at = memoryview(piece), 0
        while at < len(view) and not self._malformed:
            if self._want < 0:
                step = min(-self._want, len(view) - at)
                self._want, at = self._want + step, at + step
            else:
                wanted = bytes(view[at : at + self._want - len(self._seen)])
                self._seen, at = self._seen + wanted, at + len(wanted)
            if self._want == len(self._seen):
                self._step()

    def _step(self) -> None:
        seen, self._seen = self._seen, b""
        try:
            self._want = self._steps.send(seen)
        except _Malformed as found:
            self._malformed = str(found)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not cost a recording
            self._malformed = f"what could not be followed ({type(error).__name__})"

    def flaw(self) -> str:
        """Return what is wrong with the end."""
        if self._malformed:
            return f"holds {self._malformed}"
        if self._want < 0 and not self._place.open_ended:
            return f"ends {-self._want:,} bytes early"
        return "ends within a header" if self._seen else self._place.flaw


def _mp4(place: _Place) -> Steps:
    indexed = False
    while True:
        place.flaw = "" if indexed else "ends before its index (moov)"
        header = yield 8
        size, kind = int.from_bytes(header[:4]), header[4:]
        indexed = indexed or kind == b"moov"
        if size == 0:  # to the end of the file; of zeros it is padding
            place.open_ended, place.flaw = True, "" if indexed else "has no index (moov)"
            yield _TO_THE_END
        place.flaw = "ends within a header"
        left = int.from_bytes((yield 8)) - 16 if size == 1 else size - 8
        if left < 0:
            raise _Malformed(f"a box of {size} bytes")
        if left:
            yield -left


def _webm(place: _Place) -> Steps:
    place.flaw = "ends before its first segment"
    while True:
        first = yield 1
        flaw, place.flaw = place.flaw, "ends within a header"
        name = first + (yield from _rest(first, 4))
        length = yield 1
        size_bytes = length + (yield from _rest(length, 8))
        width = len(size_bytes)
        unknown = 1 << 7 * width
        size = int.from_bytes(size_bytes) - unknown  # the marker bit
        place.flaw = "" if name == _SEGMENT else flaw
        if size == unknown - 1:
            if name not in (_SEGMENT, _CLUSTER):
                raise _Malformed(f"an element {name.hex()} of unknown size")
            continue  # recorded live: what comes next is inside
        if size:
            yield -size


def _rest(first: bytes, longest: int) -> Generator[int, bytes, bytes]:
    """Read the rest of a number whose first byte says how long it is."""
    more = 8 - first[0].bit_length()
    if more >= longest:
        raise _Malformed("bytes that are no element")
    return (yield more) if more else b""


def _ogg(place: _Place) -> Steps:
    place.flaw = "ends before its last page"
    while True:
        header = yield 27
        if header[:4] != b"OggS":
            raise _Malformed("bytes that are no page")
        if size := sum((yield header[26]) if header[26] else b""):
            yield -size
        place.flaw = "" if header[5] & 4 else "ends before its last page"


def _riff(place: _Place) -> Steps:
    header = yield 12
    size = int.from_bytes(header[4:8], "little")
    place.open_ended = header[:4] != b"RIFF" or size in (0, 0xFFFFFFFF)  # recorded live, or larger than 4 GiB
    if not place.open_ended and size > 4:
        yield -(size - 4)
    place.open_ended = True  # others may follow, as in a long AVI
    yield _TO_THE_END


def _tar(place: _Place) -> Steps:
    place.flaw = "ends before the mark of its end"
    while True:
        header = yield _BLOCK
        if not any(header):
            place.flaw, place.open_ended = "", True
            yield _TO_THE_END
        if not _is_tar_header(header):
            raise _Malformed("a block that is no header")
        field = header[124:136]
        size = int.from_bytes(field[1:]) if field[0] & 0x80 else int(field.strip(b"\0 ") or b"0", 8)
        if size:
            yield -(-(-size // _BLOCK) * _BLOCK)


def _is_tar_header(block: bytes) -> bool:
    """Tell whether a block is a member's header, by its checksum; whatever else it holds is anybody's."""
    if len(block) < _BLOCK or not any(block):
        return False
    try:
        stated = int(block[148:156].strip(b"\0 ") or b"0", 8)
        if not block[124] & 0x80:
            int(block[124:136].strip(b"\0 ") or b"0", 8)
    except ValueError:
        return False
    return stated == sum(block[:148]) + 8 * ord(" ") + sum(block[156:])


class _LastFrames:
    """The end of MPEG audio (MP3, or AAC in ADTS): frames that follow each other up to the last byte."""

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        last = bytes(memoryview(piece)[-TAIL:])
        self._tail = (self._tail + last)[-TAIL:] if len(last) < TAIL else last

    def flaw(self) -> str:
        """Return what is wrong with the end."""
        tail = self._tail
        if tail[-128:-125] == b"TAG":  # ID3v1
            tail = tail[:-128]
        return "" if _ends_with_frames(tail) else "ends within a frame"


def _ends_with_frames(tail: bytes) -> bool:
    dead_ends: set[int] = set()  # where frames begin that do not lead to the end
    start = tail.find(b"\xff")
    while 0 <= start < TAIL // 2:
        at, seen = start, list[int]()
        while at not in dead_ends and (size := _frame_size(tail, at)):
            seen.append(at)
            at += size
        if at == len(tail) and len(seen) >= (3 if start else 1):
            return True
        dead_ends.update(seen)
        start = tail.find(b"\xff", start + 1)
    return False


_BITRATES = {  # kbit/s by version 1 or not, and layer
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def _frame_size(data: bytes, at: int) -> int:
    """Return the bytes of the frame whose header is there; 0 if none is."""
    if len(data) < at + 7 or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3)
    if layer == 4:
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        return size if version >= 2 and size >= 7 else 0
    bitrate, rate = data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return 0
    bits, hertz = _BITRATES[version == 3, layer][bitrate - 1] * 1000, _RATES[version][rate]
    padding = data[at + 2] >> 1 & 1
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    return (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding
