"""What others cause is logged at a pace that a person can read, and nothing of it is forgotten."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tasks import logs
from tasks.logs import ThrottledLog

if TYPE_CHECKING:
    import pytest


def test_what_comes_faster_than_a_person_reads_is_counted_and_told_with_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr("tasks.logs.time.monotonic", lambda: now)
    log = ThrottledLog(logging.getLogger("tests"), logging.WARNING)
    for trouble in ("first", "second", "third"):
        log.note(trouble)
    now += logs.LOGGED_EVERY_S
    log.note("fourth")
    log.note("fifth")
    now += logs.LOGGED_EVERY_S
    log.note("sixth")
    assert caplog.messages == ["first", "fourth (2 more since the last one)", "sixth (1 more since the last one)"]
