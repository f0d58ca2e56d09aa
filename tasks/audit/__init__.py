"""Fixity: whether what was archived is still what was archived."""

from __future__ import annotations

from tasks.audit.auditor import Audit, AuditContext
from tasks.audit.findings import Damage
from tasks.audit.log import AuditLog
from tasks.audit.report import AuditReport, DamagedRecording, alarm, damaged, incomplete, report, rows, summary
from tasks.audit.schedule import Budget
from tasks.audit.stages import AuditSession, reread_recordings, survey_archive

__all__ = [
    "Audit",
    "AuditContext",
    "AuditLog",
    "AuditReport",
    "AuditSession",
    "Budget",
    "Damage",
    "DamagedRecording",
    "alarm",
    "damaged",
    "incomplete",
    "report",
    "reread_recordings",
    "rows",
    "summary",
    "survey_archive",
]
