"""The typed result of an audit: what was read again when, and what is damaged or could not be read.

A version of a session is reported with its session, and is no recording.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads it when the model is made

from pydantic import BaseModel, ConfigDict

from tasks.archive import Finding  # noqa: TC001 - pydantic reads it when the model is made

REPLACES_COPY = "uv run python -m flows.copy_archive --replace"
"""The beginning of the command that mends the second copy."""


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
    session_id: str = ""  # of a version of a session; these are there for every event to have the same keys
    version: int = 0
    superseded: bool = False  # a newer version of the session is committed

    @property
    def to_do(self) -> str:
        """What a person can do about it."""
        if self.command.startswith(REPLACES_COPY):
            return f"copy it again, if the archive's is whole: {self.command}"
        if self.command:
            return f"bring it home again: {self.command}"
        return "the original is no longer at its source: look for a copy" if self.app_id else "look for a copy"

    @property
    def name(self) -> str:
        """What is damaged, for people."""
        return self.recording_id

    def __str__(self) -> str:
        """Return it as a part of a message."""
        first = str(self.findings[0]) if self.findings else "see the audit that found it"
        others = len(self.findings) - 1 + self.more_findings
        more = f"; and {others} more findings" if others > 0 else ""
        before = f"; found {self.found_at:%Y-%m-%d}, not looked at again yet" if self.found_before else ""
        return f"{self.name} ({first}{more}{before}; {self.to_do})"


class DamagedSession(DamagedRecording):
    """A version of a session that is no longer what was archived; `recording_id` is `session-{session_id}/v0001`."""

    @property
    def to_do(self) -> str:
        """What a person can do about it."""
        if self.command:
            return super().to_do
        if self.superseded:
            return "a newer version beside it counts: look whether that one holds the same files"
        # A run believes the manifest, and so does not notice altered bytes; a missing file is noticed.
        return (
            "look for other versions beside it; a run for the session writes a new version once the altered files are "
            f"moved away: uv run python -m flows.archive_session {self.session_id}"
        )

    @property
    def name(self) -> str:
        """What is damaged, for people."""
        older = ", which a newer version supersedes" if self.superseded else ""
        return f"session {self.session_id}, version {self.version}{older}"


class UnreadRecording(BaseModel):
    """A recording that could not be read: whether it is damaged is not known."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    archive_url: str
    reason: str


class UnreadSession(BaseModel):
    """A version of a session that could not be read: whether it is damaged is not known."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    version: int
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
        return _describe(self, self.recordings, "recording")


class SessionCoverage(BaseModel):
    """How many sessions were read again, and when: of each, the newest version that is committed."""

    model_config = ConfigDict(frozen=True)

    sessions: int = 0
    within_days: int = 0
    reread_within: int = 0  # so many days
    never_reread: int = 0
    oldest_days: float | None = None  # age of the oldest reading; None if no session was ever read
    older_versions: int = 0  # committed ones, of all sessions
    older_never_reread: int = 0

    def __str__(self) -> str:
        """Return it as a line."""
        line = _describe(self, self.sessions, "session")
        never = f", {self.older_never_reread:,} never re-read yet" if self.older_never_reread else ""
        return f"{line}; {self.older_versions:,} older versions{never}" if self.older_versions else line


def _describe(coverage: Coverage | SessionCoverage, count: int, what: str) -> str:
    """Return how many of a count were read again, as a line."""
    if not count:
        return f"there is no {what}"
    share = f"all {count:,}" if coverage.reread_within == count else f"{coverage.reread_within:,} of {count:,}"
    oldest = f"; oldest {coverage.oldest_days:.0f} days" if coverage.oldest_days is not None else ""
    never = f"; {coverage.never_reread:,} never yet" if coverage.never_reread else ""
    return f"{share} {what}s re-read within {coverage.within_days} days{oldest}{never}"


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
    sessions: SessionCoverage = SessionCoverage()
    sessions_reread: int = 0  # sessions whose newest version this audit has read
    older_versions_reread: int = 0  # by this audit
    damaged_sessions: tuple[DamagedSession, ...] = ()  # a version each
    unread_sessions: tuple[UnreadSession, ...] = ()  # a version each
