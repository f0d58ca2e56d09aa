"""Fixity: whether what was archived is still what was archived."""

from __future__ import annotations

from tasks.audit.auditor import Audit
from tasks.audit.findings import Damage
from tasks.audit.log import AuditLog
from tasks.audit.messages import describe_unfinished, rows, summarize_damage, summary
from tasks.audit.models import AuditReport, DamagedRecording, DamagedSession
from tasks.audit.report import describe_damage, figures_of, report
from tasks.audit.schedule import Budget
from tasks.audit.stages import AuditSession, reread_recordings, survey_archive

__all__ = [
    "Audit",
    "AuditLog",
    "AuditReport",
    "AuditSession",
    "Budget",
    "Damage",
    "DamagedRecording",
    "DamagedSession",
    "describe_damage",
    "describe_unfinished",
    "figures_of",
    "report",
    "reread_recordings",
    "rows",
    "summarize_damage",
    "summary",
    "survey_archive",
]
