"""Whether the alarms are set up, for the doctor: without alarms, recordings arrive all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.doctor import ok, warning
from tasks.orchestration.alarm_states import missing_alarms, read_alarms, state_of

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from tasks.doctor import CheckResult

_SET_UP = "uv run python -m flows.alarms"


def check_alarms(client: SyncPrefectClient) -> CheckResult:
    """Look which alarms the server has."""
    states = [state_of(automation) for automation in read_alarms(client)]
    if not states:
        return ok(f"none is set up: nobody is told when something fails. To set them up: {_SET_UP} --help")
    off = [state.name for state in states if not state.enabled]
    if missing := missing_alarms(states):
        return warning(f"missing: {', '.join(missing)}", f"Make them: {_SET_UP}")
    if off:
        return warning(f"turned off: {', '.join(off)}", "They ring again once somebody turns them on, in Prefect's UI.")
    return ok(f"all {len(states)}. To try whether they arrive: {_SET_UP} --test")
