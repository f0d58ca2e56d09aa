"""Part ranges: the division of a file into the parts of a multipart upload, within S3's limits.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html; R2 requires equal parts but for the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_PARTS = 10_000


@dataclass(frozen=True)
class PartRange:
    """The bytes from `start` up to, not including, `stop`, that make one part."""

    number: int  # from 1, as S3 counts
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.stop - self.start


def grow_part_size(size: int, part_size: int) -> int:
    """Return `part_size`, or a larger one in whole MiB if a file of `size` bytes would need more than 10,000 parts."""
    needed = -(-size // MAX_PARTS)
    return part_size if needed <= part_size else -(-needed // MIB) * MIB


def part_ranges(size: int, part_size: int) -> list[PartRange]:
    """Return the ranges of a file's parts: all of equal size but the last; an empty file is one empty part."""
    return [
        PartRange(number, start, min(start + part_size, size))
        for number, start in enumerate(range(0, max(size, 1), part_size), 1)
    ]


def fill_buffers(chunks: Iterable[bytes], bodies: Iterable[bytearray]) -> Iterator[bytearray]:
    """Fill the bodies with the bytes of `chunks` in order, and yield each body when it is full.

    Raises:
        ValueError: the chunks have fewer bytes than the bodies.
    """
    source = iter(chunks)
    rest = memoryview(b"")
    for body in bodies:
        size, filled, room = len(body), 0, memoryview(body)  # a bytearray itself would first copy what is put into it
        while filled < size:
            if not rest:
                chunk = next(source, None)
                if chunk is None:
                    message = f"{size - filled} bytes are missing"
                    raise ValueError(message)
                rest = memoryview(chunk)
            taken = rest[: size - filled]
            room[filled : filled + len(taken)] = taken
            filled += len(taken)
            rest = rest[len(taken) :]
        yield body
