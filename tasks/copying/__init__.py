"""A second copy of the archive in another bucket, bag by bag, verified; and the comparison of both."""

from __future__ import annotations

from tasks.copying.archive_copy import CopyOptions
from tasks.copying.context import CopySession
from tasks.copying.findings import CopyFindings
from tasks.copying.models import CopyFigures, CopyReport
from tasks.copying.report import describe_problems, figures_of, make_report, summarize, table_rows
from tasks.copying.stages import copy_bags
from tasks.copying.store_checks import copy_checks

__all__ = [
    "CopyFigures",
    "CopyFindings",
    "CopyOptions",
    "CopyReport",
    "CopySession",
    "copy_bags",
    "copy_checks",
    "describe_problems",
    "figures_of",
    "make_report",
    "summarize",
    "table_rows",
]
