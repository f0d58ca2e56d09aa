"""Fixity: whether what was archived is still what was archived."""

from __future__ import annotations

from tasks.audit.auditor import Audit, AuditContext
from tasks.audit.findings import Damage
from tasks.audit.log import AuditLog
from tasks.audit.report import (
    AuditReport,
    DamagedRecording,
    describe_damage,
    describe_unfinished,
    report,
    rows,
    summarize_damage,
    summary,
)
from tasks.audit.schedule import Budget

__all__ = [
    "Audit",
    "AuditContext",
    "AuditLog",
    "AuditReport",
    "Budget",
    "Damage",
    "DamagedRecording",
    "describe_damage",
    "describe_unfinished",
    "report",
    "rows",
    "summarize_damage",
    "summary",
]
