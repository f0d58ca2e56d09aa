"""The first failure that concerns all stops all threads, is the one that is raised, and leaves no thread behind."""

from __future__ import annotations

import threading
import weakref
from threading import Barrier, Event

import pytest

from tasks.errors import SourceGone, TransferStopped, UploadVanished
from tasks.workers import Pool

VANISHED = UploadVanished("upload_part", "s3://bucket/key", "gone")


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
