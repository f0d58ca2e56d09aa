"""The report of a run of the retention: a table for people, a line, and what somebody has to look after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.archive import tombstone_key
from tasks.retention.models import Deleted, ExpiryReport, Held
from tasks.text import cell, human_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.archive import Remains, Tombstone
    from tasks.retention.deletion import Cause
    from tasks.retention.grouping import Candidate
    from tasks.retention.selection import Kept

ROWS = 500
NAMED = 5


def describe_planned(candidate: Candidate, cause: Cause, url: str) -> Deleted:
    """Return what a candidate is, and why it is to be deleted.

    Args:
        candidate: that is not deleted yet.
        cause: see `Cause`.
        url: the archive's, as ARCHIVE_URL has it.
    """
    folder = candidate.folder
    return Deleted.model_validate({
        "kind": folder.kind, "id": folder.id, "app_id": folder.app_id, "archive_url": f"{url}/{folder.path}",
        "state": "planned", "cause": cause.kind, "reason": cause.reason, "by": cause.by, "objects": folder.objects,
        "bytes": folder.bytes, "session_ids": _session_ids(candidate.sessions),
    })  # fmt: skip


def describe_deleted(tombstone: Tombstone, url: str) -> Deleted:
    """Return what came of a deletion; arguments as above."""
    return Deleted(
        **tombstone.model_dump(include=set(Deleted.model_fields) & set(type(tombstone).model_fields) - {"remains"}),
        archive_url=f"{url}/{tombstone.folder}",
        session_ids=_session_ids(tombstone.with_sessions),
        remains=tombstone.remains,
        tombstone_url=f"{url}/{tombstone_key(tombstone.folder)}",
    )


def describe_held(kept: Kept, url: str) -> Held:
    """Return what is kept, and why; arguments as above."""
    folder = kept.folder
    where = f"{url}/{folder.path}"
    return Held(kind=folder.kind, id=folder.id, app_id=folder.app_id, archive_url=where, reason=kept.reason)


def _session_ids(folders: Sequence[str]) -> tuple[str, ...]:
    return tuple(folder.split("/")[-2].removeprefix("session-") for folder in folders)


def rows(report: ExpiryReport) -> list[dict[str, str]]:
    """Return the table for people, bounded in length: what somebody has to look after first."""
    done = sorted([*report.unfinished, *report.deleted], key=lambda its: its.state in {"deleted", "planned"})
    table = [_row(its.state, its, its.reason, describe_remains(its.remains)) for its in done]
    table += [_row("held", held, held.reason, "") for held in report.held]
    if len(table) > ROWS:
        table = [*table[:ROWS], dict.fromkeys(table[0], "") | {"state": f"and {len(table) - ROWS} more"}]
    return table


def _row(state: str, its: Deleted | Held, reason: str, remains: str) -> dict[str, str]:
    return {
        "state": cell(state),
        "kind": its.kind,
        "id": cell(its.id),
        "why": cell(reason),
        "what remains": cell(remains),
        "app": cell(its.app_id),
    }


def describe_remains(remains: Sequence[Remains]) -> str:
    """Return what the store did not let go, in a line; empty if there is nothing."""
    return "; ".join(
        f"{its.reason}{f', {its.objects} of them' if its.objects else ''}"
        f"{f', until {its.until:%Y-%m-%d %H:%M} UTC' if its.until else ''}"
        for its in remains
    )


def summarize(report: ExpiryReport) -> str:
    """Return what was done, or would be, in a line."""
    count = sum(its.kind == "recording" for its in report.deleted)
    size = human_size(sum(its.bytes for its in report.deleted))
    begin = (
        f"Nothing was deleted. To be deleted: {count} recordings" if report.dry_run else f"{count} recordings deleted"
    )
    parts = [f"{begin}, {len(report.deleted) - count} times a session's documents, {size}"]
    parts += [f"{len(report.unfinished)} deletions of earlier runs"] if report.unfinished else []
    parts += [f"{len(report.held)} held"] if report.held else []
    parts += [f"{report.left} left for the next run"] if report.left else []
    parts += (
        ["there is no policy, so that nothing expires"] if not report.policy_sha256 and not report.requested else []
    )
    return "; ".join(parts)


def describe_problems(report: ExpiryReport) -> str:
    """Return what keeps a run from its aim, in sentences; empty if nothing does.

    What a lock of the store keeps until a date is no failure of what the policy lets go: later runs finish it.
    """
    if report.dry_run:
        return ""
    entries = [*report.deleted, *report.unfinished]
    begun = [its for its in entries if its.state == "begun"]
    hidden = [its for its in entries if its.state == "hidden" and (report.requested or not _is_locked(its))]
    groups = {
        "could not be deleted and may be there in part": [
            f"{its.id} ({describe_remains(its.remains)})" for its in begun
        ],
        "are gone for readers, but older versions remain in the store": [
            f"{its.id} ({describe_remains(its.remains)})" for its in hidden
        ],
        "are asked for, and somebody wants back since": [
            its.id for its in report.deleted if its.state == "revoked" and report.requested
        ],
        "are asked for, and held": [f"{its.id} ({its.reason})" for its in report.held] if report.requested else [],
    }
    texts = [f"{len(named)} {what}: {_named(named)}." for what, named in groups.items() if named]
    texts += list(report.failed[:NAMED])
    if report.requested and report.left:
        texts.append(f"{report.left} more are asked for than one run deletes: run the same again.")
    return " ".join(texts)


def _is_locked(its: Deleted) -> bool:
    return all(remains.until is not None for remains in its.remains)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
