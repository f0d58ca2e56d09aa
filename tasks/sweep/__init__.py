"""The catch-up: which recordings are not archived yet, and what becomes of them."""

from __future__ import annotations

from tasks.sweep.ledger import Ledger, Outcome
from tasks.sweep.plan import Plan, merge_plans, plan_sweep
from tasks.sweep.report import Sweep, findings, read_told, rows, summary
from tasks.sweep.scope import Scope
from tasks.sweep.stages import archive_all, find_unarchived, hand_out_all
from tasks.sweep.survey import ListedRecording

__all__ = [
    "Ledger",
    "ListedRecording",
    "Outcome",
    "Plan",
    "Scope",
    "Sweep",
    "archive_all",
    "find_unarchived",
    "findings",
    "hand_out_all",
    "merge_plans",
    "plan_sweep",
    "read_told",
    "rows",
    "summary",
]
