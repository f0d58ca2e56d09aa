"""The API's JSON becomes a `Recording`: tolerant of what is sent, strict about what comes out.

Sizes may be strings, anything may be null or missing, `download_url` is a string or, for track recordings, a list;
what comes out is a `Recording` with a plain tuple of media files, and details that are fit to be archived.
Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/recordings/
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import httpx

from tasks.realtimekit.models import MediaFile, Recording
from tasks.realtimekit.tracks import decode_json, find_tracks
from tasks.text import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LARGEST_SIZE = 2**63
LONGEST_URL = 65_536
"""Characters; httpx takes no more."""
YEARS = range(2000, 9000)
"""Some systems write "no time" as the year 1 or 1970, and "never" as 9999."""


def parse_recording(details: Mapping[str, Any]) -> Recording:
    """Read one recording from the API's `data`.

    Args:
        details: the JSON object; unknown fields are kept, fields of an unexpected type count as absent.
    """
    storage = _dict(details.get("storage_config"))
    named = [*_video(details), *_distinct(_tracks(details)), *_audio(details)]
    return Recording(
        id=_word(details.get("id")).lower(),
        status=_word(details.get("status")).upper() or "UNKNOWN",
        invoked_time=_time(details.get("invoked_time")),
        started_time=_time(details.get("started_time")),
        stopped_time=_time(details.get("stopped_time")),
        session_id=_word(details.get("session_id")),
        duration_s=_number(details.get("recording_duration")),
        storage_type=_word(storage.get("type")),
        storage_bucket=_name(storage.get("bucket")),
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
    download = decode_json(details.get("download_url"))
    if not download or isinstance(download, list | dict):
        return
    url, name = _url(download), _name(details.get("output_file_name"))
    if not name or "{{" in name:  # a template, as track recordings have it
        name = _name_in(url)
    yield MediaFile("video", "", name, url, _time(details.get("download_url_expiry")), _size(details.get("file_size")))


def _audio(details: Mapping[str, Any]) -> Iterator[MediaFile]:
    # One page of the documentation calls it audio_download_url, another download_audio_url.
    candidates = [details.get("audio_download_url"), details.get("download_audio_url")]
    if any(candidates):
        url = _url(candidates[0]) or _url(candidates[1])
        yield MediaFile("audio", "", _name_in(url), url, _time(details.get("download_url_expiry")), None)


def _tracks(details: Mapping[str, Any]) -> Iterator[MediaFile]:
    expires_at = _time(details.get("download_url_expiry"))
    for track in find_tracks(details.get("download_url")):
        url = _url(track.url)
        yield MediaFile("tracks", _name(track.layer), _name(track.name) or _name_in(url), url, expires_at, None)


def _distinct(tracks: Iterable[MediaFile]) -> Iterator[MediaFile]:
    """Keep tracks apart that the API names alike, in whatever order: the label is all that tells them apart."""
    layers: Counter[str] = Counter()
    labels: set[str] = set()
    for track in sorted(tracks, key=lambda track: (track.label, _parsed(track.url).path)):
        candidate = track
        while candidate.label in labels:
            layers[track.label] += 1
            candidate = replace(track, layer=f"{track.layer}-{layers[track.label] + 1}")
        labels.add(candidate.label)
        yield candidate


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _name(value: object) -> str:
    """Return a name; some are URLs, and their signatures would be shown and differ at every look."""
    return without_secrets(_text(value))


def _word(value: object) -> str:
    """Return an identifier; it goes into keys, headers and logs, so that what cannot be one counts as absent."""
    text = _text(value)
    return text if re.fullmatch(r"[A-Za-z0-9_:-]{1,64}", text) else ""


def _url(value: object) -> str:
    text = _text(value)
    try:
        url = _parsed(text)
        usable = url.scheme in {"http", "https"} and url.host
    except (httpx.InvalidURL, ValueError):
        return ""
    return text if usable else ""


@lru_cache(maxsize=8)
def _parsed(url: str) -> httpx.URL:
    """Parse a URL up to its query: that of a presigned one would take longer than all else that is done to a recording.

    Raises:
        InvalidURL: it is none; the rest can only be wrong by a control character, or too long.
    """
    if len(url) > LONGEST_URL or re.search(r"[\x00-\x1f\x7f]", url):
        raise httpx.InvalidURL("a control character, or too long")
    return httpx.URL(re.split(r"[?#]", url, maxsplit=1)[0])


def _name_in(url: str) -> str:
    return without_secrets(PurePosixPath(_parsed(url).path).name)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < float("inf") else None


def _size(value: object) -> int | None:
    """Return a size in bytes; 0 counts as not known, as the API sends it before the upload is over."""
    number = _number(value)
    if not number or not number.is_integer() or number >= LARGEST_SIZE:
        return None
    if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,19}\s*", value)):
        return int(value)  # beyond 2**53, a float is no longer exact
    return int(number)


def _time(value: object) -> datetime | None:
    try:
        when = datetime.fromisoformat(_text(value))
    except ValueError:
        return None
    try:
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except OverflowError:
        return None
    return when if when.year in YEARS else None
