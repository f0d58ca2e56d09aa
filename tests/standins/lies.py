"""Faults that lie about a file's bytes: wrong ranges, wrong lengths, another object, another encoding."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tests.standins.content import BytesContent, Slice
from tests.standins.wire import Cut, Reply

if TYPE_CHECKING:
    from tests.standins.faults import Exchange


def content_range(start: int, stop: int, total: int | None) -> str:
    """Return the value of a Content-Range header for half-open bounds; a total of None is unknown (`*`)."""
    return f"bytes {start}-{stop - 1}/{'*' if total is None else total}"


def _asked(reply: Reply) -> Slice:
    return reply.body[0]


def _whole(reply: Reply) -> Reply:
    content = _asked(reply).content
    body = (Slice(content, 0, content.size),)
    return replace(reply.having({"Content-Range": None}), status=200, body=body)


def _shortened(part: Slice, size: int) -> Slice:
    return replace(part, stop=part.start + max(0, min(size, part.size)))


@dataclass(frozen=True, slots=True)
class WrongRange:
    """Answers 206 with bytes `shift` further on, and says so in both header and bytes, or in only one of them.

    At an end of the file the shifted range is cut off there; shifted bytes under an honest header wrap round.
    """

    shift: int
    lie: Literal["both", "header", "body"] = "both"

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        if not exchange.honest.media or not exchange.honest.size:
            return exchange.honest
        asked = _asked(exchange.honest)
        moved = self._moved(asked)
        said = asked if self.lie == "body" else moved
        bodies = {"both": (moved,), "header": (asked,), "body": self._wrapped(asked)}
        headers = {"Content-Range": content_range(said.start, said.stop, asked.content.size)}
        return replace(exchange.honest.having(headers), status=206, body=bodies[self.lie])

    def _moved(self, asked: Slice) -> Slice:
        size = asked.content.size
        start = min(max(asked.start + self.shift, 0), size - 1)
        return replace(asked, start=start, stop=min(max(asked.stop + self.shift, start + 1), size))

    def _wrapped(self, asked: Slice) -> tuple[Slice, Slice]:
        size = asked.content.size
        start = (asked.start + self.shift) % size
        first = replace(asked, start=start, stop=min(start + asked.size, size))
        return first, replace(asked, start=0, stop=asked.size - first.size)


@dataclass(frozen=True, slots=True)
class WrongTotal:
    """Answers 206 with another total in Content-Range, or an unknown one (None)."""

    total: int | None

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        if not exchange.honest.media:
            return exchange.honest
        asked = _asked(exchange.honest)
        headers = {"Content-Range": content_range(asked.start, asked.stop, self.total)}
        return replace(exchange.honest.having(headers), status=206)


@dataclass(frozen=True, slots=True)
class RestOfFile:
    """Answers 206 with all bytes from the first that was asked for, and says so: more than was asked for."""

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        if not exchange.honest.media:
            return exchange.honest
        asked = _asked(exchange.honest)
        rest = replace(asked, stop=asked.content.size)
        headers = {"Content-Range": content_range(rest.start, rest.stop, asked.content.size)}
        return replace(exchange.honest.having(headers), status=206, body=(rest,))


@dataclass(frozen=True, slots=True)
class IgnoreRange:
    """Answers 200 with the whole file and its length."""

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return _whole(exchange.honest) if exchange.honest.media else exchange.honest


@dataclass(frozen=True, slots=True)
class NoLength:
    """Answers 200 with the whole file, ended by the end of the connection."""

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return replace(_whole(exchange.honest), framing="close") if exchange.honest.media else exchange.honest


@dataclass(frozen=True, slots=True)
class Chunked:
    """Sends the right bytes without a length, as chunks."""

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return replace(exchange.honest, framing="chunked")


@dataclass(frozen=True, slots=True)
class ChunkedEndsEarly:
    """Sends chunks that end properly, but after so many bytes."""

    after_bytes: int

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        body = (_shortened(_asked(exchange.honest), self.after_bytes),)
        return replace(exchange.honest, framing="chunked", body=body)


@dataclass(frozen=True, slots=True)
class ChunkedCut:
    """Sends chunks, and closes the connection in the middle of one after so many bytes."""

    after_bytes: int
    how: Literal["fin", "rst"] = "fin"

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return replace(exchange.honest, framing="chunked", cut=Cut(self.after_bytes, self.how))


@dataclass(frozen=True, slots=True)
class ShortBody:
    """Leaves out the last bytes and announces the shorter length, in Content-Range too if that is to be honest."""

    missing: int = 1
    honest_range: bool = False

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        if not exchange.honest.media:
            return exchange.honest
        asked = _asked(exchange.honest)
        short = _shortened(asked, asked.size - self.missing)
        reply = replace(exchange.honest, body=(short,))
        if not self.honest_range:
            return reply
        headers = {"Content-Range": content_range(short.start, short.stop, short.content.size)}
        return replace(reply.having(headers), status=206)


@dataclass(frozen=True, slots=True)
class ShortRange:
    """Sends only the first so many bytes of a range, and changes no header but the length."""

    size: int

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        if not exchange.honest.media:
            return exchange.honest
        return replace(exchange.honest, body=(_shortened(_asked(exchange.honest), self.size),))


@dataclass(frozen=True, slots=True)
class LongBody:
    """Sends so many bytes too many, and announces them in Content-Length or not."""

    extra: int = 1
    announced: bool = True

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        honest = exchange.honest
        if not honest.media:
            return honest
        padding = Slice(BytesContent(bytes(self.extra)), 0, self.extra)
        length = None if self.announced else honest.size
        return replace(honest, body=(*honest.body, padding), announced=length)


@dataclass(frozen=True, slots=True)
class Gzip:
    """Compresses the body although nobody asked for that, and says so or not."""

    said: bool = True

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        if not exchange.honest.media:
            return exchange.honest
        asked = _asked(exchange.honest)
        packed = gzip.compress(asked.content.read(asked.start, asked.stop), compresslevel=1, mtime=0)
        body = (Slice(BytesContent(packed), 0, len(packed)),)
        return replace(exchange.honest.having({"Content-Encoding": "gzip" if self.said else None}), body=body)


@dataclass(frozen=True, slots=True)
class OtherETag:
    """Names another ETag than the object's, or none."""

    etag: str | None = '"another-object"'

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return exchange.honest.having({"ETag": self.etag}) if exchange.honest.media else exchange.honest


@dataclass(frozen=True, slots=True)
class OtherType:
    """Names another Content-Type than the object's, or none."""

    content_type: str | None = "text/html"

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return exchange.honest.having({"Content-Type": self.content_type})
