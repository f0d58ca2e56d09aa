"""An automation that this project keeps on Prefect's server, and that the server has perhaps in an older form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import Automation, AutomationCore


def correct(client: SyncPrefectClient, existing: Automation, wanted: AutomationCore) -> bool:
    """Bring an automation of the server up to date; return whether it differed from what is wanted."""
    differs = _content(existing) != _content(wanted)
    if differs:
        client.update_automation(existing.id, wanted)
    return differs


def _content(automation: AutomationCore) -> dict[str, Any]:
    """Return what an automation consists of, without what the server adds, and whether it is switched on."""
    content = automation.model_dump(mode="json", exclude={"id": True, "enabled": True, "trigger": {"id"}})
    for name in ("after", "expect", "for_each"):
        content["trigger"][name] = sorted(content["trigger"][name])
    return {name: content[name] for name in ("name", "description", "tags", "trigger", "actions")}
