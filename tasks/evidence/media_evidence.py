"""What makes us believe that a file is media and whole: this table, and the look at a file's bytes that it needs.

| what is seen                                                      | what becomes of the file                     |
|-------------------------------------------------------------------|----------------------------------------------|
| its first KiBs are text (HTML, JSON, XML, CSV, a message …)       | refused: an error document in its place      |
| a type or coding that media have not, and a known container       | archived: the header is wrong                |
| the same, and no known container                                  | refused                                      |
| status, Content-Range and Content-Length contradict each other    | refused: nobody can know what was sent       |
| the API's size and the source's total differ; or no total at all  | refused                                      |
| a video of 0 bytes                                                | refused: there is nothing to watch           |
| audio or a track of 0 bytes, by `bytes */0` or the MD5 of nothing | archived, and told: maybe nobody spoke       |
| STRONG total, and a known container that ends with the file       | archived                                     |
| STRONG total, and the container ends elsewhere                    | archived, and told: nobody has more of it    |
| WEAK total, and a known container that ends with the file         | archived                                     |
| WEAK total, and the container ends elsewhere                      | read again; archived, and told, once two     |
|                                                                   | readings agree; else an error worth retrying |
| any total, and no known container                                 | archived, and told                           |

STRONG: all bytes came in ranges under one strong ETag, each with the total in Content-Range; or the API says how many
they are. WEAK: the Content-Length of a whole answer; whoever truncates the file in between states the shorter length.
The known containers are those of `containers`. A truncated file is archived, as what was uploaded to RealtimeKit
cannot be mended from here, and refusing it would lose it.

"Told" is a finding: a warning in the log, a line `Archive-Finding` in bag-info.txt, and from there in every result. A
finding follows from the bytes alone, so that two runs of the same recording write the same bag.

Cost, in seconds of the processor for a GiB: MP4 and MPEG audio 0.01, as boxes are passed over; WebM recorded live 0.2
for video and 1.2 for sound; 18 for sound in clusters of unknown size, of which a track of an hour has 0.03 GiB.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

from tasks.evidence.containers import HEAD, Walk, identify_container, new_walk

TEXT_HEAD = 4096
"""Bytes that decide whether a file is text."""

# What no text has, and the first hundred bytes of every container.
_CONTROLS = bytes(code for code in range(32) if code not in b"\b\t\n\v\f\r\x1b")
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<[!?a-zA-Z]")
_BOMS = {codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be",
         codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}  # fmt: skip


class Evidence:
    """What the bytes of one file show, fed in order.

    Args:
        path: within the bag.
        size: in bytes.
    """

    def __init__(self, path: str, size: int) -> None:
        self._path = path
        self._size = size
        self.restart()

    def restart(self) -> None:
        """Forget what was fed: the file is read from its first byte on."""
        self._fed = 0
        self._head = b""
        self._walk: Walk | None = None
        self._container: str | None = None  # None: not known yet

    def feed(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        self._fed += len(piece)
        if self._container is None:
            self._head += bytes(memoryview(piece)[:HEAD])
            if len(self._head) < min(HEAD, self._size):
                return
            self._container = identify_container(self._head[:HEAD])
            self._walk = new_walk(self._container) if self._container else None
            # What the head already held of earlier pieces comes first.
            before = len(self._head) - min(len(piece), HEAD)
            if self._walk is not None:
                self._walk.feed(self._head[:before])
        if self._walk is not None:
            self._walk.feed(piece)

    @property
    def is_cut_off(self) -> bool:
        """Whether the file is a known container that does not end with the file."""
        return self._walk is not None and bool(self._walk.flaw())

    def findings(self) -> tuple[str, ...]:
        """Return what a person has to know of the file, in sentences."""
        if not self._size:
            return (f"{self._path} is empty: 0 bytes.",)
        if self._fed != self._size:
            return (f"{self._path} was not looked at: nothing shows that it is whole.",)
        if self._walk is None:
            begins = self._head[:8].hex(" ")
            return (f"{self._path} begins as no container that is known ({begins}): nothing shows that it is whole.",)
        if flaw := self._walk.flaw():
            return (f"{self._path} may not be whole: its {self._container} {flaw}.",)
        return ()


def is_text(head: bytes) -> bool:
    """Tell whether bytes are text, in whatever encoding: an error message, a document, a table.

    Args:
        head: the first `TEXT_HEAD` bytes, or all there are.
    """
    if _MARKUP.match(head):
        return True
    for bom, encoding in _BOMS.items():
        if head.startswith(bom) and _decodes(head[len(bom) :], encoding):
            return True
    return any(_is_ascii_of(head, width, column) for width in (1, 2, 4) for column in range(width))


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)  # a letter that is cut off at the end is no error
    except UnicodeDecodeError:
        return False
    return not any(unicodedata.category(c) in {"Cn", "Co", "Cs"} or c in _CONTROLS.decode() for c in text)


def _is_ascii_of(head: bytes, width: int, column: int) -> bool:
    """Tell whether bytes are text whose letters are so wide, and have their only byte other than 0 in one column."""
    letters = head[column::width]
    rest = any(any(head[other::width]) for other in range(width) if other != column)
    return bool(letters) and not rest and len(letters) == len(letters.translate(None, _CONTROLS))
