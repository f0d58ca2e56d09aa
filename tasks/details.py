"""Knows what RealtimeKit says of a recording: tolerant of what is sent, strict about what it hands on.

Sizes may be strings, anything may be null or missing, `download_url` is a string or, for track recordings, a list;
what comes out is a `Recording` with a plain tuple of media files, and details that are fit to be archived.
Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/recordings/
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

RETENTION = timedelta(days=7)
"""How long RealtimeKit keeps a file in its own bucket."""

Kind = Literal["video", "audio", "tracks"]


@dataclass(frozen=True)
class MediaFile:
    """One file of a recording, as the API hands it out at this moment."""

    kind: Kind
    layer: str  # of a track; empty for video and audio
    name: str  # as sent: not safe for keys or filesystems, may be empty
    url: str = field(repr=False)  # presigned: never to be shown
    expires_at: datetime | None  # of the URL
    size: int | None  # bytes, if the API names it: it does for video only

    @property
    def label(self) -> str:
        """What stays the same when the URL is refreshed, and names the file in logs."""
        return "/".join(part for part in (self.kind, self.layer, self.name) if part)


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

    @property
    def day(self) -> datetime | None:
        """The time whose UTC day the archive is ordered by; None if the API names no time at all."""
        return self.invoked_time or self.started_time or self.stopped_time

    def has_left_the_bucket(self, now: datetime) -> bool:
        """Tell whether RealtimeKit's seven days are over."""
        last = self.stopped_time or self.day
        return last is not None and now - last > RETENTION


def parse_recording(details: Mapping[str, Any]) -> Recording:
    """Read one recording from the API's `data`.

    Args:
        details: the JSON object; unknown fields are kept, fields of an unexpected type count as absent.
    """
    storage = details.get("storage_config")
    return Recording(
        id=_text(details.get("id")).lower(),
        status=_text(details.get("status")).upper() or "UNKNOWN",
        invoked_time=_time(details.get("invoked_time")),
        started_time=_time(details.get("started_time")),
        stopped_time=_time(details.get("stopped_time")),
        session_id=_text(details.get("session_id")),
        duration_s=_number(details.get("recording_duration")),
        storage_type=_text(storage.get("type")) if isinstance(storage, dict) else "",
        media=tuple(_media(details)),
        details=details,
    )


def _media(details: Mapping[str, Any]) -> Iterator[MediaFile]:
    expires_at = _time(details.get("download_url_expiry"))
    download = details.get("download_url")
    if url := _url(download):
        name = _text(details.get("output_file_name")) or _name_in(url)
        yield MediaFile("video", "", name, url, expires_at, _size(details.get("file_size")))
    for layer, name, track_url in _tracks(download):
        yield MediaFile("tracks", layer, name, track_url, expires_at, None)
    # One page of the documentation calls it audio_download_url, another download_audio_url.
    if url := _url(details.get("audio_download_url")) or _url(details.get("download_audio_url")):
        yield MediaFile("audio", "", _name_in(url), url, expires_at, None)


def _tracks(download: object) -> Iterator[tuple[str, str, str]]:
    for layer in download if isinstance(download, list) else ():
        files = layer.get("download_urls") if isinstance(layer, dict) else None
        for name, entry in files.items() if isinstance(files, dict) else ():
            if url := _url(entry.get("download_url") if isinstance(entry, dict) else entry):
                yield _text(layer.get("layer_name")) or "default", name, url


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _url(value: object) -> str:
    text = _text(value)
    return text if text.lower().startswith(("http://", "https://")) else ""


def _name_in(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _size(value: object) -> int | None:
    """Return a size in bytes; 0 counts as not known, as the API sends it before the upload is over."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value) or None
    number = _number(value)
    return int(number) or None if number is not None and number.is_integer() else None


def _time(value: object) -> datetime | None:
    try:
        when = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    try:
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except OverflowError:
        return None


REMOVED = "removed before archiving"
_SECRET_NAME = re.compile(
    r"pass|secret|token|credential|signature|authori[sz]ation|bearer|cookie|private|(access|api|signing|account|sas)_?key",
    re.IGNORECASE,
)
_STORAGE_FIELDS = frozenset({"type", "bucket", "region", "path", "host", "port", "auth_method"})


def redacted(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the API's details that is fit to be archived: no secrets, no presigned URLs.

    Fields whose names speak of secrets are replaced, of `storage_config` only what is known to be harmless is
    kept, download URLs are replaced whole and any other URL loses user, query and fragment. The expiry of the
    URLs goes with them: it says nothing once they are gone, and changes with every look.
    """
    kept = {name: value for name, value in details.items() if name != "download_url_expiry"}
    return {name: _redacted(name, value) for name, value in kept.items()}


def _redacted(name: str, value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_NAME.search(name):
        return REMOVED
    if isinstance(value, dict):
        known = _STORAGE_FIELDS if name == "storage_config" else value.keys()
        return {key: _redacted(str(key), value[key]) for key in value if key in known}
    if isinstance(value, list):
        return [_redacted(name, item) for item in value]
    if isinstance(value, str):
        return REMOVED if "download" in name and "url" in name else _without_query(value)
    return value


def _without_query(text: str) -> str:
    return _ANY_URL.sub(_bare_url, text)


_ANY_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]+")


def _bare_url(found: re.Match[str]) -> str:
    try:
        parts = urlsplit(found[0])
    except ValueError:
        return REMOVED
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
