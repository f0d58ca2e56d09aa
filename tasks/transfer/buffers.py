"""Buffers for the bytes in flight: bounded over all files, used again and again, and hashed in order."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Lock
from typing import TYPE_CHECKING

from tasks.errors import TransferStopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class BufferPool:
    """Buffers for all files of a recording: bounds the bytes in memory at once, and uses each buffer again and again.

    New buffers for every part would cost the kernel a page fault for each 4 KiB, and leave the heap in pieces.

    Args:
        limit: in bytes. A part that alone is larger gets a buffer when no other is in use.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.spare: list[bytearray] = []
        self.changed = Condition()

    def buffer(self, size: int) -> bytearray:
        """Return a buffer of `size` bytes with old content in it; the caller holds `changed`."""
        self.used += size
        for at, body in enumerate(self.spare):
            if len(body) == size:
                return self.spare.pop(at)
        while self.spare and self.used + sum(map(len, self.spare)) > self.limit:
            self.spare.pop()
        return bytearray(size)


class BufferLease:
    """The buffers that one file holds; released one by one, and all of them at the end, whatever happened.

    Args:
        pool: shared with other files.
    """

    def __init__(self, pool: BufferPool) -> None:
        self._pool = pool
        self._held = 0
        self._closed = False

    def acquire(self, size: int) -> bytearray | None:
        """Wait until `size` more bytes fit into the pool, and return a buffer; None once the lease is closed.

        No deadlock as long as every file acquires and releases its buffers in part order.
        """
        pool = self._pool
        with pool.changed:
            pool.changed.wait_for(lambda: self._closed or not pool.used or pool.used + size <= pool.limit)
            if self._closed:
                return None
            self._held += size
            return pool.buffer(size)

    def require_open(self) -> None:
        """Check that the lease is not closed: then work on its buffers would be in vain.

        Raises:
            TransferStopped: it is closed.
        """
        if self._closed:
            raise TransferStopped

    def release(self, body: bytearray) -> None:
        """Give a buffer back to the pool; the next one to acquire may write over it."""
        with self._pool.changed:
            self._held -= len(body)
            self._pool.used -= len(body)
            self._pool.spare.append(body)
            self._pool.changed.notify_all()

    def close(self) -> None:
        """Give out no more buffers: a part that failed releases none, so that waiting for one could last for ever."""
        with self._pool.changed:
            self._closed = True
            self._pool.changed.notify_all()

    def __enter__(self) -> Self:
        """Begin without a buffer."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Free the room that is still held, but reuse none of its buffers: a thread may still read one."""
        with self._pool.changed:
            self._pool.used -= self._held
            self._held = 0
            self._pool.changed.notify_all()


class OrderedSha256:
    """SHA-256 of parts that arrive in any order, computed in a thread of its own while they are on their way.

    Those that came early are kept until it is their turn.

    Args:
        release: called with each part, from that thread, once it is no longer kept.
        look: called with each part, in order, before that.
    """

    def __init__(
        self, release: Callable[[bytearray], None], look: Callable[[bytearray], None] = lambda _: None
    ) -> None:
        self._release = release
        self._look = look
        self._sha256 = hashlib.sha256()
        self._next = 1
        self._early: dict[int, bytearray] = {}
        self._thread = ThreadPoolExecutor(1)

    def add(self, number: int, body: bytearray) -> None:
        """Take a part, numbered from 1; nobody may write to it before it is released."""
        self._thread.submit(self._take, number, body)

    def _take(self, number: int, body: bytearray) -> None:
        self._early[number] = body
        while (due := self._early.pop(self._next, None)) is not None:
            self._sha256.update(due)
            self._look(due)
            self._next += 1
            self._release(due)

    def hexdigest(self, count: int) -> str:
        """Return the digest of the first `count` parts, which are all; to be asked for after the block."""
        if self._next != count + 1:
            message = f"{self._next - 1} of {count} parts were hashed"
            raise RuntimeError(message)
        return self._sha256.hexdigest()

    def __enter__(self) -> Self:
        """Begin with no part."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Finish what has arrived."""
        self._thread.shutdown()


class LastUse:
    """Releases a buffer after the last of its uses, whichever use that is.

    Args:
        release: gives a buffer back.
        uses: how many uses each buffer has: it is stored, and maybe hashed.
    """

    def __init__(self, release: Callable[[bytearray], None], uses: int) -> None:
        self._release = release
        self._uses = uses
        self._ended: Counter[int] = Counter()
        self._lock = Lock()

    def end_one(self, body: bytearray) -> None:
        """Note that one use of a buffer has ended."""
        with self._lock:
            self._ended[id(body)] += 1
            last = self._ended[id(body)] == self._uses
            if last:
                del self._ended[id(body)]
        if last:
            self._release(body)
