"""The events of recordings that a sweep finds at risk or lost.

Each sweep emits the events of a recording that is still at risk, as an event may be lost. Whoever tells people of them
tells of each recording once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.engine import AT_RISK, LOST
from tasks.sweep.report import find_recently_lost
from tasks.text import safe_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.engine import Engine
    from tasks.sweep.report import Sweep, Swept
    from tasks.sweep.scope import Scope

MOST_EVENTS = 10
"""Recordings at risk, and lost ones, that a sweep emits an event for: a thousand messages tell nobody more."""
REASON = 300


def emit_events(engine: Engine, sweep: Sweep, scope: Scope) -> None:
    """Emit the events of a sweep that is done: soonest expiry first, and what was lost last first.

    Args:
        engine: of the run.
        sweep: the result.
        scope: what the sweep was about.
    """
    _emit_recordings(engine, AT_RISK, sweep.at_risk)
    _emit_recordings(engine, LOST, find_recently_lost(sweep, scope)[::-1])


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
