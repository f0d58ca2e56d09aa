"""Names for payload files, made of what the network sends: safe for keys and filesystems, unique, always the same."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

from pathvalidate import sanitize_filename

from tasks.archive.layout import PAYLOAD
from tasks.text import redact_text

if TYPE_CHECKING:
    from tasks.realtimekit import MediaFile, Recording

LONGEST_NAME = 180
"""Bytes of UTF-8: filesystems take 255, keys 1,024 with all their folders, and people want to add to a name."""
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\\]")


def payload_paths(recording: Recording) -> dict[str, str]:
    """Return the path of each media file within the bag, by the file's label.

    Paths are made of what the API sends but safe for keys and filesystems, always below `data/`, unique even
    where letter case does not count, and the same every time.
    """
    paths: dict[str, str] = {}
    taken: set[str] = set()
    for media in sorted(recording.media, key=lambda media: media.label):
        path = f"{_folder(media)}/{safe_name(media.name, _fallback(recording, media))}"
        number = 0
        while path.casefold() in taken:
            number += 1
            path = _told_apart(path, f"{media.label}{number}")
        taken.add(path.casefold())
        paths[media.label] = path
    return paths


def _folder(media: MediaFile) -> str:
    return PAYLOAD + (f"tracks/{safe_name(media.layer, 'default')}" if media.kind == "tracks" else media.kind)


def _fallback(recording: Recording, media: MediaFile) -> str:
    return recording.id + {"video": ".mp4", "audio": ".mp3", "tracks": ".webm"}[media.kind]


def _told_apart(path: str, label: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/{_with_digest(name, label)}"


def safe_name(name: str, fallback: str) -> str:
    """Return a file name that every store and filesystem takes: one component, no control characters, not too long.

    Args:
        name: as it came from the network.
        fallback: used when nothing of it is usable.
    """
    last = re.split(r"[/\\]", redact_text(name).rstrip("/\\"))[-1]
    printable = "".join(c for c in re.sub(r"\s+", " ", last) if unicodedata.category(c)[0] != "C")
    allowed = re.sub(r'[<>:"|?*]', "", printable).replace("%", "_")  # % is an escape in manifests
    # Leading dots hide a file; blanks and dots at ends are lost on some filesystems. NFC last: what was taken out
    # may have stood between a letter and its accent.
    trimmed = unicodedata.normalize("NFC", re.sub(r" +\.", ".", allowed).strip(" ."))
    fitting = _with_digest(trimmed, trimmed) if len(trimmed.encode()) > LONGEST_NAME else trimmed
    # Not of the locale's encoding: the name is the same on every machine.
    return sanitize_filename(fitting, platform="universal", fs_encoding="utf-8") or fallback


def _with_digest(name: str, what: str) -> str:
    """Return the name, shortened as far as needed, with the digest of what tells it apart from others like it."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > 16:
        stem, dot, extension = name, "", ""
    tail = f"-{hashlib.sha256(what.encode()).hexdigest()[:8]}{dot}{extension}"
    return stem.encode()[: LONGEST_NAME - len(tail.encode())].decode(errors="ignore").rstrip(" .") + tail


def is_safe_path(path: str) -> bool:
    """Tell whether a path that a manifest states stays below the folder that it is joined to, on any system."""
    parts = path.split("/")
    return not _UNUSABLE.search(path) and ":" not in parts[0] and not {"", ".", ".."} & set(parts)
