"""BagIt: manifests and bag-info.txt. Pure text; no store is touched. `bag_verifier` verifies a bag.

Source: RFC 8493, https://www.rfc-editor.org/rfc/rfc8493
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from tasks.archive.layout import MARKER, TAG_MANIFEST
from tasks.text import archivable_line, human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from tasks.realtimekit import MeetingSession, Recording

SOFTWARE_AGENT = "realtimekit-archiver/0.1.0"
FINDING = "Archive-Finding"
"""Label of a line in bag-info.txt; there may be several."""
RECORDING = "Recording-Identifier"
"""Label of a line in the bag-info.txt of a session; there is one for each of its recordings."""
REDACTION = "Archive-Redaction"
"""Label of a line in the bag-info.txt of a session; there is one for each document that is not as it came."""
TITLE = "Meeting-Title"
"""Label of a line in bag-info.txt."""
MISSING = " is missing: the API hands out no usable URL for it."
"""The end of a finding that begins with the label of a missing file."""
MARKER_TEXT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_MANIFEST_LINE = re.compile(r"([0-9A-Fa-f]+)[ \t]+\*?(\S.*)")


def seal(tags: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the tag files of a bag in the order in which they are written: the marker last.

    Args:
        tags: content by name of all but the marker and the manifest of the tag files themselves.
    """
    sealed = {**tags, MARKER: MARKER_TEXT}
    stated = {name: hashlib.sha256(content).hexdigest() for name, content in sealed.items()}
    return {TAG_MANIFEST: manifest(stated)} | sealed


def json_tag(value: object) -> bytes:
    """Return the content of a tag file that holds JSON: the same for the same value."""
    return json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"


def tag_type(name: str) -> str:
    """Return the content type of a tag file, given its name."""
    return "application/json" if name.endswith(".json") else "text/plain; charset=utf-8"


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
        matched = _MANIFEST_LINE.fullmatch(line)
        if not matched or len(matched[1]) != digits or matched[2] in checksums:
            twice = matched is not None and len(matched[1]) == digits
            message = f"line {number} is there twice" if twice else f"line {number} is not a checksum and a path"
            raise ValueError(message)
        checksums[matched[2]] = matched[1].lower()
    return checksums


def bag_info(recording: Recording, sizes: Sequence[int], today: date, findings: Sequence[str] = ()) -> bytes:
    """Return the content of bag-info.txt.

    It holds nothing of the run that writes it: two runs at once write the same.

    Args:
        recording: what is archived.
        sizes: of the payload files, in bytes.
        today: the day in UTC.
        findings: what a person has to know of the files, in sentences; each becomes a line.
    """
    fields = [
        ("External-Identifier", recording.id),
        ("External-Description", "Cloudflare RealtimeKit recording"),
        ("Bag-Group-Identifier", recording.session_id.lower()),
        ("Session-Identifier", recording.session_id),
        ("Recording-Invoked-Time", recording.invoked_time.isoformat() if recording.invoked_time else ""),
        (TITLE, recording.title),
    ]
    return _info(fields, sizes, today, findings)


def session_info(
    session: MeetingSession,
    recording_ids: Sequence[str],
    sizes: Sequence[int],
    today: date,
    findings: Sequence[str] = (),
    redactions: Sequence[str] = (),
) -> bytes:
    """Return the content of a session's bag-info.txt.

    Its recordings' bags and all versions of its own are one group of bags, whose identifier is the session's id.

    Args:
        session: what is archived.
        recording_ids: of the session's recordings, as far as they are known.
        sizes: of the payload files, in bytes.
        today: the day in UTC.
        findings: what a person has to know of the documents, in sentences; each becomes a line.
        redactions: what is not as it came, in sentences; each becomes a line.
    """
    fields = [
        ("External-Identifier", session.id),
        ("External-Description", "Cloudflare RealtimeKit session"),
        ("Bag-Group-Identifier", session.id),
        ("Meeting-Identifier", session.meeting_id),
        ("Session-Started-Time", session.started_at.isoformat() if session.started_at else ""),
        *((RECORDING, recording_id) for recording_id in recording_ids),
        (TITLE, archivable_line(session.title)),
        *((REDACTION, redaction) for redaction in redactions),
    ]
    return _info(fields, sizes, today, findings)


def _info(fields: Sequence[tuple[str, str]], sizes: Sequence[int], today: date, findings: Sequence[str]) -> bytes:
    of_bag = [
        ("Bagging-Date", today.isoformat()),
        ("Bag-Size", human_size(sum(sizes))),
        ("Payload-Oxum", payload_oxum(sizes)),
        ("Bag-Software-Agent", SOFTWARE_AGENT),
        *((FINDING, finding) for finding in findings),
    ]
    lines = [f"{name}: {line}\n" for name, value in (*fields, *of_bag) if (line := _one_line(value))]
    return "".join(lines).encode(errors="replace")


def stated_findings(content: bytes) -> tuple[str, ...]:
    """Return the findings that a bag-info.txt states, in its order."""
    return _stated_values(content, FINDING)


def stated_recordings(content: bytes) -> tuple[str, ...]:
    """Return the ids of the recordings that a session's bag-info.txt names, in its order."""
    return _stated_values(content, RECORDING)


def _stated_values(content: bytes, label: str) -> tuple[str, ...]:
    lines = (line.partition(":") for line in content.decode(errors="replace").splitlines())
    return tuple(text.strip() for name, _, text in lines if name == label)


def missing_labels(findings: Iterable[str]) -> tuple[str, ...]:
    """Return the labels of the files that findings state to be missing: a bag with such findings is partial."""
    return tuple(finding.removesuffix(MISSING) for finding in findings if finding.endswith(MISSING))


def payload_oxum(sizes: Iterable[int]) -> str:
    """Return the `octets.streams` that RFC 8493, section 2.2.2, wants."""
    sizes = list(sizes)
    return f"{sum(sizes)}.{len(sizes)}"


def stated_oxum(content: bytes) -> str:
    """Return the Payload-Oxum that a bag-info.txt states; empty if it states none."""
    matched = re.search(rb"^Payload-Oxum:[ \t]*(\d+\.\d+)[ \t]*$", content, re.MULTILINE | re.IGNORECASE)
    return matched[1].decode() if matched else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())
