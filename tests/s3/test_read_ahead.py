"""Ranges of objects are read by whoever has a hand free: many objects at once by their own threads, one by all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import pytest

from tasks.s3 import read_ahead
from tasks.s3.bucket import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.s3 import Bucket

RANGES = 40
CONTENT = bytes(range(RANGES))
STORED = StoredObject("key", RANGES, "etag")


class OneByteRanges:
    """A bucket with `CONTENT` at each key; `seen` is told each range before it is read."""

    def __init__(self, seen: Callable[[int], object]) -> None:
        self._seen = seen

    def read(self, _stored: StoredObject, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield a range in one chunk."""
        self._seen(start)
        yield CONTENT[start:stop]


@pytest.fixture(autouse=True)
def _each_range_is_a_byte_and_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead, "RANGE", 1)
    monkeypatch.setattr(read_ahead._Timing, "pays", lambda _: True)


def bucket(seen: Callable[[int], object]) -> Bucket:
    return cast("Bucket", OneByteRanges(seen))


def test_each_of_many_objects_is_read_by_its_own_thread_though_all_readers_ahead_are_busy() -> None:
    objects = 4
    together = threading.Barrier(objects)

    def wait_for_all(start: int) -> None:
        if start == 1:
            together.wait(10)

    with read_ahead.open_reader(1) as reader, ThreadPoolExecutor(objects) as threads:
        read: Any = threads.map(lambda _: b"".join(reader.chunks(bucket(wait_for_all), STORED)), range(objects))
        assert list(read) == [CONTENT] * objects


@pytest.mark.parametrize(("connections", "most"), [(1, 2), (2, 3), (8, 12)])
def test_no_more_ranges_are_in_memory_than_there_is_room_for_and_all_of_it_is_given_back(
    connections: int, most: int
) -> None:
    taken, ahead, lock = 0, list[int](), threading.Lock()

    def note(start: int) -> None:
        with lock:
            ahead.append(start - taken)

    with read_ahead.open_reader(connections) as reader:
        for _ in range(3):
            taken = 0
            for taken, byte in enumerate(reader.chunks(bucket(note), STORED)):
                assert byte == CONTENT[taken : taken + 1]
        broken_off = reader.chunks(bucket(note), STORED)
        assert [next(broken_off) for _ in range(5)] == [CONTENT[at : at + 1] for at in range(5)]
        cast("Any", broken_off).close()
        assert [reader._room.acquire(blocking=False) for _ in range(most + 1)] == [True] * most + [False]
    assert max(ahead) <= most + 1, "the range that is being taken, and those after it"
