"""Knows how to do many things at once within bounds: of threads, of bytes in memory, and of what may go wrong."""

from __future__ import annotations

import hashlib
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Condition, Event, Lock
from typing import TYPE_CHECKING, TypeVar

from tasks.errors import UploadVanished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

T = TypeVar("T")
R = TypeVar("R")


class Window:
    """Bounds the bytes that are in memory at once, over all who share it.

    Args:
        limit: in bytes; what is larger than that alone gets in when nothing else is.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = Condition()

    def enter(self, size: int) -> None:
        """Wait until `size` more bytes fit."""
        with self._changed:
            self._changed.wait_for(lambda: self._used == 0 or self._used + size <= self._limit)
            self._used += size

    def leave(self, size: int) -> None:
        """Give `size` bytes back."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class Share:
    """What one file holds of a window; given back as it goes, and whole at the end whatever happened."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._held = 0
        self._lock = Lock()

    def enter(self, size: int) -> None:
        """Wait until `size` more bytes fit into the window."""
        self._window.enter(size)
        with self._lock:
            self._held += size

    def leave(self, size: int) -> None:
        """Give `size` bytes back."""
        with self._lock:
            self._held -= size
        self._window.leave(size)

    def __enter__(self) -> Self:
        """Begin with nothing held."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Give back what is still held."""
        self.leave(self._held)


class Pool:
    """Threads of which the first to fail stops all: `failure` is what it met, `stop` tells the others.

    Only the end of an upload by another run stops nobody: it is a reason to look again, not to give up.
    """

    def __init__(self, workers: int, stop: Event) -> None:
        self._threads = ThreadPoolExecutor(workers)
        self._stop = stop
        self._lock = Lock()
        self._futures: list[Future[object]] = []
        self.failure: BaseException | None = None

    def submit(self, call: Callable[..., T], *args: object) -> Future[T]:
        """Run a call in one of the threads."""
        future = self._threads.submit(self._run, call, *args)
        self._futures.append(future)  # type: ignore[arg-type]  # only waited for
        return future

    def map(self, call: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Run a call for each item, and return the results in their order."""
        futures = [self.submit(call, item) for item in items]
        self.wait()
        return [future.result() for future in futures]

    def wait(self) -> None:
        """Wait for all calls, and raise what the first failure was."""
        wait(self._futures, return_when=FIRST_EXCEPTION)
        if self.failure is not None:
            raise self.failure

    def _run(self, call: Callable[..., T], *args: object) -> T:
        try:
            return call(*args)
        except BaseException as error:
            with self._lock:
                self.failure = self.failure or error
            if not isinstance(error, UploadVanished):
                self._stop.set()
            raise

    def __enter__(self) -> Self:
        """Begin without any call."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave no thread behind: after a failure or a cancellation they are told to stop, and waited for."""
        if error is not None and not isinstance(error, UploadVanished):
            self._stop.set()
        self._threads.shutdown(cancel_futures=error is not None)


class Sha256InOrder:
    """SHA-256 of parts that arrive in any order; those that came early are kept until it is their turn."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._next = 1
        self._early: dict[int, bytearray] = {}
        self._lock = Lock()

    def add(self, number: int, body: bytearray) -> int:
        """Take a part, numbered from 1, and return how many bytes are no longer kept because of it."""
        released = 0
        with self._lock:
            self._early[number] = body
            while (due := self._early.pop(self._next, None)) is not None:
                self._sha256.update(due)
                self._next += 1
                released += len(due)
        return released

    def hexdigest(self) -> str:
        """Return the digest of what has arrived in order."""
        return self._sha256.hexdigest()
