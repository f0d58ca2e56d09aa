"""The alarms as Prefect's server has them: automations, found again by their tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefect.events.filters import AutomationFilter, AutomationFilterTags

from tasks.orchestration.alarm_rules import TAG, make_alarms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import Automation


@dataclass(frozen=True)
class AlarmState:
    """One alarm as the server has it."""

    key: str
    name: str
    description: str
    enabled: bool


def read_alarms(client: SyncPrefectClient) -> list[Automation]:
    """Return the automations that are alarms of ours, always in the same order."""
    ours = AutomationFilter(tags=AutomationFilterTags(all_=[TAG]))
    return sorted(client.read_automations(automations=ours), key=lambda automation: str(automation.id))


def state_of(automation: Automation) -> AlarmState:
    """Return the alarm that an automation is."""
    keys = [tag.partition(":")[2] for tag in automation.tags if tag.startswith(f"{TAG}:")]
    return AlarmState(keys[0] if keys else "", automation.name, automation.description, automation.enabled)


def missing_alarms(states: Iterable[AlarmState]) -> list[str]:
    """Return the names of the alarms that are not among these."""
    keys = {state.key for state in states}
    return [alarm.name for alarm in make_alarms() if alarm.key not in keys]
