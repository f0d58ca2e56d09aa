"""Read-ahead: stored objects are read in parallel ranges where that is faster, and hashed in order.

If a connection is slow and a request is cheap, as with the large providers, an object is read in parallel ranges. If a
request is expensive, as with rclone, which reads the whole file for the ETag of each answer, it is read in one.

Many threads may read objects at the same time. The number of ranges in memory is limited over all of them, without a
deadlock: a thread waits for memory only while it holds no range.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Semaphore
from typing import TYPE_CHECKING, TypeVar

from tasks.errors import StoredWrong
from tasks.s3.checksums import bare_etag
from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tasks.s3.bucket import Bucket, StoredObject

T = TypeVar("T")

RANGE = 8 * MIB
"""Bytes of one request; a smaller object is read in one request."""


class Reader:
    """Reads objects in ranges, for many threads at once.

    Args:
        threads: that read ranges.
        most: the largest number of ranges in memory.
        whole_first: begin a large file with a request for all of it, which is broken off if parallel ranges are faster:
            one request where each is expensive. Else, the first request is for one range.
    """

    def __init__(self, threads: ThreadPoolExecutor, most: int, *, whole_first: bool = False) -> None:
        self._threads = threads
        self._whole_first = whole_first
        self._room = Semaphore(most)

    def chunks(self, bucket: Bucket, stored: StoredObject, start: int = 0) -> Iterator[bytes]:
        """Yield an object's bytes in order.

        Args:
            bucket: where it is.
            stored: as listed.
            start: offset of the first byte.

        Raises:
            StoredWrong: it is not the object that was listed, or the store cannot assemble the object.
        """
        timing, reached, pays = _Timing(), start, False
        until = stored.size if self._whole_first else min(start + RANGE, stored.size)
        with closing(bucket.read(stored, start, until)) as begun:  # type: ignore[type-var]  # a generator
            for chunk in timing.timed(begun):
                is_judged = reached - start >= RANGE
                reached += len(chunk)
                yield chunk
                if not is_judged and reached - start >= RANGE and reached < stored.size:
                    pays = timing.pays()
                    if pays and reached < until:
                        break
        if reached < stored.size:
            if pays:
                for chunk in self._ahead(bucket, stored, reached):
                    reached += len(chunk)
                    yield chunk
            yield from bucket.read(stored, reached)

    def _ahead(self, bucket: Bucket, stored: StoredObject, start: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to the end, or until parallel ranges have turned out not to be faster."""
        starts = deque(range(start, stored.size, RANGE))
        ahead = deque[Future[tuple[list[bytes], bool]]]()
        paid = 1
        try:
            while ahead or (starts and paid >= 0):
                # One more range ahead for each that was faster, so that few requests are wasted where none is.
                while starts and len(ahead) <= paid and self._room.acquire(blocking=not ahead):
                    ahead.append(self._threads.submit(_read_range, bucket, stored, starts.popleft()))
                chunks, pays = ahead[0].result()
                paid += 1 if pays else -1  # a single late answer proves little
                yield from chunks
                ahead.popleft()
                self._room.release()
        finally:
            for future in ahead:
                future.cancel()
                self._room.release()

    def digests(self, bucket: Bucket, stored: StoredObject, algorithms: Collection[str]) -> dict[str, str]:
        """Return the hexadecimal digests of an object's bytes.

        Args:
            stored: as listed.
            algorithms: as `hashlib` calls them.

        Raises:
            StoredWrong: see `chunks`.
        """

        def digests(stored: StoredObject) -> dict[str, str]:
            hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
            for chunk in self.chunks(bucket, stored):
                for hashed in hashes.values():
                    hashed.update(chunk)
            return {name: hashed.hexdigest() for name, hashed in hashes.items()}

        return _read_current(bucket, stored, digests)

    def content(self, bucket: Bucket, stored: StoredObject) -> bytes:
        """Return a small object's bytes.

        Raises:
            StoredWrong: see `chunks`.
        """
        return _read_current(bucket, stored, lambda stored: b"".join(self.chunks(bucket, stored)))


class _Timing:
    """The seconds that a range took to its first byte, and from its first byte to its last."""

    latency_s = 0.0
    flow_s = 0.0

    def timed(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks, and measure the waiting for them without the time that their consumer takes."""
        asked, first = time.monotonic(), True
        for chunk in chunks:
            took, first_one, first = time.monotonic() - asked, first, False
            if first_one:
                self.latency_s = took
            else:
                self.flow_s += took
            yield chunk
            asked = time.monotonic()

    def pays(self) -> bool:
        """Tell whether parallel requests are faster: not if a request waits longer than its bytes take to arrive."""
        return self.flow_s > self.latency_s


@contextmanager
def open_reader(connections: int, *, whole_first: bool = False) -> Iterator[Reader]:
    """Provide a reader with its own threads, which end with the block.

    Args:
        connections: the number of ranges that are read at once; one and a half times as many may be in memory.
        whole_first: see `Reader`.
    """
    with ThreadPoolExecutor(connections) as threads:
        try:
            yield Reader(threads, max(1, connections * 3 // 2), whole_first=whole_first)
        finally:
            threads.shutdown(cancel_futures=True)


def _read_current(bucket: Bucket, listed: StoredObject, read: Callable[[StoredObject], T]) -> T:
    """Read a listed object; some stores list another ETag than they answer with."""
    try:
        return read(listed)
    except StoredWrong:
        current = bucket.head(listed.key)
        if current is None or current.size != listed.size or bare_etag(current.etag) == bare_etag(listed.etag):
            raise
        return read(current)


def _read_range(bucket: Bucket, stored: StoredObject, start: int) -> tuple[list[bytes], bool]:
    """Return a range's bytes, and whether a parallel request for it was worth its time."""
    timing = _Timing()
    chunks = list(timing.timed(bucket.read(stored, start, min(start + RANGE, stored.size))))
    return chunks, timing.pays()
