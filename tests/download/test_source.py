"""A source survives what breaks on the way: the bytes that come out are the bytes that went in, fetched about once."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event

import pytest

from tasks.errors import RecordingNotFound, SourceGone, SourceMissing, SourceUnavailable, TransferStopped
from tests.standins.realtimekit import (
    Answer,
    Chunked,
    ChunkedCut,
    ChunkedEndsEarly,
    Drip,
    Drop,
    Fault,
    FileRequest,
    Redirect,
    RedirectLoop,
    Refuse,
    Stall,
    SyntheticContent,
    at_random,
)
from tests.support.reading import PIECE, reading

SIZE = 3 * PIECE + 1234
CONTENT = SyntheticContent(SIZE, seed=3)
AWKWARD = (0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, SIZE - 1, SIZE)
CUTS: list[Fault] = [
    *(Drop(after, how=how) for after in AWKWARD for how in ("fin", "rst")),
    *(ChunkedCut(after, how=how) for after in AWKWARD for how in ("fin", "rst")),
    Refuse("fin"),
    Refuse("rst"),
]
ENDS: list[Fault] = [ChunkedEndsEarly(after) for after in AWKWARD]


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_a_connection_that_breaks_costs_at_most_one_piece_fetched_twice(cut: Fault) -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [cut]
        assert it.fetch() == it.content
        assert it.kit.bytes_served() <= SIZE + PIECE


@pytest.mark.parametrize("end", ENDS, ids=str)
def test_a_body_without_a_length_that_ends_properly_elsewhere_is_not_kept(end: Fault) -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [end]
        assert it.fetch() == it.content
        assert {request.start for request in it.requests} == {0}


def test_every_single_connection_breaking_costs_at_most_a_piece_each() -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [Drop(20_000, how="rst" if turn % 2 else "fin") for turn in range(100)]
        assert it.fetch() == it.content
        assert it.kit.bytes_served() <= SIZE + PIECE * it.source.resumes
        assert it.source.resumes >= SIZE // 20_000


def test_a_source_that_breaks_at_each_byte_moves_on_with_pauses_for_as_long_as_patience_lasts() -> None:
    with reading(bytes(range(100)), patience_s=60, pause_s=0.01) as it:
        it.kit.file_faults = lambda _: Drop(1)
        began = time.monotonic()
        assert it.fetch() == it.content
        assert time.monotonic() - began > 90 * 0.005


@pytest.mark.parametrize("after", [None, 0, 1, PIECE, SIZE - 1])
def test_a_connection_that_hangs_counts_as_dead_and_is_resumed_at_the_byte(after: int | None) -> None:
    with reading(CONTENT, stall_s=0.2) as it:
        it.kit.file_faults = [Stall(after)]
        assert it.fetch() == it.content
        assert [request.start for request in it.requests] == [0, after or 0]


def test_a_connection_that_trickles_is_resumed_at_the_byte_though_it_never_stalls() -> None:
    with reading(CONTENT, patience_s=0.5) as it:
        it.kit.file_faults = [Drip(1000)]
        assert it.fetch() == it.content
        first, second = it.requests
        assert (first.start, 0 < second.start < 2000) == (0, True)


def test_a_source_that_only_trickles_does_not_hold_a_run_for_ever() -> None:
    with reading(CONTENT, patience_s=0.3) as it:
        it.kit.file_faults = lambda _: Drip(1000)
        with pytest.raises(SourceUnavailable, match=r"it trickles: \d+ bytes in \d s"):
            it.fetch()


def test_many_readers_get_every_byte_right_while_a_third_of_their_connections_break() -> None:
    faults: list[Fault] = [
        Drop(0),
        Drop(10_000, how="rst"),
        Refuse(),
        Answer.slow_down(None),
        Answer.internal_error(),
        Redirect(2),
    ]
    with reading(SyntheticContent(3_000_000)) as it:
        it.kit.file_faults = at_random(seed=5, share=0.35, faults=faults)
        assert it.fetch_in_parallel(100_000) == it.content
        assert it.kit.bytes_served() <= it.media.size + PIECE * it.source.resumes


@pytest.mark.parametrize(
    "trouble",
    [
        *(Answer(status) for status in (408, 425, 429, 500, 502, 503, 504, 520, 599)),
        Answer.html(503),
        Answer.slow_down(None),
        Redirect(status=302),
        Redirect(5, status=307),
        RedirectLoop(),
        Chunked(),
    ],
    ids=str,
)
def test_trouble_that_passes_is_outlasted(trouble: Fault) -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [trouble, trouble, None, trouble]
        assert it.fetch(100_000) == it.content


@pytest.mark.parametrize("trouble", [Answer(503), Refuse(), RedirectLoop(), Drop(0), Stall()], ids=str)
def test_trouble_that_does_not_pass_ends_with_a_retryable_error_once_patience_does(trouble: Fault) -> None:
    with reading(CONTENT, patience_s=0.2, stall_s=0.1) as it:
        it.source.open(1000)
        it.kit.file_faults = lambda _: trouble
        with pytest.raises(SourceUnavailable) as caught:
            it.read(1000, SIZE)
        assert caught.value.retryable


def test_a_redirect_that_never_stops_talking_is_not_listened_to() -> None:
    with reading(CONTENT, bandwidth_per_connection=1_000_000) as it:
        it.kit.file_faults = [Answer(302, {"Location": it.link.url}, bytes(60_000_000))]
        began = time.monotonic()
        assert it.fetch() == it.content
        assert time.monotonic() - began < 30


@pytest.mark.parametrize("as_date", [False, True])
def test_the_wait_that_the_source_asks_for_is_kept(as_date: bool) -> None:  # noqa: FBT001
    with reading(CONTENT) as it:
        later = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)  # a date has whole seconds only
        it.kit.file_faults = [Answer.slow_down(format_datetime(later, usegmt=True) if as_date else 1)]
        began = time.monotonic()
        assert it.fetch() == it.content
        assert datetime.now(UTC) >= later if as_date else time.monotonic() - began >= 0.95


def test_a_wait_longer_than_patience_ends_at_once() -> None:
    with reading(CONTENT, patience_s=30) as it:
        it.kit.file_faults = [Answer.slow_down(31)]
        with pytest.raises(SourceUnavailable) as caught:
            it.fetch()
        assert caught.value.retry_after == 31


MISSING = Answer.xml(404, "NoSuchKey", "The specified key does not exist.")


def test_a_file_that_is_not_there_yet_is_asked_for_again_through_fresh_links() -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [MISSING, MISSING, None, MISSING]
        it.source.open(1000)
        assert it.read(1000, SIZE) == it.content[1000:]
        assert (len(it.requests), it.links.refreshes) == (5, 3)


@pytest.mark.parametrize("patience_s", [0.1, 60])
def test_a_file_that_stays_missing_while_the_api_lists_it_is_worth_retrying(
    patience_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.download.recovery.MISSING_FOR_S", 0.1)
    with reading(CONTENT, patience_s=patience_s, pause_s=0.02) as it:
        it.kit.file_faults = lambda _: MISSING
        with pytest.raises(SourceMissing) as caught:
            it.source.open(1000)
        assert caught.value.retryable
        assert it.links.refreshes >= 2


def test_a_file_that_is_missing_once_its_seven_days_are_over_is_gone_at_once() -> None:
    with reading(CONTENT, details={"stopped_time": "2026-01-01T00:00:00Z"}) as it:
        it.kit.file_faults = [None, MISSING]
        it.source.open(1000)
        with pytest.raises(SourceGone) as caught:
            it.read(1000, SIZE)
        assert not caught.value.retryable
        assert (len(it.requests), len(it.kit.api_requests)) == (2, 1)


def test_a_recording_that_the_api_no_longer_knows_is_final_when_its_file_is_missing() -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = lambda _: MISSING
        it.kit.api_faults = lambda _: Answer.failure(1001, "Recording not found", 404)
        with pytest.raises(RecordingNotFound):
            it.source.open(1000)


@pytest.mark.parametrize("size", [1, 2, PIECE, PIECE + 1])
def test_small_files_take_one_request(size: int) -> None:
    with reading(SyntheticContent(size)) as it:
        assert it.fetch(PIECE + 1) == it.content
        assert len(it.requests) == 1


def test_the_first_request_already_carries_the_first_range_and_the_rest_is_asked_for_by_validator() -> None:
    with reading(CONTENT) as it:
        assert it.fetch(100_000) == it.content
        assert [request.range for request in it.requests] == ["bytes=0-99999", "bytes=100000-197841"]
        assert [request.headers.get("if-match") for request in it.requests] == [None, it.media.object.etag]
        assert {request.headers["accept-encoding"] for request in it.requests} == {"identity"}
        assert it.kit.bytes_served() == SIZE


@pytest.mark.parametrize("stop", [1, 500, PIECE, 100_000, 150_000, SIZE])
def test_a_read_may_end_before_or_after_the_first_answer_does(stop: int) -> None:
    with reading(CONTENT) as it:
        it.source.open(100_000)
        assert it.read(0, stop) == it.content[:stop]
        assert it.read(stop, SIZE) == it.content[stop:]


def test_any_ranges_can_be_read_in_any_order_and_again() -> None:
    with reading(CONTENT) as it:
        it.source.open(1000)
        for start, stop in [(SIZE - 1, SIZE), (0, 1), (0, 1), (0, SIZE), (PIECE, PIECE), (7, 100_001)]:
            assert it.read(start, stop) == it.content[start:stop]


def test_a_read_that_is_abandoned_leaves_the_source_usable() -> None:
    with reading(CONTENT) as it:
        it.source.open(SIZE)
        abandoned = it.source.read(0, SIZE)
        assert next(abandoned)
        del abandoned
        assert it.read(0, SIZE) == it.content


def test_opening_again_begins_anew() -> None:
    with reading(CONTENT) as it:
        it.source.open(SIZE)
        it.media.replace(b"an\0ther")
        assert it.source.open(SIZE).size == 7
        assert it.read(0, 7) == b"an\0ther"


def test_an_answer_that_nobody_reads_is_hung_up_on() -> None:
    with reading(SyntheticContent(50_000_000)) as it:
        it.source.open(it.media.size)
        it.source.open(it.media.size)
        it.source.close()
        assert it.kit.wait_idle()


def test_two_readers_of_the_first_byte_both_get_it() -> None:
    with reading(CONTENT) as it, ThreadPoolExecutor(2) as pool:
        it.source.open(SIZE)
        assert set(pool.map(it.read, [0, 0], [SIZE, SIZE])) == {it.content}


def test_a_stop_ends_a_read_in_mid_body() -> None:
    with reading(CONTENT, file_faults=[Drip(100_000)]) as it:
        it.source.open(SIZE)
        pieces = it.source.read(0, SIZE)
        next(pieces)
        it.stop.set()
        with pytest.raises(TransferStopped):
            next(pieces)


def test_a_stop_from_another_thread_ends_a_pause_at_once() -> None:
    asked = Event()

    def slow_down(_: FileRequest) -> Fault:
        asked.set()
        return Answer.slow_down(60)

    with reading(CONTENT, patience_s=300) as it, ThreadPoolExecutor(1) as pool:
        it.kit.file_faults = slow_down
        fetched = pool.submit(it.fetch)
        assert asked.wait(10)
        it.stop.set()
        with pytest.raises(TransferStopped):
            fetched.result(10)


def test_nothing_is_asked_for_once_stopped() -> None:
    with reading(CONTENT) as it:
        it.stop.set()
        with pytest.raises(TransferStopped):
            it.fetch()
        assert not it.requests
