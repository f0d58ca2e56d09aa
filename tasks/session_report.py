"""The report of an archived session for people: what, where, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.text import code, literal, table_of_files

if TYPE_CHECKING:
    from tasks.archive import ArchivedMeetingSession

MOST_LINES = 50
"""Files, and missing pieces, that a report names; the others are counted."""


def report_session(archived: ArchivedMeetingSession) -> str:
    """Return what was archived of a session as markdown."""
    files, missing = archived.files[:MOST_LINES], archived.missing[:MOST_LINES]
    lines = [
        f"## Session {archived.session_id}",
        "",
        f"Archived and verified: version {archived.version}, {len(archived.files)} files, at",
        "",
        code(archived.archive_url),
        "",
        *(f"**Look at this:** {literal(finding)}\n" for finding in archived.findings),
        *(f"{literal(redaction)}\n" for redaction in archived.redactions),
        *table_of_files((file.path, file.size, file.content_type) for file in files),
        *_others(len(archived.files)),
        "",
        *(f"- missing: {code(piece.name)}: {literal(piece.reason)}" for piece in missing),
        *_others(len(archived.missing)),
        "",
        *(f"- recording: {code(recording_id)}" for recording_id in archived.recording_ids),
    ]
    return "\n".join(lines)


def _others(count: int) -> list[str]:
    return ["", f"… and {count - MOST_LINES} others"] if count > MOST_LINES else []
