"""The API's JSON becomes a `Recording`: tolerant of what is sent, strict about what comes out.

Sizes may be strings, anything may be null or missing, `download_url` is a string or, for track recordings, a list;
what comes out is a `Recording` with a plain tuple of media files, and details that are fit to be archived.
Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/recordings/
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tasks.realtimekit.models import MediaFile, Recording
from tasks.realtimekit.tracks import decode_json, find_tracks
from tasks.realtimekit.values import (
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


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
    download = decode_json(details.get("download_url"))
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
    for track in find_tracks(details.get("download_url")):
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
