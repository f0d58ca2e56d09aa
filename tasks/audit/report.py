"""An audit's report: what was read again when, and what is damaged, from the findings and records of the audit.

Bags that cannot be verified, folders that were never finished, and foreign objects are reported, but are no damage.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.archive import held_at, layout, shown
from tasks.audit.models import (
    REPLACES_COPY,
    AuditReport,
    Coverage,
    DamagedRecording,
    DamagedSession,
    Notice,
    SessionCoverage,
    UnreadRecording,
    UnreadSession,
)
from tasks.audit.schedule import is_new
from tasks.figures import AuditFigures
from tasks.realtimekit import RETENTION, parse_archived

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tasks.audit.findings import AuditFindings, Damage

NAMED = 5
"""Of a bag's findings in a notice."""


@dataclass(frozen=True)
class _Folders:
    """The folders of an archive's bags, by what each counts as."""

    recordings: list[str]
    sessions: list[str]  # the newest version of each
    older: list[str]  # all other versions

    @classmethod
    def of(cls, findings: AuditFindings, folders: Iterable[str]) -> _Folders:
        """Sort folders."""
        sorted_in = cls([], [], [])
        for folder in folders:
            if findings.is_superseded(folder):
                sorted_in.older.append(folder)
            elif held_at(folder).is_session:
                sorted_in.sessions.append(folder)
            else:
                sorted_in.recordings.append(folder)
        return sorted_in


def report(
    findings: AuditFindings,
    url: str,
    now: datetime,
    within_days: int,
    app_id: str,
    *,
    deep: bool,
    unfinished: str = "",
    copy: bool = False,
) -> AuditReport:
    """Return the report of an audit.

    Args:
        findings: of the audit.
        url: the archive's, as ARCHIVE_URL has it.
        now: when it ended.
        within_days: the age of a reading up to which it counts as covered.
        app_id: the app that this machine's settings name; empty if none.
        deep: whether payload was read.
        unfinished: why the audit ended early; empty if it did not.
        copy: it is an audit of the second copy.
    """
    damages = sorted([*findings.damaged.values(), *findings.known_damage()], key=lambda damage: damage.held.folder)
    damaged = [describe_damage(damage, url, now, app_id, copy=copy) for damage in damages]
    bags, reread = _Folders.of(findings, findings.holdings.bags), _Folders.of(findings, findings.reread)
    return AuditReport(
        archive_url=url,
        deep=deep,
        coverage=_measure_coverage(findings, bags, now, within_days),
        reread=len(reread.recordings),
        bytes_read=findings.read,
        seconds=round(findings.seconds, 1),
        damaged=tuple(bag for bag in damaged if not isinstance(bag, DamagedSession)),
        unread=tuple(_describe_unread_recordings(findings, url)),
        unfinished=unfinished,
        notices=tuple(_find_notices(findings, url)),
        sessions=_measure_sessions(findings, bags, now, within_days),
        sessions_reread=len(reread.sessions),
        older_versions_reread=len(reread.older),
        damaged_sessions=tuple(bag for bag in damaged if isinstance(bag, DamagedSession)),
        unread_sessions=tuple(_describe_unread_sessions(findings, url)),
    )


def figures_of(audited: AuditReport, *, looked_at_all: bool) -> AuditFigures:
    """Return what an operator plots of an audit.

    Args:
        audited: the result.
        looked_at_all: see `AuditFigures`.
    """
    coverage, sessions = audited.coverage, audited.sessions
    older = sum(damaged.superseded for damaged in audited.damaged_sessions)
    return AuditFigures(
        **coverage.model_dump(),
        looked_at_all=looked_at_all,
        deep=audited.deep,
        finished=not audited.unfinished,
        seconds=audited.seconds,
        bytes_read=audited.bytes_read,
        reread=audited.reread,
        damaged=len(audited.damaged),
        unread=len(audited.unread),
        sessions=sessions.sessions,
        sessions_reread_within=sessions.reread_within,
        sessions_never_reread=sessions.never_reread,
        sessions_reread=audited.sessions_reread,
        damaged_sessions=len(audited.damaged_sessions) - older,
        damaged_older_versions=older,
        unread_sessions=len(audited.unread_sessions),
    )


def _measure_coverage(findings: AuditFindings, bags: _Folders, now: datetime, within_days: int) -> Coverage:
    ages = _ages(findings, bags.recordings, now)
    return Coverage(
        recordings=len(bags.recordings),
        within_days=within_days,
        reread_within=_count_recent(ages, within_days),
        never_reread=len(bags.recordings) - len(ages),
        oldest_days=_oldest_days(ages),
    )


def _measure_sessions(findings: AuditFindings, bags: _Folders, now: datetime, within_days: int) -> SessionCoverage:
    ages = _ages(findings, bags.sessions, now)
    return SessionCoverage(
        sessions=len(bags.sessions),
        within_days=within_days,
        reread_within=_count_recent(ages, within_days),
        never_reread=len(bags.sessions) - len(ages),
        oldest_days=_oldest_days(ages),
        older_versions=len(bags.older),
        older_never_reread=len(bags.older) - len(_ages(findings, bags.older, now)),
    )


def _ages(findings: AuditFindings, folders: Iterable[str], now: datetime) -> list[timedelta]:
    """Return the ages of the last readings; readings of bags that were replaced since do not count."""
    ages = []
    for folder in folders:
        held, record = findings.holdings.bags[folder], findings.records.get(folder)
        verified = record is not None and record.outcome != "unverifiable"
        if record is not None and record.read_at is not None and verified and not is_new(held, record):
            ages.append(now - min(record.read_at, now))
    return ages


def _count_recent(ages: Iterable[timedelta], within_days: int) -> int:
    return sum(age <= timedelta(days=within_days) for age in ages)


def _oldest_days(ages: list[timedelta]) -> float | None:
    return round(max(ages) / timedelta(days=1), 2) if ages else None


def _describe_unread_recordings(findings: AuditFindings, url: str) -> Iterator[UnreadRecording]:
    for folder, reason in sorted(findings.unread.items()):
        held = held_at(folder)
        if not held.is_session:
            name, where = shown(held.recording_id), f"{url}/{shown(folder)}"
            yield UnreadRecording(recording_id=name, archive_url=where, reason=reason)


def _describe_unread_sessions(findings: AuditFindings, url: str) -> Iterator[UnreadSession]:
    for folder, reason in sorted(findings.unread.items()):
        held = held_at(folder)
        if held.is_session:
            version, where = layout.version_of(folder), f"{url}/{shown(folder)}"
            yield UnreadSession(session_id=held.session_id, version=version, archive_url=where, reason=reason)


def describe_damage(damage: Damage, url: str, now: datetime, app_id: str, *, copy: bool = False) -> DamagedRecording:
    """Return the report of a damaged recording, or of a damaged version of a session.

    Args:
        damage: as the audit found it.
        url: the archive's, as ARCHIVE_URL has it.
        now: the time for which is told whether the original still exists.
        app_id: the app that this machine's settings name; empty if none.
        copy: it is of the second copy, which the archive can mend.
    """
    held, record = damage.held, damage.record
    expires = _source_expires(damage) if held.ours else None
    there = expires is not None and now < expires and not held.is_session
    other_app = f"REALTIMEKIT_APP_ID={held.app_id} " if app_id and app_id != held.app_id else ""
    command = f"{other_app}uv run python -m flows.archive_recording {held.recording_id} --overwrite"
    if copy and held.ours:
        there, command = True, f"{REPLACES_COPY} {held.session_id or held.recording_id}"
    model = DamagedSession if held.is_session else DamagedRecording
    return model(
        recording_id=shown(held.recording_id),
        app_id=held.app_id,
        archive_url=f"{url}/{shown(held.folder)}",
        found_at=record.at,
        findings=record.findings,
        more_findings=record.more,
        found_before=damage.known,
        source_expires_at=expires,
        command=command if there else "",
        session_id=held.session_id,
        version=layout.version_of(held.folder) if held.is_session else 0,
        superseded=damage.superseded,
    )


def _source_expires(damage: Damage) -> datetime | None:
    """Return when the original is deleted, by the recording's details or, where they are lost, by its folder's day."""
    recording = parse_archived(damage.details)
    if recording is not None and recording.expires is not None:
        return recording.expires
    try:  # ours lie in APP/YYYY/MM/DD/ID/
        return datetime.fromisoformat("-".join(damage.held.folder.split("/")[1:4])).replace(tzinfo=UTC) + RETENTION
    except (ValueError, OverflowError):  # a recording without any time lies under the year 0000
        return None


def _find_notices(findings: AuditFindings, url: str) -> Iterator[Notice]:
    holdings = findings.holdings
    if not holdings.bags:
        yield Notice(what="no recordings", where=url, detail="there is no bag; check ARCHIVE_URL")
    for folder, record in sorted(findings.records.items()):
        if record.outcome == "unverifiable" and folder in holdings.bags:
            detail = "; ".join(map(str, record.findings[:NAMED]))
            yield Notice(what="cannot be verified", where=f"{url}/{shown(folder)}", detail=detail)
    known = {folder for folder, record in findings.records.items() if record.outcome == "archived class"}
    if cold := (known | findings.passed_over) & holdings.bags.keys():
        detail = f"{_count_bags(cold)}: compared by names and sizes as far as they can be, not read"
        yield Notice(what="in an archived storage class", where=url, detail=detail)
    for held in sorted(findings.forgotten, key=lambda held: held.folder):
        detail = f"no bagit.txt, and nothing written since {held.newest:%Y-%m-%d %H:%M} UTC"
        yield Notice(what="half done and forgotten", where=f"{url}/{shown(held.folder)}", detail=detail)
    for tombstone in findings.deletions:
        is_back = tombstone.state == "deleted" or (tombstone.state == "hidden" and tombstone.folder in holdings.bags)
        what = "deleted, and here again" if is_back else "deletion not finished"
        detail = f"{tombstone.describe()}; flows.expire_archive --delete finishes it"
        yield Notice(what=what, where=f"{url}/{shown(tombstone.folder)}", detail=shown(detail))
    for upload in sorted(findings.abandoned, key=lambda upload: upload.key):
        where = f"s3://{url.removeprefix('s3://').partition('/')[0]}/{shown(upload.key)}"
        detail = f"begun {upload.begun:%Y-%m-%d}: nobody can finish it, abort it"
        yield Notice(what="incomplete upload", where=where, detail=detail)
    if holdings.foreign:
        detail = f"{holdings.foreign:,} objects that are in no bag, such as in {', '.join(holdings.samples)}"
        yield Notice(what="foreign objects", where=url, detail=detail)
    if findings.unsettled:
        detail = f"{_count_bags(findings.unsettled)} were being written or deleted: left to the next audit"
        yield Notice(what="being written", where=url, detail=detail)


def _count_bags(folders: Collection[str]) -> str:
    versions = sum(held_at(folder).is_session for folder in folders)
    and_versions = f" and {versions} versions of sessions" if versions else ""
    return f"{len(folders) - versions} recordings{and_versions}"
