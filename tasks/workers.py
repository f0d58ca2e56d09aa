"""Threads for many things at once: bounded in number, ended by the first failure that concerns all of them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event, Lock
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
