"""What a stand-in file server serves: bytes of any size, and the stored object around them."""

from __future__ import annotations

import hashlib
import random
from array import array
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 1024 * 1024
PAGE = 4096


class Sentinel(Enum):
    """Values that mean something other than themselves."""

    AUTO = "auto"
    DROP = "drop"


AUTO: Final = Sentinel.AUTO
"""Let the stand-in work the value out."""
DROP: Final = Sentinel.DROP
"""Leave the field out of the answer."""


class Content(Protocol):
    """A sequence of bytes that can be read by range."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    @property
    def fingerprint(self) -> str:
        """Thirty-two hex digits that equal contents share."""

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to, not including, `stop`."""


@dataclass(frozen=True, slots=True)
class BytesContent:
    """Content that is held in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    @property
    def fingerprint(self) -> str:
        """The MD5, as S3 makes it the ETag of a simple upload."""
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to, not including, `stop`."""
        return self.data[start:stop]


@lru_cache(maxsize=32)
def _random_block(seed: int) -> bytes:
    return random.Random(seed).randbytes(BLOCK)


@dataclass(frozen=True, slots=True)
class SyntheticContent:
    """Deterministic bytes of any size that are made when read: one random MiB over and over, each page numbered.

    The number in the first eight bytes of every 4 KiB page makes any two pages differ, so that
    bytes from a wrong offset never pass for the right ones.
    """

    size: int
    seed: int = 0

    @property
    def fingerprint(self) -> str:
        """A digest of size and seed, which determine the content."""
        return hashlib.md5(f"{self.size}/{self.seed}".encode(), usedforsecurity=False).hexdigest()

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to, not including, `stop`."""
        start, stop = max(start, 0), min(stop, self.size)
        if start >= stop:
            return b""
        first, after = start // PAGE, -(-stop // PAGE)
        pages = self._pages(first, after)
        return bytes(memoryview(pages)[start - first * PAGE : stop - first * PAGE])

    def _pages(self, first: int, after: int) -> bytearray:
        offset, length = first * PAGE % BLOCK, (after - first) * PAGE
        block = _random_block(self.seed)
        window = block if offset + length <= BLOCK else block * -(-(offset + length) // BLOCK)
        pages = bytearray(memoryview(window)[offset : offset + length])
        numbers = array("Q", range(first, after)).tobytes()
        for byte in range(8):
            pages[byte::PAGE] = numbers[byte::8]
        return pages

    def sha256(self) -> str:
        """Return the SHA-256 in hex, computed block by block."""
        return sha256_of(self)


def sha256_of(content: Content) -> str:
    """Return the SHA-256 in hex of any content without holding more than a MiB of it."""
    digest = hashlib.sha256()
    for piece in Slice(content, 0, content.size).pieces(BLOCK):
        digest.update(piece)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Slice:
    """A range of some content."""

    content: Content
    start: int
    stop: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.stop - self.start

    def pieces(self, limit: int) -> Iterator[bytes]:
        """Yield the bytes in pieces of at most `limit`."""
        for start in range(self.start, self.stop, limit):
            yield self.content.read(start, min(start + limit, self.stop))


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of a file as the object store keeps it."""

    content: Content
    content_type: str
    etag: str | None
    ranges: bool
    modified: float

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.content.size


class MediaSource:
    """A media file behind the stand-in's presigned URLs.

    `etag` is the whole header value (`'"abc"'`, `'W/"abc"'`), AUTO for a strong one that follows the
    content, or None for none. Without `ranges` every answer is a 200 with the whole file.
    """

    def __init__(
        self,
        content: bytes | Content,
        content_type: str = "video/mp4",
        etag: str | Literal[Sentinel.AUTO] | None = AUTO,
        *,
        ranges: bool = True,
    ) -> None:
        self._content_type = content_type
        self._ranges = ranges
        self._versions = 0
        self.object = self._store(content, etag)

    def replace(self, content: bytes | Content, etag: str | Literal[Sentinel.AUTO] | None = AUTO) -> None:
        """Put another object in this one's place; answers under way go on with the old one."""
        self._versions += 1
        self.object = self._store(content, etag)

    @property
    def content(self) -> Content:
        """The content as it is now."""
        return self.object.content

    @property
    def content_type(self) -> str:
        """The media type."""
        return self._content_type

    @property
    def size(self) -> int:
        """The number of bytes as it is now."""
        return self.object.size

    def sha256(self) -> str:
        """Return the SHA-256 in hex of the content as it is now."""
        return sha256_of(self.object.content)

    def _store(self, content: bytes | Content, etag: str | Literal[Sentinel.AUTO] | None) -> StoredObject:
        held = BytesContent(content) if isinstance(content, bytes) else content
        tag = f'"{held.fingerprint}"' if etag is AUTO else etag
        modified = 1_790_000_000.0 + self._versions
        return StoredObject(held, self._content_type, tag, self._ranges, modified)
