"""The columns of the catalog. A column is only ever added, never renamed or removed, and its type never changes.

The partitions of the dataset, `app_id` and `month`, are columns for every reader, though they stand in the paths alone.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

SCHEMA_VERSION = 1
"""Grows by one with each added column: then an update writes all files again."""

Row: TypeAlias = dict[str, Any]
"""A recording: a value, or None where nothing is known, by the column's name."""

Kind = Literal["text", "integer", "number", "time", "texts", "files"]


class Column(NamedTuple):
    """A column of the catalog."""

    name: str
    kind: Kind
    description: str


COLUMNS = (
    Column("recording_id", "text", "the recording's id"),
    Column("session_id", "text", "the session's id"),
    Column("meeting_id", "text", "the meeting's id, where the archived details name it"),
    Column("title", "text", "the meeting's title, where the archived details name it"),
    Column("status", "text", "RealtimeKit's status when the recording was archived, such as UPLOADED"),
    Column("invoked_at", "time", "when the recording was asked for"),
    Column("started_at", "time", "when the recording began"),
    Column("stopped_at", "time", "when the recording ended"),
    Column("archived_at", "time", "when the archive was committed, as the store has it"),
    Column("duration_s", "number", "how long the recording is in seconds, as RealtimeKit had it"),
    Column("start_reason", "text", "why the recording began, such as API_CALL"),
    Column("started_by", "text", "the name of who began it"),
    Column("started_by_id", "text", "the user id of who began it"),
    Column("stop_reason", "text", "why the recording ended"),
    Column("stopped_by", "text", "the name of who ended it"),
    Column("stopped_by_id", "text", "the user id of who ended it"),
    Column("files", "files", "the media files: path within the bag, size in bytes, sha256, content_type"),
    Column("bytes", "integer", "the size of all media files"),
    Column("container", "text", "FFmpeg's names for the format of the first video, else of the first file"),
    Column("codecs", "texts", "the codecs of all media files, each once"),
    Column("width", "integer", "pixels of the first video"),
    Column("height", "integer", "pixels of the first video"),
    Column("media_findings", "texts", "what is odd about the media, as describe-recording found"),
    Column(
        "condition",
        "text",
        "whole; partial: files are missing, as the bag states; damaged: the bag is not what its manifests state; "
        "unreadable: the store refuses parts of the bag; foreign: another program made the bag",
    ),
    Column("findings", "texts", "what a person has to know of the archive, in sentences"),
    Column(
        "fixity_outcome",
        "text",
        "the last audit's: whole, damaged, unverifiable, unread, archived class; null if there was none",
    ),
    Column("fixity_checked_at", "time", "when an audit last looked at the recording as it is archived now"),
    Column("fixity_read_at", "time", "when an audit last read all of the recording as it is archived now"),
    Column("fixity_findings", "texts", "what the last audit found"),
    Column("archive_url", "text", "where the recording is archived, s3://…/; no two rows have the same"),
    Column("bag_version", "text", "another one whenever the bag or its description is: for updates of the catalog"),
)

FIXITY = ("fixity_outcome", "fixity_checked_at", "fixity_read_at", "fixity_findings")
"""The columns that come from audits, and not from the bag."""
