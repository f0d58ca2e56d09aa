"""The events of a sweep: each says all of what a message needs, and a thousand recordings are no thousand events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks.engine import AT_RISK, LOST
from tasks.sweep import Scope, Sweep, emit_events
from tasks.sweep.events import MOST_EVENTS
from tasks.sweep.report import Swept
from tests.support.witness import Witness

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def swept(name: str, hours: float | None = 1, reason: str = "") -> Swept:
    expires = None if hours is None else NOW + timedelta(hours=hours)
    return Swept(recording_id=name, app_id="app", invoked_time=None, expires_at=expires, reason=reason)


def emitted(sweep: Sweep) -> Witness:
    witness = Witness()
    emit_events(witness, sweep, Scope(NOW))
    return witness


def test_a_recording_at_risk_and_a_lost_one_have_an_event_with_all_that_a_person_needs() -> None:
    reason = "the store refused https://store.example.com/key?X-Amz-Signature=leak\nagain"
    sweep = Sweep(dry_run=False, already_archived=3, at_risk=(swept("a", 2, reason),), lost=(swept("b", None),))
    at_risk, lost = emitted(sweep).emitted
    assert at_risk[:2] == (AT_RISK, "recording.a")
    assert "leak" not in at_risk[2]["reason"]
    assert "\n" not in at_risk[2]["reason"]
    assert at_risk[2] | {"reason": ""} == {
        "recording_id": "a", "app_id": "app", "expires_at": "2026-11-20 11:00 UTC", "reason": "", "others": 0,
        "command": "uv run python -m flows.archive_recording a",
    }  # fmt: skip
    assert lost[:2] == (LOST, "recording.b")
    assert lost[2].keys() == at_risk[2].keys()
    assert lost[2]["expires_at"] == ""


def test_of_many_recordings_the_most_urgent_have_an_event_each_that_counts_the_others() -> None:
    at_risk = tuple(swept(f"risk-{number}", number) for number in range(1, 1001))
    lost = tuple(swept(f"lost-{number}", -number / 60) for number in range(1000, 0, -1))
    witness = emitted(Sweep(dry_run=False, already_archived=0, at_risk=at_risk, lost=lost))
    assert witness.resources(AT_RISK) == [f"recording.risk-{number}" for number in range(1, MOST_EVENTS + 1)]
    assert witness.resources(LOST) == [f"recording.lost-{number}" for number in range(1, MOST_EVENTS + 1)]
    assert {payload["others"] for event, _, payload in witness.emitted if event == AT_RISK} == {999}


def test_what_was_lost_long_ago_has_no_event_any_more() -> None:
    witness = emitted(Sweep(dry_run=False, already_archived=0, lost=(swept("old", -25), swept("new", -23))))
    assert witness.resources(LOST) == ["recording.new"]
