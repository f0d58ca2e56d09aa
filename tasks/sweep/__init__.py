"""The catch-up: which recordings are not archived yet, and what becomes of them."""

from __future__ import annotations

from tasks.sweep.plan import Listed, Plan, merged, plan_for
from tasks.sweep.report import Book, Outcome, Sweep, findings, rows, summary, told_in
from tasks.sweep.scope import Scope
from tasks.sweep.stages import archive_all, find_unarchived, hand_out_all

__all__ = [
    "Book",
    "Listed",
    "Outcome",
    "Plan",
    "Scope",
    "Sweep",
    "archive_all",
    "find_unarchived",
    "findings",
    "hand_out_all",
    "merged",
    "plan_for",
    "rows",
    "summary",
    "told_in",
]
