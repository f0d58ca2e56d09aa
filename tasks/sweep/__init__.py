"""The catch-up: which recordings are not archived yet, and what becomes of them."""

from __future__ import annotations

from tasks.sweep.plan import Listed, Plan, merged, plan_for
from tasks.sweep.report import Book, Outcome, Sweep, findings, rows, summary, told_in
from tasks.sweep.scope import Scope

__all__ = [
    "Book",
    "Listed",
    "Outcome",
    "Plan",
    "Scope",
    "Sweep",
    "findings",
    "merged",
    "plan_for",
    "rows",
    "summary",
    "told_in",
]
