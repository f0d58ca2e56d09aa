"""The events of a sweep: which recordings are at risk or lost, and that all recordings were looked at.

Each sweep emits the events of a recording that is still at risk, as an event may be lost. Whoever tells people of them
tells of each recording once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.engine import AT_RISK, LOST, SWEPT
from tasks.sweep.report import COLUMNS, SESSION_COLUMNS, find_recently_lost
from tasks.text import safe_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.engine import Engine
    from tasks.sweep.report import Sweep, Swept
    from tasks.sweep.scope import Scope

MOST_EVENTS = 10
"""Recordings at risk, and lost ones, that a sweep emits an event for: a thousand messages tell nobody more."""
SWEEP_ID = "recordings"
"""Whose a sweep's event is: always the same, so that its absence can be noticed."""
SWEEP_RESOURCE, SWEEP_NAME = f"realtimekit.sweep.{SWEEP_ID}", f"sweep {SWEEP_ID}"
"""The resource of that event, and the name of the resource."""
REASON = 300


def emit_events(engine: Engine, sweep: Sweep, scope: Scope) -> None:
    """Emit the events of a sweep that is done: soonest expiry first, and what was lost last first.

    Args:
        engine: of the run.
        sweep: the result.
        scope: what the sweep was about. Only a sweep of all recordings emits that recordings were swept.
    """
    lost = find_recently_lost(sweep, scope)
    _emit_recordings(engine, AT_RISK, sweep.at_risk)
    _emit_recordings(engine, LOST, lost[::-1])
    if scope.is_whole:
        counts = {name: len(getattr(sweep, name)) for name in ("at_risk", *COLUMNS, *SESSION_COLUMNS)}
        engine.emit(SWEPT, SWEEP_ID, {**counts, "already_archived": sweep.already_archived}, "sweep")


def _emit_recordings(engine: Engine, event: str, recordings: Sequence[Swept]) -> None:
    for swept in recordings[:MOST_EVENTS]:
        engine.emit(event, swept.recording_id, _payload(swept, len(recordings) - 1))


def _payload(swept: Swept, others: int) -> dict[str, Any]:
    return {
        "recording_id": swept.recording_id,
        "app_id": swept.app_id,
        "expires_at": f"{swept.expires_at:%Y-%m-%d %H:%M} UTC" if swept.expires_at else "",
        "reason": safe_line(swept.reason, REASON),
        "others": others,
        "command": f"uv run python -m flows.archive_recording {swept.recording_id}",
    }
