"""Knows how to read stored objects as fast as the store gives them: ranges ahead of their turn, hashed in order.

Where a connection is slow and a request cheap, as with the large providers, an object comes in parallel ranges. Where a
request is what costs, as with rclone, which reads the whole file for the ETag of each answer, it comes in one.

Many may read at once. What is in memory is bounded over all of them: who waits for room holds none, and who holds some
never waits for more, so that they cannot wait for each other.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
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
"""Bytes of one request; what is not larger is read in one."""


class Reader:
    """Reads objects in ranges, for many at once.

    Args:
        threads: read ranges.
        most: ranges that are in memory.
    """

    def __init__(self, threads: ThreadPoolExecutor, most: int) -> None:
        self._threads = threads
        self._room = Semaphore(most)

    def chunks(self, bucket: Bucket, stored: StoredObject) -> Iterator[bytes]:
        """Yield an object's bytes in order.

        Raises:
            StoredWrong: it is not the object that was listed, or the store cannot put it together.
        """
        timing = _Timing()
        yield from timing.timed(bucket.read(stored, 0, min(RANGE, stored.size)))
        if stored.size > RANGE:
            reached = RANGE
            if timing.pays():
                for chunk in self._ahead(bucket, stored, reached):
                    reached += len(chunk)
                    yield chunk
            yield from bucket.read(stored, reached)

    def _ahead(self, bucket: Bucket, stored: StoredObject, start: int) -> Iterator[bytes]:
        """Yield what comes after `start`, up to the end, or to where it has turned out that this does not pay."""
        starts = deque(range(start, stored.size, RANGE))
        ahead = deque[Future[tuple[list[bytes], bool]]]()
        paid = 1
        try:
            while ahead or (starts and paid >= 0):
                # As many more as have paid: where they do not, none was asked for in vain.
                while starts and len(ahead) <= paid and self._room.acquire(blocking=not ahead):
                    ahead.append(self._threads.submit(_read_range, bucket, stored, starts.popleft()))
                chunks, pays = ahead[0].result()
                paid += 1 if pays else -1  # one answer that was late says little
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
                for one in hashes.values():
                    one.update(chunk)
            return {name: one.hexdigest() for name, one in hashes.items()}

        return _read_current(bucket, stored, digests)

    def content(self, bucket: Bucket, stored: StoredObject) -> bytes:
        """Return a small object's bytes.

        Raises:
            StoredWrong: see `chunks`.
        """
        return _read_current(bucket, stored, lambda stored: b"".join(self.chunks(bucket, stored)))


class _Timing:
    """How long a range took: to its first byte, and from there on."""

    latency_s = 0.0
    flow_s = 0.0

    def timed(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks; what becomes of them takes no time here."""
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
        """Tell whether more requests make it faster: not if they wait longer than their bytes take to come."""
        return self.flow_s > self.latency_s


@contextmanager
def open_reader(connections: int) -> Iterator[Reader]:
    """Give a reader with threads of its own, which end with the block.

    Args:
        connections: how many ranges are read at once; one and a half times as many may be in memory.
    """
    with ThreadPoolExecutor(connections) as threads:
        try:
            yield Reader(threads, max(1, connections * 3 // 2))
        finally:
            threads.shutdown(cancel_futures=True)


def _read_current(bucket: Bucket, listed: StoredObject, read: Callable[[StoredObject], T]) -> T:
    """Read what was listed; there are stores that list other ETags than they answer with."""
    try:
        return read(listed)
    except StoredWrong:
        found = bucket.head(listed.key)
        if found is None or found.size != listed.size or bare_etag(found.etag) == bare_etag(listed.etag):
            raise
        return read(found)


def _read_range(bucket: Bucket, stored: StoredObject, start: int) -> tuple[list[bytes], bool]:
    """Return a range's bytes, and whether it was worth a request of its own."""
    timing = _Timing()
    chunks = list(timing.timed(bucket.read(stored, start, min(start + RANGE, stored.size))))
    return chunks, timing.pays()
