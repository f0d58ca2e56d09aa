"""An audit's result as texts for people: lines, messages and a table, bounded in length.

A damaged version of a session that a newer version supersedes is in the line and in the table, but fails no run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.audit.models import DamagedSession
from tasks.text import cell, human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasks.audit.models import AuditReport, DamagedRecording

NAMED = 5
"""How many recordings or sessions a message names; the others are counted."""
ROWS = 500
"""Of the table in Prefect's UI."""
WIDTH = 120
"""Characters of a line in a cell: wide enough to copy a checksum in one piece."""


def summary(audit: AuditReport) -> str:
    """Return the result of an audit in one line."""
    parts = [_capitalized(str(audit.coverage))]
    if audit.sessions.sessions:
        parts.append(_capitalized(str(audit.sessions)))
    if audit.damaged:
        parts.append(f"{len(audit.damaged)} DAMAGED")
    if damaged := _count_sessions(_not_superseded(audit)):
        parts.append(f"{damaged} sessions DAMAGED")
    if older := len(audit.damaged_sessions) - len(_not_superseded(audit)):
        parts.append(f"{older} older versions of sessions damaged")
    if unread := len(audit.unread) + len(audit.unread_sessions):
        parts.append(f"{unread} could not be read")
    if audit.notices:
        parts.append(f"{len(audit.notices)} notices")
    rate = human_size(audit.bytes_read / max(audit.seconds, 0.001))
    done = _describe_reread(audit) if audit.deep else "compared listings and sizes only, read no payload"
    return f"{'. '.join(parts)}. This audit {done}: {human_size(audit.bytes_read)} in {audit.seconds:.0f} s ({rate}/s)"


def _capitalized(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _describe_reread(audit: AuditReport) -> str:
    sessions = f", {audit.sessions_reread:,} sessions" if audit.sessions_reread else ""
    older = f", {audit.older_versions_reread:,} older versions" if audit.older_versions_reread else ""
    recordings = f"{audit.reread:,} recordings" if sessions or older else f"{audit.reread:,}"
    return f"re-read {recordings}{sessions}{older}"


def _not_superseded(audit: AuditReport) -> list[DamagedSession]:
    """Return the damaged versions of sessions that no newer version supersedes."""
    return [damage for damage in audit.damaged_sessions if not damage.superseded]


def _count_sessions(damages: Iterable[DamagedSession]) -> int:
    return len({damage.session_id for damage in damages})


def summarize_damage(audit: AuditReport) -> str:
    """Return what is damaged, bounded in length; empty if nothing is that no newer version supersedes."""
    parts = [f"{len(audit.damaged)} damaged: {_join_damages(audit.damaged)}"] if audit.damaged else []
    if damages := _not_superseded(audit):
        parts.append(f"{_count_sessions(damages)} sessions damaged: {_join_damages(damages)}")
    return ". ".join(parts)


def _join_damages(damages: Sequence[DamagedRecording]) -> str:
    """Name damages, new ones first."""
    new_first = sorted(damages, key=lambda damage: damage.found_before)
    return _join_names(new_first)


def describe_unfinished(audit: AuditReport) -> str:
    """Return what an audit could not do, bounded in length; empty if it did all."""
    parts = [audit.unfinished] if audit.unfinished else []
    if audit.unread:
        named = _join_names([f"{unread.recording_id} ({unread.reason})" for unread in audit.unread])
        parts.append(f"{len(audit.unread)} recordings cannot be read: {named}.")
    if audit.unread_sessions:
        named = _join_names(
            [f"{unread.session_id}, version {unread.version} ({unread.reason})" for unread in audit.unread_sessions]
        )
        parts.append(f"{len(audit.unread_sessions)} versions of sessions cannot be read: {named}.")
    return " ".join(parts)


def _join_names(names: Iterable[object]) -> str:
    texts = list(map(str, names))
    more = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + more


def rows(audit: AuditReport) -> list[dict[str, str]]:
    """Return the table for people: damage by recording and file first, bounded in length."""
    table = [*_damaged_rows(audit.damaged), *_damaged_rows(_not_superseded(audit))]
    table += [_make_row(unread.recording_id, "could not be read", found=unread.reason) for unread in audit.unread]
    table += [
        _make_row(
            "", "could not be read", found=unread.reason, session=_name_version(unread.session_id, unread.version)
        )
        for unread in audit.unread_sessions
    ]
    table += _damaged_rows([damage for damage in audit.damaged_sessions if damage.superseded])
    table += [_make_row("", notice.what, notice.where, found=notice.detail) for notice in audit.notices]
    if len(table) > ROWS:
        table = [*table[:ROWS], _make_row("", f"and {len(table) - ROWS} more")]
    return table or _coverage_rows(audit)


def _coverage_rows(audit: AuditReport) -> list[dict[str, str]]:
    lines = [audit.coverage, audit.sessions] if audit.sessions.sessions else [audit.coverage]
    return [_make_row("", str(line)) for line in lines]


def _damaged_rows(damages: Iterable[DamagedRecording]) -> Iterator[dict[str, str]]:
    for damage in damages:
        recording, session, word = damage.recording_id, "", "DAMAGED"
        if isinstance(damage, DamagedSession):
            recording, session = "", _name_version(damage.session_id, damage.version)
            word = "older version damaged" if damage.superseded else word
        for finding in damage.findings:
            what = f"{word}: {finding.kind}"
            yield _make_row(recording, what, finding.path, finding.expected, finding.found, damage.to_do, session)


def _name_version(session_id: str, version: int) -> str:
    return f"{session_id}, version {version}"


def _make_row(
    recording: str,
    outcome: str,
    path: str = "",
    expected: str = "",
    found: str = "",
    to_do: str = "",
    session: str = "",
) -> dict[str, str]:
    return {
        "recording": recording,
        "outcome": outcome,
        "file": cell(path, WIDTH),
        "expected": cell(expected, WIDTH),
        "found": cell(found, WIDTH),
        "what to do": to_do,  # in one line, to be copied; the words are ours
        "session": session,
    }
