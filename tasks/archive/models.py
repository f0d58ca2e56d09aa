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


class ArchivedRecording(BaseModel):
    """What is archived, and where: the flow's result, and the event's payload."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    archive_url: str
    files: tuple[ArchivedFile, ...]
    bytes: int  # of all files
    duration_s: float | None
    findings: tuple[str, ...] = ()  # what a person has to know of it, in sentences; the bag states them too
    already_archived: bool = False
