"""Reads a little of a large file: blocks on demand, few of them kept, and never more bytes than allowed."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 128 * 1024
KEPT_BLOCKS = 32
"""Blocks in memory: 4 MiB."""


class BudgetSpent(OSError):
    """More would be read than is allowed."""


class BlockReader:
    """The bytes of an object, fetched in blocks as they are asked for.

    Args:
        fetch: returns the bytes from one offset to another, all of them.
        size: of the object, in bytes.
        budget: how many bytes may be fetched in all.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int, budget: int) -> None:
        self._fetch = fetch
        self.size = size
        self._budget = budget
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self.fetched = 0
        """Bytes so far."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset` on: `length` of them, fewer at the object's end, none beyond it.

        Raises:
            BudgetSpent: that would be more than allowed.
        """
        stop = min(offset + length, self.size)
        numbers = range(offset // BLOCK, -(-stop // BLOCK)) if 0 <= offset < stop else range(0)
        joined = b"".join(self._block(number) for number in numbers)
        begin = offset - numbers.start * BLOCK
        return joined[begin : begin + max(stop - offset, 0)]

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        start, stop = number * BLOCK, min((number + 1) * BLOCK, self.size)
        if self.fetched + stop - start > self._budget:
            raise BudgetSpent
        self._blocks[number] = block = self._fetch(start, stop)
        self.fetched += len(block)
        if len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return block


class RangedFile(io.RawIOBase):
    """A seekable file over ranged reads, for libraries that want one.

    Args:
        read_at: returns the bytes at an offset, as many as asked for but at the end.
        size: of the file, in bytes.
    """

    def __init__(self, read_at: Callable[[int, int], bytes], size: int) -> None:
        super().__init__()
        self.read_at = read_at
        self.size = size
        self._position = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be sought in."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; fewer than asked for, or none, at the end."""
        left = max(self.size - self._position, 0)
        data = self.read_at(self._position, left if size is None or size < 0 else min(size, left))
        self._position += len(data)
        return data
