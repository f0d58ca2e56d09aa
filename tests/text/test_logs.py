"""What others cause is logged at a pace that a person can read, and nothing of it is forgotten."""

from __future__ import annotations

import io
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING

from tasks.text import logs
from tasks.text.logs import RecordingLog, ThrottledLog, redact_logs
from tasks.text.redaction import register_secrets

if TYPE_CHECKING:
    import pytest


def test_what_comes_faster_than_a_person_reads_is_counted_and_told_with_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    # Of this module alone: at a clock that stands, the loop of a server in another thread would wait for hours.
    monkeypatch.setattr("tasks.text.logs.time", SimpleNamespace(monotonic=lambda: now))
    log = ThrottledLog(logging.getLogger("tests"), logging.WARNING)
    for trouble in ("first", "second", "third"):
        log.note(trouble)
    now += logs.LOGGED_EVERY_S
    log.note("fourth")
    log.note("fifth")
    now += logs.LOGGED_EVERY_S
    log.note("sixth")
    assert caplog.messages == ["first", "fourth (2 more since the last one)", "sixth (1 more since the last one)"]


def test_the_lines_of_one_of_many_recordings_name_it_and_only_those_at_info_change_their_level(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "tests.many")
    of_flow = logging.LoggerAdapter(logging.getLogger("tests.many"), {"flow_run": "sweep"})
    log = RecordingLog(of_flow, "an-id", info=logging.DEBUG)
    log.info("%d of %d parts", 3, 4)
    log.warning("100 % by hand")
    log.error("%s", "gone")
    RecordingLog(of_flow, "an-id").info("half")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "Recording an-id: 3 of 4 parts"),
        ("WARNING", "Recording an-id: 100 % by hand"),
        ("ERROR", "Recording an-id: gone"),
        ("INFO", "Recording an-id: half"),
    ]
    assert {vars(record)["flow_run"] for record in caplog.records} == {"sweep"}


def test_no_secret_is_logged_be_it_in_an_argument_or_in_an_error() -> None:
    register_secrets(["leak-canary"])
    screen, log = io.StringIO(), logging.getLogger("tests.concealed")
    handler = logging.StreamHandler(screen)
    log.addHandler(handler)
    log.propagate = False
    try:
        redact_logs()
        redact_logs()
        log.warning("%s at %s %d", "leak-canary", "https://host/path?leak", 42)
        message = "Invalid header value b'leak'"
        try:
            raise ValueError(message)
        except ValueError:
            log.exception("as it came")
    finally:
        log.removeHandler(handler)
    told = screen.getvalue()
    assert "*** at https://host/path 42" in told
    assert "ValueError: Invalid header value b***" in told
    assert "leak" not in told
