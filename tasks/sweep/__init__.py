"""The catch-up: which recordings are not archived yet, and what becomes of them."""

from __future__ import annotations

from tasks.sweep.app_sessions import SessionChoice, sweep_sessions
from tasks.sweep.events import emit_events
from tasks.sweep.ledger import Ledger
from tasks.sweep.plan import Plan, plan_sweep
from tasks.sweep.report import Sweep, figures_of, findings, read_told, rows, summary
from tasks.sweep.scope import Scope
from tasks.sweep.stages import archive_all, find_unarchived, hand_out_all

__all__ = [
    "Ledger",
    "Plan",
    "Scope",
    "SessionChoice",
    "Sweep",
    "archive_all",
    "emit_events",
    "figures_of",
    "find_unarchived",
    "findings",
    "hand_out_all",
    "plan_sweep",
    "read_told",
    "rows",
    "summary",
    "sweep_sessions",
]
