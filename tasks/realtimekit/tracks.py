"""The files of a track recording, collected from the API's `download_url` whatever shape it has.

The documentation shows a list of layers, each with a dictionary of files; the API's own schema still says that it is
a string, and other shapes were seen. A URL that is passed over is a file that is lost after seven days, so each http(s)
URL anywhere below counts as a file, and each place where a URL should be and is none counts as a file without a URL.

Source: https://developers.cloudflare.com/realtime/realtimekit/recording-guide/track-recording/
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_LAYER = "default"
DEEPEST = 24
"""Levels that are looked into; the documentation has four. What lies deeper counts as one file without a URL."""

# Compared without underscores and in lower case: the webhook and the SDK write camelCase where the API has snake_case.
_ONE_URL = frozenset({"downloadurl", "url", "link", "href"})
_FILES = frozenset({"downloadurls", "urls", "links", "files", "tracks", "layers"})
_LAYER_NAME = frozenset({"layername"})
_FILE_NAME = frozenset({"filename", "name", "outputfilename"})


class Track(NamedTuple):
    """One file as the API names it."""

    layer: str
    name: str  # empty: the API gives none, and the URL's path has to serve
    url: str  # as sent, to be checked; empty where there is none


def find_tracks(download_url: object) -> Iterator[Track]:
    """Yield the files below a `download_url`, in the order in which the API names them."""
    download_url = decode_json(download_url)
    if not isinstance(download_url, list | dict) or not download_url:
        return
    seen: set[str] = set()
    for track in _below(download_url, DEFAULT_LAYER, "", DEEPEST):
        # One file may be listed under two keys, of which the second gives no name.
        if track.name or not track.url or track.url not in seen:
            yield track
        seen.add(track.url)


def _below(value: object, layer: str, name: str, depth: int, *, by_name: bool = False) -> list[Track]:
    """Return the files below a value; by_name: the keys of a dictionary are the names of files or layers."""
    value = decode_json(value)
    if value and depth and isinstance(value, list):
        return [track for item in value for track in _below(item, layer, name, depth - 1)]
    if value and depth and isinstance(value, dict):
        layer, name = _own(value, _LAYER_NAME) or layer, _own(value, _FILE_NAME) or name
        return _in_dict(value, layer, name, depth - 1, by_name=by_name)
    return [Track(layer, name, value if isinstance(value, str) else "")]


def _in_dict(entry: Mapping[str, object], layer: str, name: str, depth: int, *, by_name: bool) -> list[Track]:
    tracks_of_entry: list[Track] = []
    is_file, is_empty = _is_one_file(entry), False
    for key, child in entry.items():
        folded = _folded(key)
        if folded in _ONE_URL:
            tracks_of_entry += _below(child, layer, name, depth)
        elif folded in _FILES and child in ({}, []):
            is_empty = True
        elif folded in _FILES:
            tracks_of_entry += _below(child, layer, name, depth, by_name=True)
        elif not (folded in _LAYER_NAME | _FILE_NAME and isinstance(child, str) and not _is_url(child)):
            tracks = _below(child, layer, key, depth) if _is_one_file(child) else _below(child, key, "", depth)
            # Beside a file's URL stand facts about the file: they are no files for having no URL.
            may_lack_url = by_name or (not is_file and isinstance(decode_json(child), dict | list))
            tracks_of_entry += [track for track in tracks if may_lack_url or _is_url(track.url)]
    return tracks_of_entry if tracks_of_entry or is_empty else [Track(layer, name, "")]


def _is_one_file(value: object) -> bool:
    """Tell whether a value describes one file: its URL, or a dictionary that holds it."""
    value = decode_json(value)
    if isinstance(value, dict):
        return not value or any(
            _folded(key) in _ONE_URL and not isinstance(decode_json(child), list | dict) for key, child in value.items()
        )
    return not isinstance(value, list)


def decode_json(value: object) -> object:
    """Return what a string of JSON holds, be it another such string; anything else as it is."""
    for _ in range(DEEPEST):
        if not isinstance(value, str) or not re.match(r"\s*[\[{\"]", value):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    return value


def _is_url(text: str) -> bool:
    return re.match(r"\s*https?://", text, re.IGNORECASE) is not None


def _own(entry: Mapping[str, object], keys: frozenset[str]) -> str:
    named = (value for key, value in entry.items() if _folded(key) in keys)
    return next((value for value in named if isinstance(value, str) and value.strip()), "")


def _folded(key: str) -> str:
    return key.replace("_", "").lower()
