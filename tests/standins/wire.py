"""HTTP answers as the stand-ins put them on the wire, whole or broken."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from tests.standins.content import BytesContent, Slice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Cut:
    """Where an answer stops short: after so many bytes of body, or before its first byte (None), and how."""

    after_bytes: int | None
    how: Literal["fin", "rst", "stall"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer: what the headers say, what the body is, and how it ends."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: tuple[Slice, ...] = ()
    framing: Literal["length", "chunked", "close"] = "length"
    announced: int | None = None
    """The Content-Length, where it is not the length of the body."""
    cut: Cut | None = None
    bytes_per_second: float | None = None
    media: bool = False
    """Whether the body is a file's bytes, and not an error document."""
    before: bytes = b""
    """What goes over the wire ahead of the answer."""

    @classmethod
    def of(cls, status: int, data: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Make an answer of bytes."""
        return cls(status, dict(headers or {}), (Slice(BytesContent(data), 0, len(data)),))

    @property
    def size(self) -> int:
        """The length of the body."""
        return sum(part.size for part in self.body)

    @property
    def status_sent(self) -> int | None:
        """The status that the client gets to see, if any."""
        return None if self.cut is not None and self.cut.after_bytes is None else self.status

    def having(self, headers: Mapping[str, str | None]) -> Reply:
        """Return the answer with these headers set, or taken away where None."""
        merged = {**self.headers, **headers}
        return replace(self, headers={name: value for name, value in merged.items() if value is not None})

    def bodiless(self) -> Reply:
        """Return the answer as a HEAD request gets it."""
        return replace(self, body=(), announced=self.size)

    def head(self) -> bytes:
        """Return the status line and the headers."""
        lines = {"Date": formatdate(usegmt=True), **self.headers}
        if self.framing == "length":
            lines["Content-Length"] = str(self.size if self.announced is None else self.announced)
        elif self.framing == "chunked":
            lines["Transfer-Encoding"] = "chunked"
        else:
            lines["Connection"] = "close"
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"HTTP/1.1 {self.status} {_phrase(self.status)}\r\n{text}\r\n".encode("latin-1")

    def pieces(self, limit: int) -> Iterator[bytes]:
        """Yield the body in pieces of at most `limit` bytes."""
        for part in self.body:
            yield from part.pieces(limit)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unassigned"
