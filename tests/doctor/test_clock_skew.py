"""A clock is as wrong as servers' answers prove, and no more than that."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from tasks.doctor.clock_skew import ClockSkew

NOON = 1_795_000_000.0


@pytest.mark.parametrize(
    ("ahead", "proved"),
    [(0, 0), (0.9, 0), (30, 29.4), (-30, -29.4), (1200, 1199.4), (-1200, -1199.4)],
)
def test_a_server_is_ahead_by_what_its_answers_prove(ahead: float, proved: float) -> None:
    clocks = ClockSkew()
    # Answers that were on their way for long prove little, whatever the order.
    for took in (8.0, 0.1, 4.0):
        clocks.note("it", NOON + 0.5 - took, NOON + 0.5, formatdate(NOON + 0.5 + ahead, usegmt=True))
    assert clocks.ahead() == {"it": pytest.approx(proved, abs=0.6)}


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 99 Nov 2026 01:19:27 GMT"])
def test_what_is_no_date_says_nothing(date: str | None) -> None:
    clocks = ClockSkew()
    clocks.note("it", NOON, NOON, date)
    assert clocks.ahead() == {}


def test_a_date_without_a_zone_is_taken_for_utc_and_a_clock_that_is_set_meanwhile_is_halved() -> None:
    clocks = ClockSkew()
    clocks.note("it", NOON, NOON, formatdate(NOON).replace("-0000", ""))
    assert clocks.ahead() == {"it": 0}
    clocks.note("it", NOON, NOON, formatdate(NOON + 100))
    assert 0 < clocks.ahead()["it"] < 100
