"""Whether the alarms are set up, for the doctor: without alarms, recordings arrive all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.events.filters import AutomationFilter, AutomationFilterTags

from tasks.doctor import ok, warning
from tasks.orchestration.alarm_rules import TAG, make_alarms

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from tasks.doctor import CheckResult

_SET_UP = "uv run python -m flows.alarms"


def check_alarms(client: SyncPrefectClient) -> CheckResult:
    """Look which alarms the server has."""
    tagged = AutomationFilter(tags=AutomationFilterTags(all_=[TAG]))
    existing = client.read_automations(automations=tagged)
    if not existing:
        return ok(f"none is set up: nobody is told when something fails. To set them up: {_SET_UP} --help")
    tags = {tag for automation in existing for tag in automation.tags}
    missing = [alarm.name for alarm in make_alarms() if alarm.tags[1] not in tags]
    off = [automation.name for automation in existing if not automation.enabled]
    if missing:
        return warning(f"missing: {', '.join(missing)}", f"Make them: {_SET_UP}")
    if off:
        return warning(f"turned off: {', '.join(off)}", "They ring again once somebody turns them on, in Prefect's UI.")
    return ok(f"all {len(existing)}. To try whether they arrive: {_SET_UP} --test")
