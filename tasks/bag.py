"""Knows BagIt: safe paths, manifests, bag-info. Pure text; it never touches a store.

Source: RFC 8493, https://www.rfc-editor.org/rfc/rfc8493
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

from pathvalidate import sanitize_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from tasks.details import MediaFile, Recording

SOFTWARE_AGENT = "realtimekit-archiver/0.1.0"
MARKER = "bagit.txt"
DETAILS = "recording.json"
INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
TAG_FILES = (MARKER, TAG_MANIFEST, MANIFEST, INFO, DETAILS)
MARKER_TEXT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
LONGEST_NAME = 180
"""Bytes of UTF-8: filesystems take 255, keys 1,024 with all their folders, and people want to add to a name."""

_MANIFEST_LINE = re.compile(r"([0-9A-Fa-f]{64})[ \t]+\*?(.+)")


def payload_paths(recording: Recording) -> dict[str, str]:
    """Return the path of each media file within the bag, by the file's label.

    Paths are made of what the API sends but safe for keys and filesystems, always below `data/`, unique even
    where letter case does not count, and the same every time.
    """
    taken: set[str] = set()
    paths: dict[str, str] = {}
    for media in sorted(recording.media, key=lambda media: media.label):
        folder = _folder(media)
        name = _unique(folder, safe_name(media.name, _fallback(recording, media)), taken)
        paths[media.label] = f"{folder}/{name}"
    return paths


def _folder(media: MediaFile) -> str:
    return f"data/tracks/{safe_name(media.layer, 'default')}" if media.kind == "tracks" else f"data/{media.kind}"


def _fallback(recording: Recording, media: MediaFile) -> str:
    return recording.id + {"video": ".mp4", "audio": ".mp3", "tracks": ".webm"}[media.kind]


def _unique(folder: str, name: str, taken: set[str]) -> str:
    stem, dot, extension = name.rpartition(".")
    candidate, number = name, 1
    while f"{folder}/{candidate}".casefold() in taken:
        number += 1
        candidate = f"{stem}-{number}.{extension}" if dot and stem else f"{name}-{number}"
    taken.add(f"{folder}/{candidate}".casefold())
    return candidate


def safe_name(name: str, fallback: str) -> str:
    """Return a file name that every store and filesystem takes: one component, no control characters, not too long.

    Args:
        name: as it came from the network.
        fallback: used when nothing of it is usable.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name).rstrip("/\\"))[-1]
    printable = "".join(c for c in last if unicodedata.category(c)[0] != "C")
    # Blanks at the ends are lost on some filesystems, leading dots hide a file, % is an escape in manifests.
    plain = re.sub(r"\s+", " ", printable).replace("%", "_").strip(" .")
    safe = sanitize_filename(plain, platform="universal").strip(" .")
    return _shortened(safe) if safe else fallback


def _shortened(name: str) -> str:
    if len(name.encode()) <= LONGEST_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 16:
        stem, extension = name, ""
    # The digest keeps names apart that differ only in what is cut off.
    tail = f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}{'.' if extension else ''}{extension}"
    return stem.encode()[: LONGEST_NAME - len(tail.encode())].decode(errors="ignore").rstrip(" .") + tail


def manifest(checksums: Mapping[str, str]) -> bytes:
    """Return a manifest's content.

    Args:
        checksums: hexadecimal SHA-256 by path within the bag.
    """
    return "".join(f"{checksum}  {path}\n" for path, checksum in sorted(checksums.items())).encode()


def parse_manifest(content: bytes) -> dict[str, str]:
    """Return the SHA-256 by path that a manifest states.

    Raises:
        ValueError: it is not a manifest; the message says where.
    """
    checksums: dict[str, str] = {}
    for number, line in enumerate(content.decode().splitlines(), 1):
        found = _MANIFEST_LINE.fullmatch(line)
        if not found:
            message = f"line {number} is not a checksum and a path"
            raise ValueError(message)
        checksums[found[2]] = found[1].lower()
    return checksums


def damage(listed: Mapping[str, int], tags: Mapping[str, bytes]) -> list[str]:
    """Return what is wrong with a bag, as far as a listing and its tag files show; an empty list if nothing is.

    Args:
        listed: sizes in bytes by path within the bag, of all that lies in its folder.
        tags: content by name of the tag files that are there.
    """
    findings = [f"{name} is missing" for name in TAG_FILES if name not in tags]
    for name, sha256 in _parsed(tags, TAG_MANIFEST, findings).items():
        if name not in tags or hashlib.sha256(tags[name]).hexdigest() != sha256:
            findings.append(f"{name} is not what {TAG_MANIFEST} states")
    payload = {path: size for path, size in listed.items() if path.startswith("data/")}
    stated = _parsed(tags, MANIFEST, findings).keys()
    findings += [f"{path} is missing" for path in sorted(stated - payload.keys())]
    findings += [f"{path} is in no manifest" for path in sorted(payload.keys() - stated)]
    oxum = stated_oxum(tags.get(INFO, b""))
    if oxum != payload_oxum(payload.values()):
        findings.append(f"the payload is {payload_oxum(payload.values())}, Payload-Oxum states {oxum or 'nothing'}")
    return findings


def _parsed(tags: Mapping[str, bytes], name: str, findings: list[str]) -> dict[str, str]:
    try:
        return parse_manifest(tags.get(name, b""))
    except ValueError as error:
        findings.append(f"{name}: {error}")
        return {}


def bag_info(recording: Recording, sizes: Sequence[int], today: date) -> bytes:
    """Return the content of bag-info.txt.

    It holds nothing of the run that writes it: two runs at once write the same.

    Args:
        recording: what is archived.
        sizes: of the payload files, in bytes.
        today: the day in UTC.
    """
    fields = {
        "External-Identifier": recording.id,
        "External-Description": "Cloudflare RealtimeKit recording",
        "Session-Identifier": _one_line(recording.session_id),
        "Recording-Invoked-Time": recording.invoked_time.isoformat() if recording.invoked_time else "",
        "Bagging-Date": today.isoformat(),
        "Bag-Size": human_size(sum(sizes)),
        "Payload-Oxum": payload_oxum(sizes),
        "Bag-Software-Agent": SOFTWARE_AGENT,
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value).encode(errors="replace")


def payload_oxum(sizes: Iterable[int]) -> str:
    """Return the `octets.streams` that RFC 8493, section 2.2.2, wants."""
    sizes = list(sizes)
    return f"{sum(sizes)}.{len(sizes)}"


def stated_oxum(content: bytes) -> str:
    """Return the Payload-Oxum that a bag-info.txt states; empty if it states none."""
    found = re.search(rb"^Payload-Oxum:[ \t]*(\d+\.\d+)[ \t]*$", content, re.MULTILINE | re.IGNORECASE)
    return found[1].decode() if found else ""


def human_size(size: float) -> str:
    """Return a size in bytes as people say it, in binary units."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"


def _one_line(text: str) -> str:
    return " ".join(text.split())
