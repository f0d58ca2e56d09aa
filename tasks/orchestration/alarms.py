"""Sets up, lists and removes the alarms: automations of Prefect's server, found again by their tags."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
from prefect.client.orchestration import get_client
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger
from prefect.events.schemas.events import Event, Resource
from prefect.exceptions import PrefectException

from tasks.engine import NO_LABELS, WHOLE_LABEL
from tasks.errors import AlarmsMissing, PrefectUnavailable
from tasks.orchestration import automations
from tasks.orchestration.alarm_receiver import OURS, find_block, name_receivers, parse_receiver, provide_block
from tasks.orchestration.alarm_rules import ARMED, NO_SWEEP, SWEPT_WITHIN, TAG, make_alarms
from tasks.orchestration.alarm_states import read_alarms, state_of
from tasks.orchestration.server import server_host

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import Automation

    from tasks.orchestration.alarm_rules import Alarm
    from tasks.orchestration.alarm_states import AlarmState

RELOAD_S = 6.0
"""Seconds after which each process of the server knows a new automation: those without the news look every five."""


class AlarmBook:
    """The alarms on Prefect's server.

    Args:
        client: of the server.
    """

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client

    def set_up(self, receiver: str, swept_within: timedelta | None = None) -> list[str]:
        """Make the alarms that are missing, and correct the others; return a line for each that was touched.

        What an operator has turned off stays off.

        Args:
            receiver: see `parse_receiver`; empty for the one that the alarms have.
            swept_within: how long no sweep may complete; None for what was set before.

        Raises:
            SettingsInvalid: the receiver is none.
            AlarmsMissing: there is no receiver yet.
        """
        parsed, existing = (parse_receiver(receiver) if receiver else None), read_alarms(self._client)
        block_id = provide_block(self._client, parsed) if parsed else self._block_in_use(existing)
        lines = []
        for alarm in make_alarms(swept_within or _swept_within(existing)):
            ours = [one for one in existing if f"{TAG}:{alarm.key}" in one.tags]
            lines += self._put(alarm, ours, block_id)
        self._arm()
        if lines:  # a clock that an unknown event was to start would never run
            time.sleep(RELOAD_S)
            self._arm()
        return lines

    def _put(self, alarm: Alarm, ours: list[Automation], block_id: UUID) -> list[str]:
        """Make an alarm, or correct the first automation that is this alarm; others that are it as well are removed."""
        if not ours:
            self._client.create_automation(alarm.automation(block_id))
            return [f"Made: {alarm.name}. {alarm.description}"]
        lines = []
        wanted = alarm.automation(block_id, enabled=ours[0].enabled)
        if automations.correct(self._client, ours[0], wanted):
            lines = [f"Corrected: {alarm.name}. {alarm.description}"]
        for double in ours[1:]:
            self._client.delete_automation(double.id)
            lines.append(f"Removed, as it was there twice: {double.name}")
        return lines

    def _block_in_use(self, existing: list[Automation]) -> UUID:
        used = block_ids(existing)
        if len(used) != 1:
            raise AlarmsMissing("nobody has said where they are to be sent")
        return used.pop()

    def _arm(self) -> None:
        """Begin to wait for a sweep, if nobody does."""
        send_event(self._client, ARMED, "realtimekit.sweep.any", "any sweep", {WHOLE_LABEL: "yes"})

    def states(self) -> tuple[list[AlarmState], str]:
        """Return the alarms that the server has, and who receives them."""
        existing = read_alarms(self._client)
        return [state_of(automation) for automation in existing], name_receivers(self._client, block_ids(existing))

    def remove(self) -> list[str]:
        """Remove all alarms, and the block of ours; return a line for each."""
        existing, lines = read_alarms(self._client), []
        for automation in existing:
            self._client.delete_automation(automation.id)
            lines.append(f"Removed: {automation.name}")
        if block := find_block(self._client, OURS):
            self._client.delete_block_document(block.id)
            lines.append(f"Removed: {OURS}, the address of the receiver")
        return lines


def send_event(
    client: SyncPrefectClient, event: str, resource: str, name: str, labels: Mapping[str, str] = NO_LABELS
) -> Event:
    """Send an event, and return it when the server has it: one that is sent in the background may come too late."""
    about = Resource({**labels, "prefect.resource.id": resource, "prefect.resource.name": name})
    sent = Event(event=event, resource=about)
    client.request("POST", "/events", json=[sent.model_dump(mode="json")]).raise_for_status()
    return sent


def block_ids(automations: Sequence[Automation]) -> set[UUID]:
    """Return the ids of the notification blocks that automations use."""
    actions = [action for automation in automations for action in automation.actions]
    return {action.block_document_id for action in actions if isinstance(action, SendNotification)}


def _swept_within(existing: list[Automation]) -> timedelta:
    """Return how long no sweep may complete, as the existing alarm has it."""
    triggers = [one.trigger for one in existing if f"{TAG}:{NO_SWEEP}" in one.tags]
    return next((trigger.within for trigger in triggers if isinstance(trigger, EventTrigger)), SWEPT_WITHIN)


@contextmanager
def open_alarms() -> Iterator[tuple[AlarmBook, SyncPrefectClient]]:
    """Give the alarms of the server that is configured, and the client that asks it.

    Raises:
        PrefectUnavailable: the server ceased to answer.
    """
    failure = ""
    try:
        with get_client(sync_client=True) as client:
            yield AlarmBook(client), client
    except httpx.HTTPStatusError as error:
        failure = f"HTTP {error.response.status_code}"
    except (PrefectException, httpx.HTTPError) as error:
        failure = type(error).__name__
    if failure:
        raise PrefectUnavailable(server_host(), failure)
