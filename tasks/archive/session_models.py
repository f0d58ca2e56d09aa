"""What is archived of a session, as data: its documents, and the archive as a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from tasks.archive.models import ArchivedFile, MissingPiece  # noqa: TC001 - pydantic reads it when the model is made

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from tasks.realtimekit import MeetingSession


@dataclass(frozen=True)
class SessionDocument:
    """A document of a session, as it came but for the signatures of links."""

    path: str  # within the bag
    content: bytes = field(repr=False)
    content_type: str
    doubt: str = ""  # what speaks against it, as the end of a sentence; empty if it is what it should be


@dataclass(frozen=True)
class SessionRecording:
    """A recording of a session, as far as the session's archive is concerned with it."""

    id: str
    folder: str  # the key prefix of its bag, with a slash at its end
    started_time: datetime | None
    duration_s: float | None


@dataclass(frozen=True)
class SessionContents:
    """All that a run has fetched of a session."""

    session: MeetingSession
    participants: Sequence[Mapping[str, Any]] | None = field(repr=False)  # None: they could not be read
    documents: tuple[SessionDocument, ...] = ()
    missing: tuple[MissingPiece, ...] = ()
    recordings: tuple[SessionRecording, ...] = ()  # as far as they are known


class ArchivedMeetingSession(BaseModel):
    """What is archived of a session, and where: the newest version."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    archive_url: str  # of the version's bag
    version: int
    files: tuple[ArchivedFile, ...]
    missing: tuple[MissingPiece, ...] = ()
    findings: tuple[str, ...] = ()  # what a person has to know, in sentences; the bag states them too
    recording_ids: tuple[str, ...] = ()
    changed: bool = False  # whether this run has written a version
    redactions: tuple[str, ...] = ()  # what is not as it came, in sentences; the bag states them too

    @property
    def is_complete(self) -> bool:
        """Whether no later run can add anything that this one knows of."""
        return not any(piece.may_come for piece in self.missing)
