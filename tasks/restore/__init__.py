"""Restore: archived bags back to a folder or another bucket, verified while they move; and links to single files."""

from __future__ import annotations

from tasks.restore.bag_restore import restore_bag
from tasks.restore.bucket_target import PARTS_AT_ONCE, BucketTarget
from tasks.restore.context import ChosenBag, RestoreContext
from tasks.restore.links import Link, make_links, parse_lifetime
from tasks.restore.models import RestoredBag, RestoreReport
from tasks.restore.report import describe_problems, summarize, table_rows
from tasks.restore.selection import find_recordings, id_of
from tasks.restore.stages import (
    BAGS_AT_ONCE,
    SPARE_CONNECTIONS,
    RestoreOptions,
    RestoreSession,
    SummedTally,
    parse_target,
    restore_recordings,
)

__all__ = [
    "BAGS_AT_ONCE",
    "PARTS_AT_ONCE",
    "SPARE_CONNECTIONS",
    "BucketTarget",
    "ChosenBag",
    "Link",
    "RestoreContext",
    "RestoreOptions",
    "RestoreReport",
    "RestoreSession",
    "RestoredBag",
    "SummedTally",
    "describe_problems",
    "find_recordings",
    "id_of",
    "make_links",
    "parse_lifetime",
    "parse_target",
    "restore_bag",
    "restore_recordings",
    "summarize",
    "table_rows",
]
