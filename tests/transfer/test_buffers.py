"""What is in memory stays bounded, nobody waits for ever, and a failure or a cancellation leaves no thread behind."""

from __future__ import annotations

import hashlib
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier, Event, Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import SourceGone, TransferStopped, UploadVanished
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
def test_files_that_share_a_window_all_get_through_and_never_hold_more_than_fits(
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


def test_what_is_larger_than_the_window_gets_in_alone() -> None:
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


def test_the_first_real_failure_is_raised_and_not_that_the_others_were_stopped() -> None:
    stop, all_there = Event(), Barrier(3)

    def stopped() -> None:
        all_there.wait()
        stop.wait()
        raise TransferStopped

    def fails() -> None:
        all_there.wait()
        stop.set()
        raise SourceGone("video/a.mp4")

    def run() -> None:
        with Pool(3, stop) as pool:
            pool.map(lambda call: call(), [stopped, fails, stopped])

    with pytest.raises(SourceGone):
        run()


def test_what_a_thread_met_is_told_though_the_one_who_feeds_it_was_stopped_by_that() -> None:
    stop = Event()

    def refuse() -> None:
        raise PermissionError

    def feed() -> None:
        with Pool(1, stop) as pool:
            pool.submit(refuse)
            assert stop.wait(10)
            raise TransferStopped

    with pytest.raises(PermissionError):
        feed()


def test_what_has_not_begun_when_something_fails_never_begins() -> None:
    begun: list[int] = []

    def call(number: int) -> None:
        begun.append(number)
        raise SourceGone("video/a.mp4")

    def run() -> None:
        with Pool(1, Event()) as pool:
            pool.map(call, range(50))

    with pytest.raises(SourceGone):
        run()
    assert begun == [0]


def test_an_upload_that_another_run_ended_stops_its_own_file_only() -> None:
    stop, begun = Event(), list[int]()

    def call(number: int) -> None:
        begun.append(number)
        raise VANISHED

    def run() -> None:
        with Pool(1, stop) as pool:
            pool.map(call, range(50))

    with pytest.raises(UploadVanished):
        run()
    assert begun == [0]
    assert not stop.is_set()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, ValueError])
def test_an_interruption_of_the_main_thread_stops_and_awaits_all_threads(interruption: type[BaseException]) -> None:
    stop, before, under_way = Event(), threading.active_count(), Barrier(3)

    def wait_for_the_end() -> None:
        under_way.wait()
        stop.wait()

    def run() -> None:
        with Pool(2, stop) as pool:
            for _ in range(4):
                pool.submit(wait_for_the_end)
            under_way.wait()
            raise interruption

    with pytest.raises(interruption):
        run()
    assert stop.is_set()
    assert threading.active_count() == before


def test_results_come_in_the_order_of_the_items() -> None:
    first_may_end = Event()

    def call(number: int) -> int:
        if number == 0:
            first_may_end.wait()
        else:
            first_may_end.set()
        return number * 10

    with Pool(2, Event()) as pool:
        assert pool.map(call, [0, 1]) == [0, 10]


def test_a_pool_keeps_nothing_of_what_is_done() -> None:
    """A large file has thousands of parts, and what is kept of each lies between buffers that come and go."""
    with Pool(1, Event()) as pool:
        done = [weakref.ref(pool.submit(bytes)) for _ in range(20)]
        pool.wait()
        pool.submit(bytes).result()  # by now the thread has let go of those before
        assert [ref for ref in done if ref() is not None] == []
