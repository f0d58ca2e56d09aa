"""Whether recordings will arrive: checks of the settings, of Cloudflare and of the store."""

from __future__ import annotations

from tasks.doctor.clock_check import check_clock
from tasks.doctor.clock_skew import ClockSkew
from tasks.doctor.prefect_versions import GROUP, PROJECT, SERVER, check_versions, without_server
from tasks.doctor.runner import (
    Check,
    CheckResult,
    Checkup,
    Finding,
    all_passed,
    describe_unforeseen,
    failed,
    ok,
    run_checks,
    skipped,
    warning,
)
from tasks.doctor.scratch_prefix import ScratchPrefix
from tasks.doctor.secrets_check import secrets_checks
from tasks.doctor.view import View, rows, summary

__all__ = [
    "GROUP",
    "PROJECT",
    "SERVER",
    "Check",
    "CheckResult",
    "Checkup",
    "ClockSkew",
    "Finding",
    "ScratchPrefix",
    "View",
    "all_passed",
    "check_clock",
    "check_versions",
    "describe_unforeseen",
    "failed",
    "ok",
    "rows",
    "run_checks",
    "secrets_checks",
    "skipped",
    "summary",
    "warning",
    "without_server",
]
