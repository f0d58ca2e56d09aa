"""An audit's report: a typed result, how much of the archive was read again when, and what is damaged.

Bags that cannot be verified, folders that were never finished, and foreign objects are reported, but are no damage.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tasks.archive import (
    Finding,
    held_at,
    shown,
)
from tasks.audit.schedule import is_new
from tasks.realtimekit import RETENTION, parse_archived
from tasks.text import cell, human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.audit.findings import AuditFindings, Damage

NAMED = 5
"""How many recordings a message names; the others are counted."""
ROWS = 500
"""Of the table in Prefect's UI."""
WIDTH = 120
"""Characters of a line in a cell: wide enough to copy a checksum in one piece."""


class DamagedRecording(BaseModel):
    """A recording that is no longer what was archived; also the event's payload."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    app_id: str  # empty for a bag in another place than we archive to
    archive_url: str
    found_at: datetime
    findings: tuple[Finding, ...]
    more_findings: int  # that are not listed
    found_before: bool  # by an earlier audit; this one has not read the bag yet
    source_expires_at: datetime | None  # when RealtimeKit deletes the original, or a little before that
    command: str  # archives it again; empty if the original is gone

    @property
    def to_do(self) -> str:
        """What a person can do about it."""
        if self.recording_id.startswith("session-"):
            return "look for other versions beside it; a run for the session archives what its source still has"
        if self.command:
            return f"bring it home again: {self.command}"
        return "the original is no longer at its source: look for a copy" if self.app_id else "look for a copy"

    def __str__(self) -> str:
        """Return it as a part of a message."""
        first = str(self.findings[0]) if self.findings else "see the audit that found it"
        others = len(self.findings) - 1 + self.more_findings
        more = f"; and {others} more findings" if others > 0 else ""
        before = f"; found {self.found_at:%Y-%m-%d}, not looked at again yet" if self.found_before else ""
        return f"{self.recording_id} ({first}{more}{before}; {self.to_do})"


class UnreadRecording(BaseModel):
    """A recording that could not be read: whether it is damaged is not known."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    archive_url: str
    reason: str


class Notice(BaseModel):
    """Something that is no damage, but that a person may want to check."""

    model_config = ConfigDict(frozen=True)

    what: str
    where: str
    detail: str


class Coverage(BaseModel):
    """How much of the archive was read again, and when."""

    model_config = ConfigDict(frozen=True)

    recordings: int
    within_days: int
    reread_within: int  # so many days
    never_reread: int  # or not since they were replaced, or that cannot be verified
    oldest_days: float | None  # age of the oldest reading; None if no recording was ever read

    def __str__(self) -> str:
        """Return it as a line."""
        if not self.recordings:
            return "there is no recording"
        whole = self.reread_within == self.recordings
        share = f"all {self.recordings:,}" if whole else f"{self.reread_within:,} of {self.recordings:,}"
        oldest = f"; oldest {self.oldest_days:.0f} days" if self.oldest_days is not None else ""
        never = f"; {self.never_reread:,} never yet" if self.never_reread else ""
        return f"{share} recordings re-read within {self.within_days} days{oldest}{never}"


class AuditReport(BaseModel):
    """The result of an audit."""

    model_config = ConfigDict(frozen=True)

    archive_url: str
    deep: bool
    coverage: Coverage
    reread: int  # recordings, by this audit
    bytes_read: int
    seconds: float
    damaged: tuple[DamagedRecording, ...] = ()
    unread: tuple[UnreadRecording, ...] = ()
    unfinished: str = ""  # why the audit ended before it was done
    notices: tuple[Notice, ...] = ()


def report(
    findings: AuditFindings, url: str, now: datetime, within_days: int, app_id: str, *, deep: bool, unfinished: str = ""
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
    """
    damages = sorted([*findings.damaged.values(), *findings.known_damage()], key=lambda damage: damage.held.folder)
    return AuditReport(
        archive_url=url,
        deep=deep,
        coverage=coverage(findings, now, within_days),
        reread=len(findings.reread),
        bytes_read=findings.read,
        seconds=round(findings.seconds, 1),
        damaged=tuple(describe_damage(damage, url, now, app_id) for damage in damages),
        unread=tuple(
            UnreadRecording(
                recording_id=shown(held_at(folder).recording_id), archive_url=f"{url}/{shown(folder)}", reason=why
            )
            for folder, why in sorted(findings.unread.items())
        ),
        unfinished=unfinished,
        notices=tuple(_find_notices(findings, url)),
    )


def coverage(findings: AuditFindings, now: datetime, within_days: int) -> Coverage:
    """Return how much of the archive was read again; readings of bags that were replaced since do not count."""
    readings = []
    for folder, held in findings.holdings.bags.items():
        record = findings.records.get(folder)
        verified = record is not None and record.outcome != "unverifiable"
        if record is not None and record.read_at is not None and verified and not is_new(held, record):
            readings.append(min(record.read_at, now))
    recent = [at for at in readings if now - at <= timedelta(days=within_days)]
    return Coverage(
        recordings=len(findings.holdings.bags),
        within_days=within_days,
        reread_within=len(recent),
        never_reread=len(findings.holdings.bags) - len(readings),
        oldest_days=round((now - min(readings)) / timedelta(days=1), 2) if readings else None,
    )


def describe_damage(damage: Damage, url: str, now: datetime, app_id: str) -> DamagedRecording:
    """Return the report of a damaged recording.

    Args:
        damage: as the audit found it.
        url: the archive's, as ARCHIVE_URL has it.
        now: the time for which is told whether the original still exists.
        app_id: the app that this machine's settings name; empty if none.
    """
    held, record = damage.held, damage.record
    expires = _source_expires(damage) if held.ours else None
    there = expires is not None and now < expires and not held.is_session
    other_app = f"REALTIMEKIT_APP_ID={held.app_id} " if app_id and app_id != held.app_id else ""
    command = f"{other_app}uv run python -m flows.archive_recording {held.recording_id} --overwrite"
    return DamagedRecording(
        recording_id=shown(held.recording_id),
        app_id=held.app_id,
        archive_url=f"{url}/{shown(held.folder)}",
        found_at=record.at,
        findings=record.findings,
        more_findings=record.more,
        found_before=damage.known,
        source_expires_at=expires,
        command=command if there else "",
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
    for held in sorted(findings.forgotten, key=lambda held: held.folder):
        detail = f"no bagit.txt, and nothing written since {held.newest:%Y-%m-%d %H:%M} UTC"
        yield Notice(what="half done and forgotten", where=f"{url}/{shown(held.folder)}", detail=detail)
    for upload in sorted(findings.abandoned, key=lambda upload: upload.key):
        where = f"s3://{url.removeprefix('s3://').partition('/')[0]}/{shown(upload.key)}"
        detail = f"begun {upload.begun:%Y-%m-%d}: nobody can finish it, abort it"
        yield Notice(what="incomplete upload", where=where, detail=detail)
    if holdings.foreign:
        detail = f"{holdings.foreign:,} objects that are in no bag, such as in {', '.join(holdings.samples)}"
        yield Notice(what="foreign objects", where=url, detail=detail)
    if findings.unsettled:
        detail = f"{len(findings.unsettled)} recordings were being written or deleted: left to the next audit"
        yield Notice(what="being written", where=url, detail=detail)


def summary(audit: AuditReport) -> str:
    """Return the result of an audit in one line."""
    cover = str(audit.coverage)
    parts = [f"{cover[0].upper()}{cover[1:]}"]
    if audit.damaged:
        parts.append(f"{len(audit.damaged)} DAMAGED")
    if audit.unread:
        parts.append(f"{len(audit.unread)} could not be read")
    if audit.notices:
        parts.append(f"{len(audit.notices)} notices")
    rate = human_size(audit.bytes_read / max(audit.seconds, 0.001))
    done = f"re-read {audit.reread:,}" if audit.deep else "compared listings and sizes only, read no payload"
    return f"{'. '.join(parts)}. This audit {done}: {human_size(audit.bytes_read)} in {audit.seconds:.0f} s ({rate}/s)"


def summarize_damage(audit: AuditReport) -> str:
    """Return what is damaged, bounded in length; empty if nothing is."""
    if not audit.damaged:
        return ""
    new_first = sorted(audit.damaged, key=lambda damage: damage.found_before)
    return f"{len(audit.damaged)} damaged: {_join_names(new_first)}"


def describe_unfinished(audit: AuditReport) -> str:
    """Return what an audit could not do, bounded in length; empty if it did all."""
    parts = [audit.unfinished] if audit.unfinished else []
    if audit.unread:
        named = _join_names([f"{unread.recording_id} ({unread.reason})" for unread in audit.unread])
        parts.append(f"{len(audit.unread)} recordings cannot be read: {named}.")
    return " ".join(parts)


def _join_names(names: Iterable[object]) -> str:
    texts = list(map(str, names))
    more = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + more


def rows(audit: AuditReport) -> list[dict[str, str]]:
    """Return the table for people: damage by recording and file first, bounded in length."""
    table = [
        _make_row(
            bag.recording_id, f"DAMAGED: {finding.kind}", finding.path, finding.expected, finding.found, bag.to_do
        )
        for bag in audit.damaged
        for finding in bag.findings
    ]
    table += [_make_row(unread.recording_id, "could not be read", found=unread.reason) for unread in audit.unread]
    table += [_make_row("", notice.what, notice.where, found=notice.detail) for notice in audit.notices]
    if len(table) > ROWS:
        table = [*table[:ROWS], _make_row("", f"and {len(table) - ROWS} more")]
    return table or [_make_row("", str(audit.coverage))]


def _make_row(
    recording: str, outcome: str, path: str = "", expected: str = "", found: str = "", to_do: str = ""
) -> dict[str, str]:
    return {
        "recording": recording,
        "outcome": outcome,
        "file": cell(path, WIDTH),
        "expected": cell(expected, WIDTH),
        "found": cell(found, WIDTH),
        "what to do": to_do,  # in one line, to be copied; the words are ours
    }
