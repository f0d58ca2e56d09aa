"""Knows how to do many things at once within bounds: of threads, of bytes in memory, and of what may go wrong."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Condition, Event, Lock
from typing import TYPE_CHECKING, TypeVar

from tasks.errors import (
    RangesUnproved,
    SizeDisagrees,
    SourceGone,
    SourceLied,
    SourceMissing,
    StoredWrong,
    TransferStopped,
    UploadVanished,
    VideoEmpty,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from types import TracebackType
    from typing import Self

T = TypeVar("T")
R = TypeVar("R")

A_FEW = 8
"""Small requests that are under way at once."""

_STOPS_NO_OTHERS = (
    UploadVanished,
    StoredWrong,
    SourceGone,
    SourceMissing,
    SourceLied,
    SizeDisagrees,
    VideoEmpty,
    RangesUnproved,
)


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


class Pool:
    """Threads of which the first to fail stops all: `stop` tells those of other pools, too.

    Some failures stop no other pool. The end of an upload by another run is a reason to look again, not to give up, and
    so is a part that the store does not have as it was sent. And what is wrong with one file for good is no reason to
    leave the others: they may be gone before somebody has looked.

    Args:
        workers: how many threads.
        stop: set at a failure.
        on_failure: called at every failure, from the thread that failed.
        independent: each call is of a file of its own, so that what waits for its turn still gets it after a failure.
    """

    def __init__(
        self, workers: int, stop: Event, on_failure: Callable[[], None] = lambda: None, *, independent: bool = False
    ) -> None:
        self._threads = ThreadPoolExecutor(workers)
        self._stop = stop
        self._on_failure = on_failure
        self._independent = independent
        self._lock = Lock()
        # Finished ones are dropped: small objects that outlive the buffers around them leave holes in the heap.
        self._under_way: set[Future[object]] = set()
        self._failure: BaseException | None = None

    def submit(self, call: Callable[..., T], *args: object) -> Future[T]:
        """Run a call in one of the threads."""
        future = self._threads.submit(self._run, call, *args)
        self._under_way.add(future)  # type: ignore[arg-type]  # only waited for
        future.add_done_callback(self._under_way.discard)
        return future

    def map(self, call: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Run a call for each item, and return the results in their order."""
        futures = [self.submit(call, item) for item in items]
        self.wait()
        return [future.result() for future in futures]

    def wait(self) -> None:
        """Wait for all calls; if any failed, raise what the others were stopped by."""
        wait(tuple(self._under_way))
        if self._failure is not None:
            raise self._failure

    def _run(self, call: Callable[..., T], *args: object) -> T:
        try:
            if self._stop.is_set() or (self._failure is not None and not self._independent):
                raise TransferStopped
            return call(*args)
        except BaseException as error:
            with self._lock:
                if self._failure is None or _weight(error) > _weight(self._failure):
                    self._failure = error
            try:
                if not isinstance(error, (TransferStopped, *_STOPS_NO_OTHERS)):
                    self._stop.set()
            finally:
                self._on_failure()
            raise

    def __enter__(self) -> Self:
        """Begin without any call."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no thread behind: after a failure or a cancellation they are told to stop, and waited for."""
        if error is not None and not isinstance(error, _STOPS_NO_OTHERS):
            self._stop.set()
        self._threads.shutdown(cancel_futures=error is not None)
        if isinstance(error, TransferStopped) and self._failure is not None and _weight(self._failure):
            raise self._failure from None  # whoever gave the threads their work was stopped by that


def _weight(error: BaseException) -> int:
    """Rank failures: that others were told to stop is a consequence, and never the reason."""
    return 0 if isinstance(error, TransferStopped) else 1 if isinstance(error, UploadVanished) else 2


def a_few_at_a_time(call: Callable[[T], R], items: Collection[T]) -> list[R]:
    """Run a call for each item in a few threads, and return the results in their order; the first failure ends it."""
    if len(items) < 2:
        return [call(item) for item in items]
    with Pool(min(A_FEW, len(items)), Event()) as pool:
        return pool.map(call, items)


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
