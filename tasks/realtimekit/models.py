"""Knows what RealtimeKit says of a recording: tolerant of what is sent, strict about what it hands on.

Sizes may be strings, anything may be null or missing, `download_url` is a string or, for track recordings, a list;
what comes out is a `Recording` with a plain tuple of media files, and details that are fit to be archived.
Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/recordings/
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from tasks.errors import RecordingIdInvalid
from tasks.realtimekit.parsing import (
    as_name,
    as_number,
    as_object,
    as_size,
    as_time,
    as_url,
    as_word,
    name_in_url,
    parse_url,
)
from tasks.realtimekit.tracks import decoded, tracks_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

RETENTION = timedelta(days=7)
"""How long RealtimeKit keeps a file in its own bucket."""

UUID_PATTERN = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
"""Of a recording's id, and of a meeting's."""

Kind = Literal["video", "audio", "tracks"]


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
    status: str
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
    def has_no_tracks(self) -> bool:
        """Whether the API says that it is a track recording, and that there is no track: nobody spoke."""
        download = decoded(self.details.get("download_url"))
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


def checked_recording_id(text: str) -> str:
    """Return a recording's id in its canonical form, lower case without blanks around it.

    Raises:
        RecordingIdInvalid: it is not a UUID.
    """
    if not re.fullmatch(UUID_PATTERN, text.strip()):
        raise RecordingIdInvalid(text)
    return text.strip().lower()


def parse_recording(details: Mapping[str, Any]) -> Recording:
    """Read one recording from the API's `data`.

    Args:
        details: the JSON object; unknown fields are kept, fields of an unexpected type count as absent.
    """
    storage = as_object(details.get("storage_config"))
    named = [*_video(details), *_distinct(_tracks(details)), *_audio(details)]
    return Recording(
        id=as_word(details.get("id")).lower(),
        status=as_word(details.get("status")).upper() or "UNKNOWN",
        invoked_time=as_time(details.get("invoked_time")),
        started_time=as_time(details.get("started_time")),
        stopped_time=as_time(details.get("stopped_time")),
        session_id=as_word(details.get("session_id")),
        duration_s=as_number(details.get("recording_duration")),
        storage_type=as_word(storage.get("type")),
        storage_bucket=as_name(storage.get("bucket")),
        media=tuple(media for media in named if media.url),
        details=details,
        without_url=tuple(media.label for media in named if not media.url),
    )


def parse_archived(text: bytes) -> Recording | None:
    """Read one recording from a `recording.json` in the archive; None if it is not one, whatever else it is."""
    try:
        details = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parse_recording(details) if isinstance(details, dict) else None


def _video(details: Mapping[str, Any]) -> Iterator[MediaFile]:
    download = decoded(details.get("download_url"))
    if not download or isinstance(download, list | dict):
        return
    url, name = as_url(download), as_name(details.get("output_file_name"))
    if not name or "{{" in name:  # a template, as track recordings have it
        name = name_in_url(url)
    yield MediaFile(
        "video", "", name, url, as_time(details.get("download_url_expiry")), as_size(details.get("file_size"))
    )


def _audio(details: Mapping[str, Any]) -> Iterator[MediaFile]:
    # One page of the documentation calls it audio_download_url, another download_audio_url.
    candidates = [details.get("audio_download_url"), details.get("download_audio_url")]
    if any(candidates):
        url = as_url(candidates[0]) or as_url(candidates[1])
        yield MediaFile("audio", "", name_in_url(url), url, as_time(details.get("download_url_expiry")), None)


def _tracks(details: Mapping[str, Any]) -> Iterator[MediaFile]:
    expires_at = as_time(details.get("download_url_expiry"))
    for track in tracks_in(details.get("download_url")):
        url = as_url(track.url)
        yield MediaFile("tracks", as_name(track.layer), as_name(track.name) or name_in_url(url), url, expires_at, None)


def _distinct(tracks: Iterable[MediaFile]) -> Iterator[MediaFile]:
    """Keep tracks apart that the API names alike, in whatever order: the label is all that tells them apart."""
    layers: Counter[str] = Counter()
    labels: set[str] = set()
    for track in sorted(tracks, key=lambda track: (track.label, parse_url(track.url).path)):
        candidate = track
        while candidate.label in labels:
            layers[track.label] += 1
            candidate = replace(track, layer=f"{track.layer}-{layers[track.label] + 1}")
        labels.add(candidate.label)
        yield candidate


def _escaped(part: str) -> str:
    return "".join(c if c.isprintable() and c not in "/%" else f"%{ord(c):06X}" for c in part)
