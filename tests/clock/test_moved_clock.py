"""The tests, and whatever they start, live at the time that they are given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.clock import FOLDER
from tests.clock.dated import DEPTH, _reaches_clock
from tests.clock.option import _ahead
from tests.clock.sitecustomize import AHEAD

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTS = FOLDER.parent
TELL = """
import datetime, json, time
print(json.dumps([time.time(), datetime.datetime.now().timestamp(), time.monotonic()]))
"""


def told(environment: Mapping[str, str]) -> list[float]:
    """Return what a process of its own takes the time for, by three clocks."""
    times: list[float] = json.loads(subprocess.check_output([sys.executable, "-c", TELL], env=environment))
    return times


def test_a_process_lives_at_the_time_that_it_is_given_and_waits_as_long_as_ever() -> None:
    ahead = timedelta(days=800).total_seconds()
    true = {name: value for name, value in os.environ.items() if name != AHEAD}
    true_time, _, before = told(true)
    seconds, date, waits = told(true | {AHEAD: str(ahead), "PYTHONPATH": str(FOLDER)})
    assert 0 < seconds - true_time - ahead < 100
    assert 0 <= date - seconds < 100
    assert before < waits < time.monotonic()


def test_the_time_is_given_as_a_moment_or_as_days_from_now() -> None:
    assert _ahead("+40d") == timedelta(days=40)
    then = datetime.now(UTC) + timedelta(days=400, hours=3)
    assert timedelta(0) <= timedelta(days=400, hours=3) - _ahead(then.isoformat()) < timedelta(seconds=100)


@pytest.mark.parametrize("name", ["text/test_redaction", "sweep/test_plan", "doctor/test_cloudflare_checks"])
def test_what_asks_for_the_time_or_uses_what_does_is_run_at_other_dates_too(name: str) -> None:
    assert _reaches_clock(TESTS / f"{name}.py", DEPTH)


def test_what_only_reckons_is_not() -> None:
    assert not _reaches_clock(TESTS / "s3/test_part_ranges.py", DEPTH)
