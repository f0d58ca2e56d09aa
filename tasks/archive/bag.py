"""BagIt: manifests, bag-info.txt, and what is wrong with a bag. Pure text; no store is touched.

Source: RFC 8493, https://www.rfc-editor.org/rfc/rfc8493
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from tasks.archive.layout import INFO, MANIFEST, PAYLOAD, TAG_FILES, TAG_MANIFEST
from tasks.text import human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from tasks.realtimekit import Recording

SOFTWARE_AGENT = "realtimekit-archiver/0.1.0"
FINDING = "Archive-Finding"
"""Label of a line in bag-info.txt; there may be several."""
MISSING = " is missing: the API hands out no usable URL for it."
"""The end of a finding that begins with the label of a missing file."""
MARKER_TEXT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_MANIFEST_LINE = re.compile(r"([0-9A-Fa-f]+)[ \t]+\*?(\S.*)")


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


def missing_labels(findings: Iterable[str]) -> tuple[str, ...]:
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


def stated_agent(content: bytes) -> str:
    """Return the program that a bag-info.txt states to have made the bag; empty if it states none."""
    found = re.search(rb"^Bag-Software-Agent:[ \t]*(.*)$", content, re.MULTILINE | re.IGNORECASE)
    return found[1].decode(errors="replace").strip() if found else ""


def is_of_others(content: bytes) -> bool:
    """Tell whether a bag-info.txt states that another program made the bag."""
    agent = stated_agent(content)
    return bool(agent) and not agent.startswith(SOFTWARE_AGENT.partition("/")[0])


def _one_line(text: str) -> str:
    return " ".join(text.split())
