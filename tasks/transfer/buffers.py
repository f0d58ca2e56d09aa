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


class Window:
    """Bounds the bytes that are in memory at once, over all who share it, and uses their buffers again and again.

    New buffers for every part would cost the kernel a page fault for each 4 KiB, and leave the heap in pieces.

    Args:
        limit: in bytes; what is larger than that alone gets in when nothing else is.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.spare: list[bytearray] = []
        self.changed = Condition()

    def buffer(self, size: int) -> bytearray:
        """Return a buffer of `size` bytes, its content left from before; to be called by who holds `changed`."""
        self.used += size
        for at, body in enumerate(self.spare):
            if len(body) == size:
                return self.spare.pop(at)
        while self.spare and self.used + sum(map(len, self.spare)) > self.limit:
            self.spare.pop()
        return bytearray(size)


class Share:
    """What one file holds of a window; given back as it goes, and whole at the end whatever happened.

    Args:
        window: shared with other files.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._held = 0
        self._closed = False

    def enter(self, size: int) -> bytearray | None:
        """Wait until `size` more bytes fit into the window, and return them; None if the share was or is closed.

        Whoever enters in order, and gives back in order, waits for others only as long as these make progress.
        """
        window = self._window
        with window.changed:
            window.changed.wait_for(lambda: self._closed or not window.used or window.used + size <= window.limit)
            if self._closed:
                return None
            self._held += size
            return window.buffer(size)

    def require_open(self) -> None:
        """Check that the share was not closed, so that what is done with its buffers is not in vain.

        Raises:
            TransferStopped: it was.
        """
        if self._closed:
            raise TransferStopped

    def leave(self, body: bytearray) -> None:
        """Give a buffer back; whoever enters next may get it, and write over it."""
        with self._window.changed:
            self._held -= len(body)
            self._window.used -= len(body)
            self._window.spare.append(body)
            self._window.changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more: what failed gives nothing back, so that waiting for it could last for ever."""
        with self._window.changed:
            self._closed = True
            self._window.changed.notify_all()

    def __enter__(self) -> Self:
        """Begin with nothing held."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Give back the room that is still held, but no buffer: somebody may look at it yet."""
        with self._window.changed:
            self._window.used -= self._held
            self._held = 0
            self._window.changed.notify_all()


class Sha256InOrder:
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


class Uses:
    """Gives a buffer back after the last of its uses, whichever that is.

    Args:
        leave: gives it back.
        each: how many uses each has: to be stored, and maybe to be hashed.
    """

    def __init__(self, leave: Callable[[bytearray], None], each: int) -> None:
        self._leave = leave
        self._each = each
        self._over: Counter[int] = Counter()
        self._lock = Lock()

    def over(self, body: bytearray) -> None:
        """Note that one use of it is over."""
        with self._lock:
            self._over[id(body)] += 1
            last = self._over[id(body)] == self._each
            if last:
                del self._over[id(body)]
        if last:
            self._leave(body)
