"""The automation that ends runs which nobody works on any more: one is kept on Prefect's server.

A machine that dies takes its runs along, and Prefect's server lists them as Running, or as Pending, for ever. A sweep
leaves the recording of such a run alone for hours. The automation marks a run of this project as Crashed that gave no
sign of life.
Source: https://docs.prefect.io/v3/advanced/detect-zombie-flows
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from tasks.orchestration import automations
from tasks.orchestration.run_history import SILENT

if TYPE_CHECKING:
    from datetime import timedelta

NAME = "realtimekit-archiver: end silent runs"
FLOWS = (
    "archive-recording", "archive-session", "sweep-recordings", "audit-archive", "describe-recording",
    "update-catalog", "restore-recording", "copy-archive", "expire-archive", "doctor",
)  # fmt: skip
"""Whose runs are ended. Other projects on the same server may have turned heartbeats off, or have older clients."""
_RUN = "prefect.flow-run"


def new_automation(within: timedelta = SILENT) -> AutomationCore:
    """Return the automation.

    Args:
        within: after which a run without a sign of life counts as dead. Heartbeats come every three minutes.
    """
    trigger = EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": f"{_RUN}.*"}),
        match_related=ResourceSpecification({"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)}),
        for_each={"prefect.resource.id"},
        # A final state is an event, too, whatever its name: "Left", "Postponed".
        after={f"{_RUN}.Pending", f"{_RUN}.Running", f"{_RUN}.heartbeat"},
        expect={f"{_RUN}.*"},
        posture=Posture.Proactive,
        threshold=1,
        within=within,
    )
    message = f"No sign of life for {within}: its machine or worker died. The next sweep carries on."
    return AutomationCore(
        name=NAME,
        description="Marks runs as Crashed whose machine died. The next sweep carries on with their recordings.",
        trigger=trigger,
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )


def ensure_automation() -> bool:
    """Make the automation, or bring up to date what an older version made; return whether anything was changed.

    After how long a run counts as dead, and whether the automation is switched on, stay as somebody has set them.
    """
    with get_client(sync_client=True) as client:
        existing = client.read_automations_by_name(NAME)
        if not existing:
            client.create_automation(new_automation())
            return True
        first = existing[0]
        within = first.trigger.within if isinstance(first.trigger, EventTrigger) else SILENT
        wanted = new_automation(within).model_copy(update={"enabled": first.enabled})
        return automations.correct(client, first, wanted)
