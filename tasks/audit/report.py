"""An audit's report: a typed result, how much of the archive was read again when, and what is damaged.

What cannot be verified, and what is half done, forgotten or foreign, is told, but is no damage.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tasks.archive import held_at, shown
from tasks.audit.fixity import Finding  # noqa: TC001 - pydantic reads it when the model is made
from tasks.audit.schedule import is_new
from tasks.realtimekit import RETENTION, parse_archived
from tasks.text import cell, human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.audit.findings import Damage, Found

NAMED = 5
"""How many recordings a message names; the others are counted."""
ROWS = 500
"""Of the table in Prefect's UI."""
WIDTH = 120
"""Characters of a line in its cells: a checksum is to be copied in one piece."""


class DamagedRecording(BaseModel):
    """A recording that is no longer what was archived; also the event's payload."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    app_id: str  # empty for a bag that lies elsewhere than we archive
    archive_url: str
    found_at: datetime
    findings: tuple[Finding, ...]
    more_findings: int  # that are not listed
    found_before: bool  # by an earlier audit: this one has not come to look again
    source_expires_at: datetime | None  # when RealtimeKit deletes the original, or a little before that
    command: str  # brings it home again; empty if the original is gone

    @property
    def to_do(self) -> str:
        """What somebody can do about it."""
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
    """Something that is no damage, and that somebody may want to look at."""

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
    never_reread: int  # or not since they were replaced, or not to be verified
    oldest_days: float | None  # since the recording was read that was not read for longest; None if none ever was

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
    """What an audit found."""

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
    found: Found, url: str, now: datetime, within_days: int, app_id: str, *, deep: bool, unfinished: str = ""
) -> AuditReport:
    """Return what an audit found.

    Args:
        found: by the audit.
        url: the archive's, as ARCHIVE_URL has it.
        now: when it ended.
        within_days: the age of a reading up to which it counts as covered.
        app_id: the app that this machine's settings name; empty if none.
        deep: whether payload was read.
        unfinished: why the audit ended before it was done.
    """
    damages = [*found.damaged.values(), *found.known_damage()]
    return AuditReport(
        archive_url=url,
        deep=deep,
        coverage=coverage(found, now, within_days),
        reread=len(found.reread),
        bytes_read=found.read,
        seconds=round(found.seconds, 1),
        damaged=tuple(damaged(one, url, now, app_id) for one in sorted(damages, key=lambda one: one.held.folder)),
        unread=tuple(
            UnreadRecording(
                recording_id=shown(held_at(folder).recording_id), archive_url=f"{url}/{shown(folder)}", reason=why
            )
            for folder, why in sorted(found.unread.items())
        ),
        unfinished=unfinished,
        notices=tuple(_notices(found, url)),
    )


def coverage(found: Found, now: datetime, within_days: int) -> Coverage:
    """Return how much of the archive was read again, counting only readings of what lies there now."""
    readings = []
    for folder, held in found.holdings.bags.items():
        record = found.records.get(folder)
        verified = record is not None and record.outcome != "unverifiable"
        if record is not None and record.read_at is not None and verified and not is_new(held, record):
            readings.append(min(record.read_at, now))
    recent = [at for at in readings if now - at <= timedelta(days=within_days)]
    return Coverage(
        recordings=len(found.holdings.bags),
        within_days=within_days,
        reread_within=len(recent),
        never_reread=len(found.holdings.bags) - len(readings),
        oldest_days=round((now - min(readings)) / timedelta(days=1), 2) if readings else None,
    )


def damaged(damage: Damage, url: str, now: datetime, app_id: str) -> DamagedRecording:
    """Return what is told of a damaged recording.

    Args:
        damage: as found.
        url: the archive's, as ARCHIVE_URL has it.
        now: whether the original still exists is told for this time.
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


def _notices(found: Found, url: str) -> Iterator[Notice]:
    holdings = found.holdings
    if not holdings.bags:
        yield Notice(what="no recordings", where=url, detail="there is no bag; check ARCHIVE_URL")
    for folder, record in sorted(found.records.items()):
        if record.outcome == "unverifiable" and folder in holdings.bags:
            told = "; ".join(map(str, record.findings[:NAMED]))
            yield Notice(what="cannot be verified", where=f"{url}/{shown(folder)}", detail=told)
    for held in sorted(found.forgotten, key=lambda held: held.folder):
        detail = f"no bagit.txt, and nothing written since {held.newest:%Y-%m-%d %H:%M} UTC"
        yield Notice(what="half done and forgotten", where=f"{url}/{shown(held.folder)}", detail=detail)
    for upload in sorted(found.abandoned, key=lambda upload: upload.key):
        where = f"s3://{url.removeprefix('s3://').partition('/')[0]}/{shown(upload.key)}"
        detail = f"begun {upload.begun:%Y-%m-%d}: nobody can finish it, abort it"
        yield Notice(what="incomplete upload", where=where, detail=detail)
    if holdings.foreign:
        detail = f"{holdings.foreign:,} objects that are in no bag, such as in {', '.join(holdings.samples)}"
        yield Notice(what="foreign objects", where=url, detail=detail)
    if found.unsettled:
        detail = f"{len(found.unsettled)} recordings were being written or deleted: left to the next audit"
        yield Notice(what="being written", where=url, detail=detail)


def summary(audit: AuditReport) -> str:
    """Return what an audit found, in a line."""
    cover = str(audit.coverage)
    told = [f"{cover[0].upper()}{cover[1:]}"]
    if audit.damaged:
        told.append(f"{len(audit.damaged)} DAMAGED")
    if audit.unread:
        told.append(f"{len(audit.unread)} could not be read")
    if audit.notices:
        told.append(f"{len(audit.notices)} notices")
    rate = human_size(audit.bytes_read / max(audit.seconds, 0.001))
    done = f"re-read {audit.reread:,}" if audit.deep else "compared listings and sizes only, read no payload"
    return f"{'. '.join(told)}. This audit {done}: {human_size(audit.bytes_read)} in {audit.seconds:.0f} s ({rate}/s)"


def alarm(audit: AuditReport) -> str:
    """Return what is damaged, bounded in length; empty if nothing is."""
    if not audit.damaged:
        return ""
    new_first = sorted(audit.damaged, key=lambda one: one.found_before)
    return f"{len(audit.damaged)} damaged: {_named(new_first)}"


def incomplete(audit: AuditReport) -> str:
    """Return what an audit could not do, bounded in length; empty if it did all."""
    told = [audit.unfinished] if audit.unfinished else []
    if audit.unread:
        named = _named([f"{one.recording_id} ({one.reason})" for one in audit.unread])
        told.append(f"{len(audit.unread)} recordings cannot be read: {named}.")
    return " ".join(told)


def _named(ones: Iterable[object]) -> str:
    all_of_them = list(map(str, ones))
    more = f"; and {len(all_of_them) - NAMED} more" if len(all_of_them) > NAMED else ""
    return "; ".join(all_of_them[:NAMED]) + more


def rows(audit: AuditReport) -> list[dict[str, str]]:
    """Return the table for people: damage by recording and file first, bounded in length."""
    table = [
        _row(one.recording_id, f"DAMAGED: {finding.kind}", finding.path, finding.expected, finding.found, one.to_do)
        for one in audit.damaged
        for finding in one.findings
    ]
    table += [_row(one.recording_id, "could not be read", found=one.reason) for one in audit.unread]
    table += [_row("", one.what, one.where, found=one.detail) for one in audit.notices]
    if len(table) > ROWS:
        table = [*table[:ROWS], _row("", f"and {len(table) - ROWS} more")]
    return table or [_row("", str(audit.coverage))]


def _row(
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
