"""HTTP/1.1 messages as they are on the wire: read whole, and sent on byte for byte unless somebody changes them.

Source: RFC 9112, sections 6 and 7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

PIECE = 64 * 1024
NO_BODY = frozenset({204, 304})


class Gone(ConnectionError):
    """The other side went away in the middle of a message."""


@dataclass(frozen=True)
class Message:
    """A request or an answer: its first line, its headers, and its body in whatever framing it has."""

    start: bytes
    headers: tuple[tuple[str, str], ...]
    framed: bytes = b""

    def header(self, name: str) -> str | None:
        """Return a header's value, None if there is none."""
        return next((value for its, value in self.headers if its.lower() == name), None)

    @property
    def head(self) -> bytes:
        """What comes before the body, as it is sent."""
        lines = [self.start, *(f"{name}: {value}".encode("latin-1") for name, value in self.headers)]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    @property
    def status(self) -> int:
        """An answer's."""
        return int(self.start.split(maxsplit=2)[1])

    @property
    def chunked(self) -> bool:
        """Whether its body comes in chunks."""
        return (self.header("transfer-encoding") or "").lower() == "chunked"

    @property
    def length(self) -> int | None:
        """What it says of its body's length, in bytes."""
        length = self.header("content-length")
        return None if length is None else int(length)

    @property
    def closes(self) -> bool:
        """Whether the connection is over after it."""
        return (self.header("connection") or "").lower() == "close"

    @property
    def content(self) -> bytes:
        """Its body without chunks."""
        return _unchunked(self.framed) if self.chunked else self.framed

    def without(self, *names: str) -> Message:
        """Return it without some headers."""
        return replace(self, headers=tuple(item for item in self.headers if item[0].lower() not in names))

    def with_header(self, name: str, value: str) -> Message:
        """Return it with another value of a header."""
        other = self.without(name.lower())
        return replace(other, headers=(*other.headers, (name, value)))

    def with_content(self, content: bytes) -> Message:
        """Return it with another body of a length that is said."""
        other = self.without("transfer-encoding").with_header("Content-Length", str(len(content)))
        return replace(other, framed=content)


def answer(status: int, headers: Mapping[str, str], content: bytes) -> Message:
    """Make an answer of a server."""
    start = f"HTTP/1.1 {status} As Told".encode()
    return Message(start, tuple(headers.items())).with_content(content)


def read_head(reader: BinaryIO) -> Message | None:
    """Read a first line and headers; None if the connection ends before them."""
    start = reader.readline()
    while start == b"\r\n":
        start = reader.readline()
    if not start:
        return None
    headers = []
    while (line := reader.readline()) != b"\r\n":
        if not line.endswith(b"\n"):
            raise Gone
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name, value.strip()))
    return Message(start.rstrip(), tuple(headers))


def read_answer(reader: BinaryIO, method: str) -> Message:
    """Read a whole answer to a request of a method; what is said before it (1xx) is not told."""
    while True:
        head = read_head(reader)
        if head is None:
            raise Gone
        if head.status >= 200:
            break
    if method == "HEAD" or head.status in NO_BODY:
        return head
    if head.chunked or head.length is not None:
        return replace(head, framed=read_framed(reader, head))
    body = reader.read()
    return replace(head.with_header("Connection", "close"), framed=body)


def read_framed(reader: BinaryIO, head: Message, limit: int | None = None) -> bytes:
    """Read a body in its framing, or so many bytes of it if that is less.

    Raises:
        Gone: it ends before it should.
    """
    if head.chunked:
        return _read_chunks(reader)
    length = head.length or 0
    return _exactly(reader, length if limit is None else min(limit, length))


def _exactly(reader: BinaryIO, length: int) -> bytes:
    found = reader.read(length)
    if len(found) < length:
        raise Gone
    return found


def _read_chunks(reader: BinaryIO) -> bytes:
    framed = bytearray()
    while True:
        line = reader.readline()
        framed += line
        size = _chunk_size(line)
        if size:
            framed += _exactly(reader, size + 2)
            continue
        while (line := reader.readline()) != b"\r\n":
            if not line:
                raise Gone
            framed += line
        return bytes(framed + line)


def _chunk_size(line: bytes) -> int:
    if not line.endswith(b"\n"):
        raise Gone
    return int(line.partition(b";")[0], 16)


def _unchunked(framed: bytes) -> bytes:
    content, at = bytearray(), 0
    while True:
        end = framed.index(b"\n", at) + 1
        size = _chunk_size(framed[at:end])
        if not size:
            return bytes(content)
        content += framed[end : end + size]
        at = end + size + 2
