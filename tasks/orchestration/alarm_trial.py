"""Tries the alarms: Prefect's server sends a test message, and reports whether the receiver took the message."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventRelatedFilter

from tasks.errors import AlarmsMissing, AlarmUndelivered
from tasks.orchestration.alarm_rules import TEST, TEST_RESOURCE, TESTED
from tasks.orchestration.alarms import send_event
from tasks.text import safe_line

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.events import ReceivedEvent

    from tasks.orchestration.alarms import AlarmBook

TRIAL_S = 60.0
"""An event is stored after some seconds, and a message that is not taken is sent three times."""
POLL_S = 0.5
SENT, NOT_SENT = "prefect.automation.action.executed", "prefect.automation.action.failed"


def try_alarms(book: AlarmBook, client: SyncPrefectClient, patience_s: float = TRIAL_S) -> str:
    """Have a test message sent the way of all alarms, and return who took the message.

    Args:
        book: the alarms of the server.
        client: of the server.
        patience_s: how long to wait for the server's report.

    Raises:
        AlarmsMissing: the test is not among the server's alarms, or is turned off.
        AlarmUndelivered: the receiver did not take the message, or the server reports nothing.
    """
    states, receiver = book.states()
    test = next((state for state in states if state.key == TEST), None)
    if test is None:
        raise AlarmsMissing("no message can be sent")
    if not test.enabled:
        raise AlarmsMissing(f"{test.name!r} is turned off in Prefect's UI")
    event = send_event(client, TESTED, TEST_RESOURCE, "test of the alarms")
    report = _wait_for_report(client, event.id, patience_s)
    if report is None:
        reason = f"Prefect's server reported nothing within {patience_s:.0f} s. Its services may be off"
        raise AlarmUndelivered(receiver, reason)
    if report.event == NOT_SENT:
        reason, log = (safe_line(str(report.payload.get(key) or "")) for key in ("reason", "notification_log"))
        raise AlarmUndelivered(receiver, f"{reason} ({log})" if log else reason)
    return receiver


def _wait_for_report(client: SyncPrefectClient, event_id: UUID, patience_s: float) -> ReceivedEvent | None:
    now = datetime.now(UTC)
    wanted = EventFilter(
        occurred=EventOccurredFilter(since=now - timedelta(hours=1), until=now + timedelta(hours=1)),
        event=EventNameFilter(name=[SENT, NOT_SENT]),
        related=EventRelatedFilter(id=[f"prefect.event.{event_id}"]),
    )
    deadline = time.monotonic() + patience_s
    while not (reports := client.read_events(wanted, limit=1).events) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return reports[0] if reports else None
