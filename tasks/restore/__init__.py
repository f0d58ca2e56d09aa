"""Restore: archived bags back to a folder or another bucket, verified while they move; and links to single files."""

from __future__ import annotations

from tasks.restore.context import ChosenBag
from tasks.restore.links import Link, make_links, parse_lifetime
from tasks.restore.models import RestoredBag, RestoreReport
from tasks.restore.report import describe_problems, summarize, table_rows
from tasks.restore.selection import find_recordings, id_of
from tasks.restore.stages import RestoreOptions, RestoreSession, parse_target, restore_recordings

__all__ = [
    "ChosenBag",
    "Link",
    "RestoreOptions",
    "RestoreReport",
    "RestoreSession",
    "RestoredBag",
    "describe_problems",
    "find_recordings",
    "id_of",
    "make_links",
    "parse_lifetime",
    "parse_target",
    "restore_recordings",
    "summarize",
    "table_rows",
]
