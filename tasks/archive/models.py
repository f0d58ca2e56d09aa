"""What is archived, as data: the files of a recording, and the archive as a result."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class ArchivedFile(BaseModel):
    """One payload file of an archived recording."""

    model_config = ConfigDict(frozen=True)

    path: str  # within the bag
    size: int  # bytes
    sha256: str
    content_type: str


@dataclass(frozen=True)
class StoredFile:
    """A payload file, and the object of its key that was proved to hold it."""

    file: ArchivedFile
    etag: str
    findings: tuple[str, ...] = ()  # what a person has to know of the file, in sentences


class MissingPiece(BaseModel):
    """Something that belongs to a session and is not in its archive, or only in doubt."""

    model_config = ConfigDict(frozen=True)

    name: str  # transcript, chat, summary, participants, or the path of an upload
    reason: str  # in words, for people
    may_come: bool  # whether a later run may still get it
    expected: bool | None = None  # whether the meeting's settings ask for it; None if that is not known


class ArchivedRecording(BaseModel):
    """What is archived, and where: the flow's result, and the event's payload but for `NOT_IN_THE_EVENT`."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    archive_url: str
    files: tuple[ArchivedFile, ...]
    bytes: int  # of all files
    duration_s: float | None
    findings: tuple[str, ...] = ()  # what a person has to know of it, in sentences; the bag states them too
    already_archived: bool = False
    title: str = ""  # of the meeting, if the archive names it
    session_id: str = ""  # empty if the recording has none
    session_url: str = ""  # of the newest bag of what belongs to the session; empty if there is none
    session_missing: tuple[MissingPiece, ...] = ()  # of the session, as far as it was looked at
    session_failure: str = ""  # why not all was done about the session; nothing of the recording is wrong
    lag_s: float | None = None  # from the recording's end to its first archive; None if that is not known
    refreshes: int = 0  # fresh URLs in place of expired ones; these figures are of the run that archived it
    resumes: int = 0  # reads that were carried on after a drop
    retries: int = 0  # stages that were run again


NOT_IN_THE_EVENT = frozenset({"already_archived", "session_url", "session_missing", "session_failure"})
"""Fields of the result that are not known when the recording is committed, and its event emitted."""
