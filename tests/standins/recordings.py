"""Recordings as the RealtimeKit API describes them."""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.standins.content import AUTO, DROP, MediaSource

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

LEAKY_STORAGE_CONFIG: Mapping[str, object] = {
    "type": "sftp",
    "access_key": "leak-canary-access-key",
    "auth_method": "PASSWORD",
    "bucket": "customer-bucket",
    "host": "sftp.example.com",
    "password": "leak-canary-password",
    "path": "recordings",
    "port": 22,
    "private_key": "leak-canary-private-key",
    "region": "us-east-1",
    "secret": "leak-canary-secret",
    "username": "archivist",
}
"""A `storage_config` whose four secrets all contain "leak-canary"."""

TRACK_FILE_NAME = "{{file_name_prefix}}_{{user_id}}_{{peer_id}}_{{stream_kind}}_{{media_kind}}_{{date_time}}.webm"
_STOPPED = frozenset({"UPLOADING", "UPLOADED", "ERRORED"})


def _as_documented(download_url: object) -> object:
    return download_url


@dataclass(eq=False)
class StandInRecording:
    """A recording that the stand-in knows; everything may be changed while it runs."""

    id: str
    status: str = "UPLOADED"
    video: MediaSource | None = None
    audio: MediaSource | None = None
    tracks: Mapping[str, Mapping[str, MediaSource]] | None = None
    """The files of a track recording by layer and name."""
    shape: Callable[[object], object] = _as_documented
    """What becomes of `download_url` on its way out: the API's own pages disagree on that of a track recording."""
    details: Mapping[str, object] = field(default_factory=dict)
    """Fields of the API's answer to be added or replaced, or left out where DROP."""
    statuses: Sequence[str] = ()
    """The statuses that successive GETs of the details find; the last one stays."""
    without_url: Collection[str] = ()
    """Files that the API names, but hands out no URL for, by their path within the recording's folder."""
    bucket_enabled: bool = True
    """Whether the app keeps recordings in RealtimeKit's own bucket."""
    file_size: object = AUTO
    """What the API says: AUTO is the video's size once UPLOADED and null before or without a video; 0 for tracks."""
    expired: bool = False
    """Whether the files have left RealtimeKit's bucket."""
    storage_config: Mapping[str, object] | None = None
    invoked_time: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=26))
    """A day and some ago, so that its files are there for some days more."""
    duration: float = 3600
    meeting_id: str = ""

    def __post_init__(self) -> None:
        """Fill in what follows from the rest."""
        self.meeting_id = self.meeting_id or self._relative("meeting")
        self._to_come = deque(self.statuses)
        if self.statuses:
            self.status = self.statuses[0]

    def next_status(self) -> None:
        """Move on to the status that the next GET of the details is to find."""
        if self._to_come:
            self.status = self._to_come.popleft()

    @property
    def video_name(self) -> str:
        """The video's file name, as in its URL."""
        return f"{self.id}{_extension(self.video)}"

    @property
    def audio_name(self) -> str:
        """The audio export's file name, as in its URL."""
        return f"{self.id}_audio{_extension(self.audio)}"

    def files(self) -> dict[str, MediaSource]:
        """Return the files by their path within the recording's folder."""
        named = {}
        if self.video:
            named[self.video_name] = self.video
        if self.audio:
            named[self.audio_name] = self.audio
        for layer, tracks in (self.tracks or {}).items():
            named.update({f"{layer}/{name}": source for name, source in tracks.items()})
        return named

    def describe(self, link: Callable[[str], str], expiry: datetime) -> dict[str, object]:
        """Return the API's description, its URLs made by `link` from a file's path."""
        ready = self.status == "UPLOADED" and self.bucket_enabled
        minted = link
        link = lambda path: "" if path in self.without_url else minted(path)  # noqa: E731 - a link like any other
        described = {
            "id": self.id,
            "audio_download_url": link(self.audio_name) if ready and self.audio else None,
            "download_url": self.shape(self._download_url(link)) if ready else None,
            "download_url_expiry": timestamp(expiry) if ready else None,
            "file_size": self._file_size(),
            "output_file_name": self._output_file_name(),
            "session_id": self._relative("session"),
            "status": self.status,
            "storage_config": None if self.storage_config is None else dict(self.storage_config),
            **self._times(),
            **self._reasons(),
            **self.details,
        }
        return {name: value for name, value in described.items() if value is not DROP}

    def _download_url(self, link: Callable[[str], str]) -> object:
        if self.tracks is None:
            return link(self.video_name) if self.video else None
        return [
            {
                "layer_name": layer,
                "download_urls": {name: {"download_url": link(f"{layer}/{name}")} for name in tracks},
            }
            for layer, tracks in self.tracks.items()
        ]

    def _file_size(self) -> object:
        if self.file_size is not AUTO:
            return self.file_size
        if self.tracks is not None:
            return 0
        return self.video.size if self.video and self.status == "UPLOADED" else None

    def _output_file_name(self) -> str:
        if self.tracks is not None:
            return TRACK_FILE_NAME
        return self.audio_name if self.audio and not self.video else self.video_name

    def _times(self) -> dict[str, object]:
        started = self.invoked_time + timedelta(seconds=3)
        stopped = self.status in _STOPPED
        return {
            "invoked_time": timestamp(self.invoked_time),
            "started_time": None if self.status == "INVOKED" else timestamp(started),
            "stopped_time": timestamp(started + timedelta(seconds=self.duration)) if stopped else None,
            "recording_duration": self.duration if stopped else None,
        }

    def _reasons(self) -> dict[str, Any]:
        caller = {"name": "RealtimeKit_test", "type": "ORGANIZATION", "user_Id": self._relative("user")}
        stopped = {"caller": caller, "reason": "API_CALL"} if self.status in _STOPPED else None
        return {"start_reason": {"caller": caller, "reason": "API_CALL"}, "stop_reason": stopped}

    def _relative(self, role: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{role}/{self.id}"))


def _extension(source: MediaSource | None) -> str:
    known = {"audio/mpeg": ".mp3", "audio/aac": ".aac", "video/webm": ".webm", "audio/webm": ".webm"}
    return known.get(source.content_type, ".mp4") if source else ".mp4"


def timestamp(moment: datetime) -> str:
    """Return a time as the API writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
