"""Pauses grow, progress refills patience, Retry-After is kept to, and a stop ends all waiting."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import ApiUnavailable, TransferStopped
from tasks.retry import LONGEST_PAUSE_S, LONGEST_RETRY_AFTER_S, MOVING_BYTES, Patience, backoff, retry_after_seconds
from tests.support.anything import steady


class Time(Event):
    """A clock that moves only when somebody waits, and never keeps anybody waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Note the wait and let the time pass at once."""
        self.waits.append(timeout or 0.0)
        self.now += timeout or 0.0
        return self.is_set()

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def away(retry_after: float | None = None) -> ApiUnavailable:
    return ApiUnavailable("away", retry_after)


def test_patience_ends_with_the_last_error(time: Time) -> None:
    patience = Patience(60, time, time)
    errors = [away() for _ in range(100)]

    def fail_on() -> None:
        for attempt, error in enumerate(errors):
            patience.pause(error, attempt)

    with pytest.raises(ApiUnavailable) as raised:
        fail_on()
    assert raised.value is errors[len(time.waits)]
    assert 30 < sum(time.waits) <= 60


def test_progress_refills_patience(time: Time) -> None:
    patience = Patience(60, time, time)
    for _ in range(100):
        patience.pause(away(), 3)
        time.now += 50
        patience.progressed()
    assert time.now > 5000


def test_a_few_bytes_between_two_stalls_are_no_progress(time: Time) -> None:
    patience = Patience(60, time, time)
    for _ in range(3):
        patience.pause(away(), 0)
        time.now += 30
        patience.progressed(500)
    with pytest.raises(ApiUnavailable):
        patience.pause(away(), 0)


def test_bytes_add_up_to_progress_whoever_reads_them(time: Time) -> None:
    patience = Patience(60, time, time)
    for _ in range(100):
        patience.pause(away(), 0)
        time.now += 30
        for _ in range(8):
            patience.progressed(MOVING_BYTES // 8)
    assert time.now >= 3000


def test_progress_of_another_thread_in_the_middle_of_a_pause_does_no_harm(time: Time) -> None:
    class Interrupted(Patience):
        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if name == "_failing_since":
                self.progressed()
            return value

    patience = Interrupted(60, time, time)
    patience.pause(away(), 1)
    patience.pause(away(), 1)
    assert len(time.waits) == 2


def test_time_without_failures_does_not_wear_patience_out(time: Time) -> None:
    patience = Patience(60, time, time)
    time.now += 1_000_000
    patience.pause(away(), 0)
    assert time.waits == [0.0]


def test_the_other_sides_retry_after_is_kept_to(time: Time) -> None:
    Patience(60, time, time).pause(away(retry_after=42.0), 1)
    assert time.waits == [42.0]


def test_a_retry_after_beyond_all_patience_ends_it_at_once(time: Time) -> None:
    with pytest.raises(ApiUnavailable) as raised:
        Patience(60, time, time).pause(away(retry_after=61.0), 1)
    assert time.waits == []
    assert raised.value.retry_after == 61.0


def test_a_stop_ends_a_pause(time: Time) -> None:
    patience = Patience(60, time, time)
    patience.check()
    time.set()
    with pytest.raises(TransferStopped):
        patience.pause(away(), 1)
    with pytest.raises(TransferStopped):
        patience.check()


def test_pauses_begin_at_nothing_and_double_up_to_a_limit() -> None:
    assert backoff(0) == backoff(-1) == 0.0
    for attempt in range(1, 2000):
        limit = min(0.5 * 2.0 ** (attempt - 1), LONGEST_PAUSE_S) if attempt < 20 else LONGEST_PAUSE_S
        assert limit / 2 <= backoff(attempt) <= limit


def test_pauses_differ_so_that_not_all_come_back_at_once() -> None:
    assert len({backoff(6) for _ in range(20)}) > 10


@pytest.mark.parametrize(("value", "seconds"), [("0", 0), ("120", 120), (" 7 ", 7), ("9" * 400, LONGEST_RETRY_AFTER_S)])
def test_retry_after_is_read_as_seconds(value: str, seconds: float) -> None:
    assert retry_after_seconds(value) == seconds


def test_retry_after_is_read_as_a_date() -> None:
    when = datetime.now(UTC) + timedelta(seconds=90)
    seconds = retry_after_seconds(format_datetime(when, usegmt=True))
    assert seconds is not None
    assert 80 < seconds <= 90
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after_seconds("Fri, 31 Dec 9999 23:59:59 GMT") == LONGEST_RETRY_AFTER_S
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00") == 0.0


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "soon",
        "-5",
        "1.5",
        "²",
        "١٢",
        "0x10",
        "NaN",
        "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT",
        "Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
        "Mon, 31 Feb 2020 00:00:00 GMT",
    ],
)
def test_a_nonsensical_retry_after_says_nothing(value: str | None) -> None:
    assert retry_after_seconds(value) is None


@steady
@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,30} Jan \d{1,30} \d\d:\d\d:\d\d [+-]\d{4,30}", fullmatch=True))
def test_no_retry_after_ever_crashes(value: str) -> None:
    seconds = retry_after_seconds(value)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER_S
