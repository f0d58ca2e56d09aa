"""Knows BagIt: safe paths, manifests, bag-info. Pure text; it never touches a store.

Source: RFC 8493, https://www.rfc-editor.org/rfc/rfc8493
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

from pathvalidate import sanitize_filename

from tasks.redaction import without_secrets
from tasks.units import human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from tasks.details import MediaFile, Recording

SOFTWARE_AGENT = "realtimekit-archiver/0.1.0"
PAYLOAD = "data/"
MARKER = "bagit.txt"
DETAILS = "recording.json"
INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
TAG_FILES = (MARKER, TAG_MANIFEST, MANIFEST, INFO, DETAILS)
FINDING = "Archive-Finding"
MISSING = " is missing: the API hands out no usable URL for it."
"""Label of a line in bag-info.txt; there may be several."""
MARKER_TEXT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
LONGEST_NAME = 180
"""Bytes of UTF-8: filesystems take 255, keys 1,024 with all their folders, and people want to add to a name."""

_MANIFEST_LINE = re.compile(r"([0-9A-Fa-f]+)[ \t]+\*?(\S.*)")


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
    last = re.split(r"[/\\]", without_secrets(name).rstrip("/\\"))[-1]
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


def manifest(checksums: Mapping[str, str]) -> bytes:
    """Return a manifest's content.

    Args:
        checksums: hexadecimal SHA-256 by path within the bag.
    """
    return "".join(f"{checksum}  {path}\n" for path, checksum in sorted(checksums.items())).encode()


def parse_manifest(content: bytes, digits: int = 64) -> dict[str, str]:
    """Return the SHA-256 by path that a manifest states.

    Args:
        content: of the manifest.
        digits: hexadecimal digits of a checksum; other algorithms than SHA-256 have fewer or more.

    Raises:
        ValueError: it is not a manifest; the message says where.
    """
    checksums: dict[str, str] = {}
    lines = re.split(r"\r\n|\r|\n", content.decode())
    for number, line in enumerate(lines[:-1] if not lines[-1] else lines, 1):
        found = _MANIFEST_LINE.fullmatch(line)
        if not found or len(found[1]) != digits or found[2] in checksums:
            twice = found is not None and len(found[1]) == digits
            message = f"line {number} is there twice" if twice else f"line {number} is not a checksum and a path"
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
    if TAG_MANIFEST in tags:
        sealed = _parsed(tags, TAG_MANIFEST, findings)
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in tags.items() if name != TAG_MANIFEST}
        wrong = [name for name in sealed.keys() | digests.keys() if sealed.get(name) != digests.get(name)]
        findings += [f"{name} is not what {TAG_MANIFEST} states" for name in sorted(wrong)]
    payload = {path: size for path, size in listed.items() if path.startswith(PAYLOAD)}
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


def bag_info(recording: Recording, sizes: Sequence[int], today: date, findings: Sequence[str] = ()) -> bytes:
    """Return the content of bag-info.txt.

    It holds nothing of the run that writes it: two runs at once write the same.

    Args:
        recording: what is archived.
        sizes: of the payload files, in bytes.
        today: the day in UTC.
        findings: what a person has to know of the files, in sentences; each becomes a line.
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
    told = [(FINDING, _one_line(finding)) for finding in findings]
    lines = [f"{name}: {value}\n" for name, value in (*fields.items(), *told) if value]
    return "".join(lines).encode(errors="replace")


def stated_findings(content: bytes) -> tuple[str, ...]:
    """Return the findings that a bag-info.txt states, in its order."""
    lines = (line.partition(":") for line in content.decode(errors="replace").splitlines())
    return tuple(text.strip() for name, _, text in lines if name == FINDING)


def missing_in(findings: Iterable[str]) -> tuple[str, ...]:
    """Return the labels of the files that findings state to be missing: a bag with such findings is partial."""
    return tuple(finding.removesuffix(MISSING) for finding in findings if finding.endswith(MISSING))


def payload_oxum(sizes: Iterable[int]) -> str:
    """Return the `octets.streams` that RFC 8493, section 2.2.2, wants."""
    sizes = list(sizes)
    return f"{sum(sizes)}.{len(sizes)}"


def stated_oxum(content: bytes) -> str:
    """Return the Payload-Oxum that a bag-info.txt states; empty if it states none."""
    found = re.search(rb"^Payload-Oxum:[ \t]*(\d+\.\d+)[ \t]*$", content, re.MULTILINE | re.IGNORECASE)
    return found[1].decode() if found else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
