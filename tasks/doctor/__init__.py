"""Whether recordings will arrive: checks of the settings, of Cloudflare and of the store."""

from __future__ import annotations

from tasks.doctor.clock_skew import Clocks
from tasks.doctor.prefect_versions import GROUP, PROJECT, SERVER, check_versions, without_server
from tasks.doctor.runner import (
    Check,
    CheckResult,
    Checkup,
    Finding,
    failed,
    ok,
    run,
    skipped,
    sound,
    unforeseen,
    warning,
)
from tasks.doctor.scratch_prefix import ScratchPrefix
from tasks.doctor.view import View, rows, summary

__all__ = [
    "GROUP",
    "PROJECT",
    "SERVER",
    "Check",
    "CheckResult",
    "Checkup",
    "Clocks",
    "Finding",
    "ScratchPrefix",
    "View",
    "check_versions",
    "failed",
    "ok",
    "rows",
    "run",
    "skipped",
    "sound",
    "summary",
    "unforeseen",
    "warning",
    "without_server",
]
