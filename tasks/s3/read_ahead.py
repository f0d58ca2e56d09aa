"""Read-ahead: stored objects are read in parallel ranges where that is faster, and hashed in order.

If a connection is slow and a request is cheap, as with the large providers, an object is read in parallel ranges. If a
request is expensive, as with rclone, which reads the whole file for the ETag of each answer, it is read in one.

Many threads may read objects at the same time. Each reads some ranges of its object by itself, chunk by chunk, and has
the ranges after them read ahead into memory as long as there is room: many objects at once need no ranges ahead, and a
single one gets them all. No thread waits for room, so that there is no deadlock.
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
        most: the largest number of requests for ranges, and so of ranges in memory.
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
        """Yield the bytes from `start` to the end, or until parallel ranges have turned out not to be faster.

        In turns, this thread reads a range, and takes those after it, which were read ahead meanwhile.
        """
        ahead = _RangesAhead(bucket, stored, start, self._threads, self._room)
        with closing(ahead):
            while ahead.goes_on:
                own = ahead.take_own()
                ahead.top_up()
                yield from bucket.read(stored, own, min(own + RANGE, stored.size))
                for _ in range(ahead.count):
                    yield from ahead.take()
                    ahead.top_up(spare=1)

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


class _RangesAhead:
    """The ranges of an object that are read ahead, and the room in memory that they take.

    Args:
        bucket: where the object is.
        stored: as listed.
        start: offset of the first byte.
        threads: that read.
        room: for ranges of all objects; one is taken for what the caller reads, if there is any.
    """

    def __init__(
        self, bucket: Bucket, stored: StoredObject, start: int, threads: ThreadPoolExecutor, room: Semaphore
    ) -> None:
        self._bucket, self._stored, self._threads, self._room = bucket, stored, threads, room
        self._starts = deque(range(start, stored.size, RANGE))
        self._ahead = deque[Future[tuple[list[bytes], bool]]]()
        self._paid = 1
        self._taken = int(room.acquire(blocking=False))  # of the room

    @property
    def goes_on(self) -> bool:
        """Whether ranges are left to be read; they are left to others once parallel ranges are not faster."""
        return bool(self._starts) and (self._paid >= 0 or bool(self._ahead))

    @property
    def count(self) -> int:
        """The number of ranges that are read ahead, or were, and are not taken yet."""
        return len(self._ahead)

    def take_own(self) -> int:
        """Return the start of the next range, which the caller reads."""
        return self._starts.popleft()

    def top_up(self, spare: int = 0) -> None:
        """Have ranges read as far as there is room for them.

        One more for each that was faster, so that few requests are wasted where none is.

        Args:
            spare: how many ranges the caller will read before these.
        """
        while len(self._starts) > spare and len(self._ahead) <= self._paid and self._room.acquire(blocking=False):
            self._taken += 1
            start = self._starts[spare]
            del self._starts[spare]
            self._ahead.append(self._threads.submit(_read_range, self._bucket, self._stored, start))

    def take(self) -> Iterator[bytes]:
        """Yield the next range that was read ahead."""
        chunks, pays = self._ahead[0].result()
        self._paid += 1 if pays else -1  # a single late answer proves little
        yield from chunks
        self._ahead.popleft()
        self._give_back(1)

    def close(self) -> None:
        """Give back all room."""
        for future in self._ahead:
            future.cancel()
        self._give_back(self._taken)

    def _give_back(self, count: int) -> None:
        self._taken -= count
        for _ in range(count):
            self._room.release()


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
        connections: the number of ranges that are read ahead at once; one and a half times as many requests for ranges
            may be under way or in memory, those included that threads make for themselves.
        whole_first: see `Reader`.
    """
    with ThreadPoolExecutor(connections) as threads:
        try:
            yield Reader(threads, max(2, connections * 3 // 2), whole_first=whole_first)
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
