"""Whether recordings will arrive: checks of the settings, of Cloudflare and of the store."""

from __future__ import annotations

from tasks.doctor.clock_skew import Clocks
from tasks.doctor.prefect_versions import GROUP, PROJECT, SERVER, check_versions, without_server
from tasks.doctor.runner import Check, Checkup, Finding, Said, failed, ok, run, skipped, sound, unforeseen, warning
from tasks.doctor.scratch_prefix import Corner
from tasks.doctor.view import View, rows, summary

__all__ = [
    "GROUP",
    "PROJECT",
    "SERVER",
    "Check",
    "Checkup",
    "Clocks",
    "Corner",
    "Finding",
    "Said",
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
