"""The report of a copy: numbers, a table, and in words what is not the same in both, with the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.copying.models import CopyFigures, CopyReport
from tasks.text import cell, human_size

if TYPE_CHECKING:
    from tasks.copying.archive_copy import CopyOptions
    from tasks.copying.context import CopySession
    from tasks.copying.findings import CopyFindings

SHOWN = 10
"""Failed bags in a message; the result has more."""
MOST_ROWS = 500
MOST_LETTERS = 500
_REPLACE = (
    "Once you know that the archive's is right, replace the copy's: uv run python -m flows.copy_archive --replace ID"
)
_AGAIN = (
    "Damaged in the archive, and so not copied: archive it again as long as RealtimeKit has it (uv run python -m "
    "flows.archive_recording ID --overwrite), or bring the copy's back, if it has one"
)
_NEXT = {
    "damaged": _AGAIN,
    "missing": _AGAIN,
    "unknown": _AGAIN,
    "damaged in the copy": f"The copy is damaged. {_REPLACE}",
    "another": f"The copy holds another bag under the same name. {_REPLACE}",
    "in the way": f"Other objects are in the way in the copy, and nothing is written over. {_REPLACE}",
    "unsafe": "Look who wrote the manifest: its paths lead elsewhere",
    "unreadable": "The archive's store does not give some objects: look at the store and the rights in it",
    "archived class": "Objects in an archived storage class (GLACIER, DEEP_ARCHIVE) cannot be read now: have them "
    "asked for by flows.restore_recording with --thaw DAYS, and copy them within these days",
    "missing in the copy": "The copy lacks bags: copy them, or look why the store does not replicate them",
    "deleted in the copy": "A tombstone is in the copy alone, so what it names is not copied: put the "
    "tombstone into the archive's _deleted/ and delete the bag, or take it out of the copy's",
    "not archived": "Not archived: correct the ids, or ARCHIVE_URL",
}


def make_report(
    session: CopySession, findings: CopyFindings, options: CopyOptions, seconds: float, unfinished: str
) -> CopyReport:
    """Return the report of a copy.

    Args:
        session: of the run.
        findings: what was done and found out.
        options: of the run.
        seconds: that the run took.
        unfinished: why it ended before it was done; empty if it was done.
    """
    return CopyReport(
        archive_url=session.settings.archive_url,
        copy_url=session.copy_settings.archive_url,
        compared_only=options.compare,
        copied=len(findings.copied),
        already_there=findings.already_there,
        failed=findings.failed,
        left=findings.left,
        bytes=findings.bytes,
        derived=findings.derived,
        tombstones=findings.tombstones,
        only_in_copy=findings.only_in_copy.count,
        deleted_in_archive=findings.deleted.count,
        removed=findings.removed,
        seconds=round(seconds, 3),
        finished=not unfinished,
        failures=tuple(findings.failures),
        only_in_copy_folders=tuple(findings.only_in_copy.first),
        deleted_folders=tuple(findings.deleted.first),
        unfinished=unfinished,
    )


def figures_of(report: CopyReport) -> CopyFigures:
    """Return the numbers of a report."""
    return CopyFigures.model_validate(report.model_dump(include=set(CopyFigures.model_fields)))


def summarize(report: CopyReport) -> str:
    """Return a line about a copy."""
    if report.compared_only:
        parts = [f"{report.already_there:,} bags are the same in {report.copy_url}"]
    else:
        size = human_size(report.bytes)
        parts = [f"{report.copied:,} bags copied to {report.copy_url} ({size}), {report.already_there:,} already there"]
    counted = {
        "not the same in both" if report.compared_only else "failed": report.failed,
        "missing in the copy" if report.compared_only else "left to the next run": report.left,
        "only in the copy": report.only_in_copy,
        "deleted from the archive and still in the copy": report.deleted_in_archive,
        "deleted from the copy, as from the archive": report.removed,
    }
    return ", ".join([*parts, *(f"{count:,} {what}" for what, count in counted.items() if count)])


def table_rows(report: CopyReport) -> list[dict[str, str]]:
    """Return a table for people: what is wrong, and what is only in the copy; else the numbers."""
    rows = [
        _row(
            "FAILED: " + failure.problems[0].kind,
            failure.folder,
            "; ".join(f"{problem.path} {problem.detail}".strip() for problem in failure.problems),
        )
        for failure in report.failures
    ]
    rows += [_row("only in the copy", folder, "the archive has it no longer") for folder in report.only_in_copy_folders]
    rows += [
        _row("deleted, still in the copy", folder, "--max-deletions N deletes it") for folder in report.deleted_folders
    ]
    if report.unfinished:
        rows.insert(0, _row("UNFINISHED", report.copy_url, report.unfinished))
    return rows[:MOST_ROWS] or [_row("well", report.copy_url, summarize(report))]


def _row(what: str, where: str, detail: str) -> dict[str, str]:
    return {"outcome": what, "bag": cell(where, MOST_LETTERS), "detail": cell(detail, MOST_LETTERS)}


def describe_problems(report: CopyReport) -> str:
    """Return in sentences what is not the same in both, and what to do; empty if there is nothing."""
    lines = [str(failure) for failure in report.failures[:SHOWN]]
    if report.failed > SHOWN:
        lines.append(f"and {report.failed - SHOWN} more, which the result names")
    kinds = dict.fromkeys(problem.kind for failure in report.failures for problem in failure.problems)
    lines += dict.fromkeys(_NEXT[kind] for kind in kinds)
    lines += [f"The run ended early: {report.unfinished.rstrip('.')}"] if report.unfinished else []
    return ". ".join(lines) + "." if lines else ""
