"""A recording, as data: its status, its times, and the files that the API hands out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from tasks.realtimekit.tracks import decode_json
from tasks.text import archivable_line

if TYPE_CHECKING:
    from collections.abc import Mapping

RETENTION = timedelta(days=7)
"""How long RealtimeKit keeps a file in its own bucket."""

Kind = Literal["video", "audio", "tracks"]


class RecordingStatus(StrEnum):
    """The statuses that RealtimeKit documents; it may send others, which a `Recording` keeps as text."""

    INVOKED = "INVOKED"
    RECORDING = "RECORDING"
    PAUSED = "PAUSED"
    UPLOADING = "UPLOADING"
    UPLOADED = "UPLOADED"
    ERRORED = "ERRORED"


@dataclass(frozen=True)
class MediaFile:
    """One file of a recording, as the API hands it out at this moment."""

    kind: Kind
    layer: str  # of a track; empty for video and audio
    name: str  # as sent, but for secrets: not safe for keys or filesystems, may be empty
    url: str = field(repr=False)  # presigned: never to be shown
    expires_at: datetime | None  # of the URL
    size: int | None  # bytes, if the API names it: it does for video only

    @property
    def label(self) -> str:
        """What stays the same when the URL is refreshed, and names the file in logs: one line, no two alike.

        There is one video and one audio, so these need no name, which may be another at the next look.
        """
        parts = (self.kind, self.layer, self.name) if self.kind == "tracks" else (self.kind,)
        return "/".join(_escaped(part) for part in parts if part)


@dataclass(frozen=True)
class Recording:
    """One recording; `details` is the API's answer as it came and holds secrets, so it is kept out of `repr`."""

    id: str
    status: str  # a `RecordingStatus`, or what else the API sends
    invoked_time: datetime | None
    started_time: datetime | None
    stopped_time: datetime | None
    session_id: str
    duration_s: float | None
    storage_type: str
    media: tuple[MediaFile, ...]
    details: Mapping[str, Any] = field(repr=False)
    without_url: tuple[str, ...] = ()  # labels of the files that the API names, but hands out no usable URL for
    storage_bucket: str = ""  # of the customer's own storage, if one is named

    @property
    def day(self) -> datetime | None:
        """The time whose UTC day the archive is ordered by; None if the API names no time at all."""
        return self.invoked_time or self.started_time or self.stopped_time

    @property
    def title(self) -> str:
        """The meeting's title as one line; empty if the details do not name it. A stranger wrote it."""
        title = self._meeting.get("title")
        return archivable_line(title) if isinstance(title, str) else ""

    @property
    def _meeting(self) -> Mapping[str, Any]:
        meeting = self.details.get("meeting")
        return meeting if isinstance(meeting, dict) else {}

    def with_meeting(self, meeting_id: str, title: str) -> Recording:
        """Return the recording with its meeting, as the API's list has it and the details of one recording have not.

        Args:
            meeting_id: of the meeting; empty if that is not known.
            title: of the meeting.
        """
        known = {name: value for name, value in {"id": meeting_id, "title": title}.items() if value}
        return replace(self, details={**self.details, "meeting": {**self._meeting, **known}}) if known else self

    @property
    def has_no_tracks(self) -> bool:
        """Whether the API says that it is a track recording, and that there is no track: nobody spoke."""
        download = decode_json(self.details.get("download_url"))
        return isinstance(download, list) and not self.media and not self.without_url

    @property
    def is_elsewhere(self) -> bool:
        """Whether its files go to a storage of the customer's own.

        The type alone does not tell: with the type cloudflare, the storage is the customer's R2 if it names a bucket.
        """
        return bool(self.storage_bucket) or self.storage_type not in {"", "cloudflare"}

    @property
    def expires(self) -> datetime | None:
        """When RealtimeKit deletes its files, or a little before that; None if nobody can know.

        They are kept for seven days from their upload, whose time the API does not tell. The upload begins when the
        recording stops; where even that is not told, it counts from the beginning, which errs on the safe side too.
        `download_url_expiry` is of no use: it is the URL's, and another one at each look.
        """
        last = self.stopped_time or self.day
        return last + RETENTION if last else None

    def has_left_the_bucket(self, now: datetime) -> bool:
        """Tell whether RealtimeKit's seven days are over."""
        return self.expires is not None and now > self.expires


def _escaped(part: str) -> str:
    return "".join(c if c.isprintable() and c not in "/%" else f"%{ord(c):06X}" for c in part)
