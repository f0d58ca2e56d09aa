"""What is in memory stays bounded, is hashed in order, and nobody waits for a buffer for ever."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event, Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import UploadVanished
from tasks.transfer.buffers import BufferLease, BufferPool, LastUse, OrderedSha256
from tasks.workers import Pool

VANISHED = UploadVanished("upload_part", "s3://bucket/key", "gone")


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=12), st.randoms())
def test_sha256_is_that_of_the_whole_in_whatever_order_parts_arrive(parts: list[bytes], dice: object) -> None:
    arriving = list(enumerate(parts, 1))
    dice.shuffle(arriving)  # type: ignore[attr-defined]
    released: list[bytearray] = []
    with OrderedSha256(released.append) as digest:
        for number, body in arriving:
            digest.add(number, bytearray(body))
    assert digest.hexdigest(len(parts)) == hashlib.sha256(b"".join(parts)).hexdigest()
    assert released == parts


def test_a_part_that_comes_early_is_kept_until_its_turn() -> None:
    released: list[bytearray] = []
    with OrderedSha256(released.append) as digest:
        digest.add(2, bytearray(b"bb"))
    assert released == []
    with pytest.raises(RuntimeError, match="0 of 2 parts"):
        digest.hexdigest(2)


def test_a_buffer_is_given_back_after_the_last_of_its_uses() -> None:
    back: list[bytearray] = []
    uses, one, other = LastUse(back.append, uses=2), bytearray(b"same"), bytearray(b"same")
    uses.end_one(one)
    uses.end_one(other)
    assert back == []
    uses.end_one(other)
    assert back[0] is other
    uses.end_one(other)
    assert len(back) == 1, "it begins anew"


@settings(deadline=None, max_examples=25)
@given(
    limit=st.integers(1, 30),
    files=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), min_size=1, max_size=4),
    workers=st.integers(1, 3),
)
def test_files_that_share_a_pool_all_get_through_and_never_hold_more_than_fits(
    limit: int, files: list[list[int]], workers: int
) -> None:
    buffers, stop, peaks = BufferPool(limit), Event(), list[tuple[int, int]]()
    out, lock = set[int](), Lock()

    def move_file(sizes: list[int]) -> None:
        with BufferLease(buffers) as lease, ExitStack() as stack:

            def leave(body: bytearray) -> None:
                with lock:
                    out.discard(id(body))
                lease.release(body)

            uses = LastUse(leave, uses=2)
            digest = stack.enter_context(OrderedSha256(uses.end_one))
            pool = stack.enter_context(Pool(workers, stop, lease.close))

            def move(number: int, body: bytearray) -> None:
                digest.add(number, body)
                uses.end_one(body)

            for number, size in enumerate(sizes, 1):
                body = lease.acquire(size)
                assert body is not None
                with buffers.changed:
                    peaks.append((buffers.used + sum(map(len, buffers.spare)), size))
                with lock:
                    assert id(body) not in out, "nobody else holds the buffer"
                    out.add(id(body))
                pool.submit(move, number, body)
            pool.wait()

    with ThreadPoolExecutor(len(files)) as threads:
        for future in [threads.submit(move_file, sizes) for sizes in files]:
            future.result(20)
    largest = max(size for sizes in files for size in sizes)
    assert all(used <= max(limit, largest) for used, _ in peaks)
    assert buffers.used == 0


def test_a_buffer_that_was_given_back_is_used_again() -> None:
    buffers = BufferPool(10)
    with BufferLease(buffers) as lease:
        first = lease.acquire(5)
        assert first is not None
        lease.release(first)
        assert lease.acquire(5) is first
        assert lease.acquire(5) is not first


def test_what_is_larger_than_the_pool_gets_in_alone() -> None:
    buffers = BufferPool(10)
    with BufferLease(buffers) as lease:
        assert lease.acquire(25) is not None
        assert buffers.used == 25
    assert buffers.used == 0


def test_a_failure_wakes_the_one_who_waits_for_room_that_never_comes() -> None:
    buffers, stop = BufferPool(2), Event()
    full = Event()

    def fail() -> None:
        full.wait()
        raise VANISHED

    def fill() -> None:
        with BufferLease(buffers) as lease, Pool(1, stop, lease.close) as pool:
            assert lease.acquire(2) is not None
            pool.submit(fail)
            full.set()
            assert lease.acquire(1) is None
            pool.wait()

    with pytest.raises(UploadVanished):
        fill()
    assert not stop.is_set()
    assert buffers.used == 0
