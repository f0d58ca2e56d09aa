"""The report of a restore: what was brought, and in words what was not, with the next step."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tasks.restore.models import RestoreReport
from tasks.text import cell, human_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.restore.models import RestoredBag

SHOWN = 10
"""Problems in the summary; the report has all."""
MOST_ROWS = 500
"""Of a table."""
MOST_LETTERS = 500
_NEXT = {
    "damaged": "Damaged or missing in the archive: look for another copy, or archive it again as long as RealtimeKit "
    "has it: uv run python -m flows.archive_recording RECORDING_ID --overwrite",
    "in the way": "Other files are in the way: move them, restore to another folder, or replace them with --overwrite",
    "unreadable": "The store does not give some objects: look at the store and the rights in it, and run again",
    "unsafe": "Some names cannot be used there: restore to another file system, or look who wrote the manifest",
    "archived class": "Objects in an archived storage class (GLACIER, DEEP_ARCHIVE) have to be asked for first, which "
    "costs money: --thaw DAYS asks the store, and with --thaw-tier bulk for less. Run the same command again when they "
    "are readable, or let it wait: --wait-for-thaw MINUTES",
    "not archived": "Not archived: correct the ids, or ARCHIVE_URL",
}
_ALSO = {"missing": "damaged", "unknown": "damaged"}


def make_report(to: str, bags: Sequence[RestoredBag], seconds: float) -> RestoreReport:
    """Return the report of a restore."""
    whole = Counter(bag.kind for bag in bags if bag.whole)
    return RestoreReport(
        to=to,
        recordings=whole["recording"],
        sessions=whole["session"],
        files=sum(bag.files for bag in bags),
        bytes=sum(bag.bytes for bag in bags),
        fetched_bytes=sum(bag.fetched_bytes for bag in bags),
        problems=sum(len(bag.problems) for bag in bags),
        seconds=round(seconds, 3),
        bags=tuple(bags),
    )


def summarize(report: RestoreReport) -> str:
    """Return a line about a restore."""
    moved = f"{human_size(report.bytes)}, {human_size(report.fetched_bytes)} of them fetched now"
    sessions = f", {report.sessions} sessions" if report.sessions else ""
    return f"{report.recordings} recordings{sessions} whole in {report.to}: {report.files} files, {moved}"


def table_rows(report: RestoreReport) -> list[dict[str, str]]:
    """Return a table for people: what is not whole first."""
    bags = sorted(report.bags, key=lambda bag: bag.whole and not bag.problems)[:MOST_ROWS]
    return [
        {
            "what": f"{bag.kind} {bag.id}",
            "condition": "whole" if bag.whole else "not whole",
            "restored to": cell(bag.restored_to),
            "files": str(bag.files),
            "size": human_size(bag.bytes),
            "problems": cell(
                "; ".join(f"{problem.path} {problem.kind}".strip() for problem in bag.problems), MOST_LETTERS
            ),
        }
        for bag in bags
    ]


def describe_problems(report: RestoreReport) -> str:
    """Return in sentences what was not restored, and what to do; empty if there is nothing."""
    problems = [(bag, problem) for bag in report.bags for problem in bag.problems]
    lines = [
        f"{bag.kind} {bag.id}: {f'{problem.path}: ' if problem.path else ''}{problem.kind}: {problem.detail}"
        for bag, problem in problems[:SHOWN]
    ]
    if len(problems) > SHOWN:
        lines.append(f"and {len(problems) - SHOWN} more, which the result names")
    kinds = dict.fromkeys(_ALSO.get(problem.kind, problem.kind) for _, problem in problems)
    return ". ".join([*lines, *(_NEXT[kind] for kind in kinds)]) + "." if problems else ""
