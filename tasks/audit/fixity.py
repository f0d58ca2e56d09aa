"""Fixity: reads a bag again, and says of each file what was expected and what was found.

A bag may be replaced, or deleted, while it is read. So nothing counts as damage unless the bag's listing is the same
before and after the look that found it; a file that reads wrong is read once more; and what the store does not answer
is an error, never a finding.

Bags that other programs made are judged by the standard alone, ours by what we always write as well.
Source: RFC 8493, sections 2 and 3.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from tasks.archive import Sums, bag, is_a_folder, is_unfinished, layout, shown
from tasks.errors import StoredWrong
from tasks.text import MIB, human_size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tasks.s3 import Bucket, Reader, StoredObject

LOOKS = 3
"""At a bag that is another at each, before it is left to the next audit."""
READINGS = 2
"""Of a file, before it counts as altered: bytes may change on their way to us, too."""
FILES_AT_ONCE = 2
"""Of one bag; others are read at the same time."""
LARGEST_TEXT = 8 * MIB
"""Of a tag file that is to be understood: some 80,000 lines of a manifest. Larger ones are hashed, and not kept."""
MOST_OBJECTS = 50_000
"""Of one bag."""
MOST_FINDINGS = 100
"""Of one bag that are kept; the others are counted."""
ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")

_MANIFEST = re.compile(r"(?P<tag>tag)?manifest-(?P<algorithm>[A-Za-z0-9-]{1,20})\.txt")
_AGENT = re.compile(rb"^Bag-Software-Agent:[ \t]*(.*)$", re.MULTILINE | re.IGNORECASE)

Kind = Literal["altered", "missing", "unknown", "miscounted", "malformed", "unverifiable"]
Outcome = Literal["whole", "damaged", "unverifiable", "no bag", "unsettled"]


class Finding(BaseModel):
    """What is wrong with one file of a bag, or with what its manifests say of it."""

    model_config = ConfigDict(frozen=True)

    kind: Kind  # "unverifiable" alone is no damage
    path: str  # within the bag, fit to be shown
    expected: str
    found: str

    def __str__(self) -> str:
        """Return it as a sentence's part."""
        return f"{self.path or 'the recording'} {self.kind}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True)
class Examined:
    """What came of examining a bag."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    more: int = 0  # findings that are not kept
    sums: Sums = field(default_factory=Sums)  # of the listing that this is about
    read: int = 0  # bytes of payload and tag files
    details: bytes = b""  # recording.json, as it is


class _Manifest(NamedTuple):
    name: str
    algorithm: str
    of_tags: bool


def examined(bucket: Bucket, folder: str, reader: Reader, *, ours: bool, payload: bool = True) -> Examined:
    """Examine one bag, and look again before anything is called damage.

    Args:
        bucket: where it is.
        folder: its key prefix, with a slash at its end.
        reader: of its objects.
        ours: it lies where we archive recordings.
        payload: read the payload; else it is only listed.

    Raises:
        StoreUnavailable, StoreRefused: the store does not say; nothing is known of the bag then.
    """
    read = 0
    for _ in range(LOOKS):
        listed = _listed(bucket, folder)
        if listed is not None and layout.MARKER not in listed:
            return Examined("no bag", read=read)
        look = _Look(bucket, listed or {}, reader, layout.tag_files(folder), ours=ours)
        if listed is None:
            look.note("unverifiable", "", f"at most {MOST_OBJECTS:,} objects", "more")
        else:
            look.at_all(payload=payload)
        read += look.read
        if not look.damaged or listed == _listed(bucket, folder):
            outcome: Outcome = "damaged" if look.damaged else "unverifiable" if look.findings else "whole"
            kept, more = tuple(look.findings[:MOST_FINDINGS]), max(0, look.count - MOST_FINDINGS)
            sums = Sums.of(stored for path, stored in (listed or {}).items() if not (ours and is_unfinished(path)))
            return Examined(outcome, kept, more, sums, read, look.texts.get(layout.DETAILS, b""))
    return Examined("unsettled", read=read)


def _listed(bucket: Bucket, folder: str) -> dict[str, StoredObject] | None:
    """Return what lies in a folder by path; None if that is too much to be kept."""
    found: dict[str, StoredObject] = {}
    for stored in islice(bucket.list(folder), MOST_OBJECTS + 1):
        if not is_a_folder(stored):
            found[stored.key.removeprefix(folder)] = stored
    return found if len(found) <= MOST_OBJECTS else None


class _Look:
    """One look at a bag.

    Args:
        bucket: where it is.
        listed: what lies in its folder, by path.
        reader: of its objects.
        tag_files: names of those that a bag of ours has.
        ours: it lies where we archive recordings.
    """

    def __init__(
        self,
        bucket: Bucket,
        listed: Mapping[str, StoredObject],
        reader: Reader,
        tag_files: Collection[str],
        *,
        ours: bool,
    ) -> None:
        self._bucket = bucket
        self._reader = reader
        self._ours = ours
        self._tag_files = tag_files
        self._payload = {path: stored for path, stored in listed.items() if path.startswith(layout.PAYLOAD)}
        self._tags = {path: stored for path, stored in listed.items() if not path.startswith(layout.PAYLOAD)}
        self._torn: set[str] = set()  # what the store lists, and does not give
        self._doubtful: set[str] = set()  # manifests that are altered themselves
        self.texts: dict[str, bytes] = {}
        self.findings: list[Finding] = []
        self.count = 0
        self.damaged = False
        self.read = 0

    def note(self, kind: Kind, path: str, expected: str, found: str) -> None:
        """Note a finding; of many, the first are kept."""
        self.count += 1
        self.damaged |= kind != "unverifiable"
        if len(self.findings) < MOST_FINDINGS:
            said = Finding(kind=kind, path=shown(path), expected=shown(expected), found=shown(found))
            self.findings.append(said)

    def at_all(self, *, payload: bool) -> None:
        """Look at the tag files, at what they say of the payload, and at the payload itself if that is wanted."""
        manifests = [self._manifest(name) for name in sorted(self._tags) if _MANIFEST.fullmatch(name)]
        known = [one for one in manifests if one.algorithm in ALGORITHMS]
        for one in manifests:
            if one not in known:
                self.note("unverifiable", one.name, f"one of {', '.join(ALGORITHMS)}", one.algorithm)
        for name in (layout.MARKER, layout.INFO, layout.DETAILS, *(one.name for one in known)):
            self._read_text(name)
        self._ours = self._ours and not self._others()
        self._at_tag_files([one for one in known if one.of_tags])
        stated = self._stated([one for one in known if not one.of_tags])
        if stated is not None:
            self._at_paths(stated)
            if payload:
                self._at_payload(stated)
        self._at_oxum()

    def _others(self) -> bool:
        """Tell whether another program says that it made the bag."""
        agent = _AGENT.search(self.texts.get(layout.INFO, b""))
        return agent is not None and not agent[1].startswith(bag.SOFTWARE_AGENT.partition("/")[0].encode())

    def _manifest(self, name: str) -> _Manifest:
        found = _MANIFEST.fullmatch(name)
        if found is None:
            raise AssertionError
        return _Manifest(name, found["algorithm"].replace("-", "").lower(), found["tag"] is not None)

    def _read_text(self, name: str) -> None:
        stored = self._tags.get(name)
        if stored is not None and stored.size <= LARGEST_TEXT:
            try:
                self.texts[name] = self._reader.content(self._bucket, stored)
                self.read += stored.size
            except StoredWrong as wrong:
                self._torn.add(name)
                self.note("altered", name, wrong.expected, wrong.actual)

    def _at_tag_files(self, manifests: Collection[_Manifest]) -> None:
        """Compare the tag files with what their manifests state; those of ours must be there, and no others."""
        stated = self._stated(manifests, of_tags=True) or {}
        required = set(self._tag_files) if self._ours else {layout.MARKER}
        for name in sorted((required | stated.keys()) - self._tags.keys()):
            self.note("missing", name, _said(stated.get(name)), "nothing")
        for name, stored in sorted(self._tags.items()):
            if name in self._torn or (self._ours and is_unfinished(name)):
                continue
            if name in stated:
                self._at_tag_file(name, stated[name])
            elif self._ours and name not in self._tag_files:
                self.note("unknown", name, "nothing", human_size(stored.size))
            elif self._ours and stated and name != layout.TAG_MANIFEST:
                self.note("malformed", layout.TAG_MANIFEST, f"a checksum of {name}", "none")
        if layout.MARKER in self.texts and not self.texts[layout.MARKER].startswith(b"BagIt-Version:"):
            self.note("malformed", layout.MARKER, "BagIt-Version: …", "something else")

    def _at_paths(self, stated: Mapping[str, Mapping[str, str]]) -> None:
        for path in sorted(stated.keys() - self._payload.keys()):
            self.note("missing", path, _said(stated[path]), "nothing")
        for path in sorted(self._payload.keys() - stated.keys()):
            self.note("unknown", path, "nothing", human_size(self._payload[path].size))

    def _at_oxum(self) -> None:
        """Compare how much there is with Payload-Oxum, which the standard leaves to choice."""
        oxum, found = bag.stated_oxum(self.texts.get(layout.INFO, b"")), [one.size for one in self._payload.values()]
        if oxum and oxum != bag.payload_oxum(found):
            self.note("miscounted", layout.PAYLOAD, _counted(oxum), _counted(bag.payload_oxum(found)))

    def _stated(self, manifests: Collection[_Manifest], *, of_tags: bool = False) -> dict[str, dict[str, str]] | None:
        """Return the checksums by algorithm, by path, that manifests state; None if there is none to be understood."""
        stated: dict[str, dict[str, str]] = defaultdict(dict)
        understood = 0
        for one in manifests:
            if self._tags[one.name].size > LARGEST_TEXT:
                size = human_size(self._tags[one.name].size)
                self.note("unverifiable", one.name, f"at most {human_size(LARGEST_TEXT)}", size)
                continue
            if one.name in self._torn:
                continue
            try:
                lines = bag.parse_manifest(self.texts[one.name], 2 * hashlib.new(one.algorithm).digest_size)
            except ValueError as error:
                # A UnicodeDecodeError quotes bytes; where it is says enough.
                said = "a text that is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
                self.note("malformed", one.name, "lines of a checksum and a path", said)
                continue
            understood += 1
            for path, checksum in self._safe(one, lines):
                stated[path][one.algorithm] = checksum
        if understood or of_tags:
            return stated
        if not self._ours and not manifests:
            self.note("unverifiable", "", "a payload manifest", "none of a known algorithm")
        return None

    def _safe(self, manifest: _Manifest, lines: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield a manifest's lines, but for those that lead to where they must not: these are never asked for."""
        for line, checksum in lines.items():
            path = line.removeprefix("./")
            if path not in self._payload and path not in self._tags:
                path = _decoded(path)
            outside = path.startswith(layout.PAYLOAD) if manifest.of_tags else not path.startswith(layout.PAYLOAD)
            if outside or path.startswith("/") or ".." in re.split(r"[/\\]", path):
                where = "outside of data/" if manifest.of_tags else "below data/"
                self.note("malformed", manifest.name, f"paths {where}", path)
            else:
                yield path, checksum

    def _at_payload(self, stated: Mapping[str, Mapping[str, str]]) -> None:
        paths = sorted(stated.keys() & self._payload.keys())
        doubtful = f" as {', '.join(sorted(self._doubtful))} states, which is altered itself" if self._doubtful else ""
        with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
            readings = threads.map(lambda path: self._read_again(self._payload[path], stated[path]), paths)
            for path, (found, read) in zip(paths, readings, strict=True):
                self.read += read
                if found:
                    kind: Kind = "unverifiable" if doubtful else "altered"
                    self.note(kind, path, f"{_said(stated[path])}{doubtful}", found)

    def _at_tag_file(self, name: str, stated: Mapping[str, str]) -> None:
        text = self.texts.get(name)
        if text is not None and all(hashlib.new(one, text).hexdigest() == its for one, its in stated.items()):
            return
        found, read = self._read_again(self._tags[name], stated)
        self.read += read
        if found:
            self._doubtful |= {name} if _MANIFEST.fullmatch(name) else set()
            self.note("altered", name, _said(stated), found)

    def _read_again(self, stored: StoredObject, stated: Mapping[str, str]) -> tuple[str, int]:
        """Return what a file's bytes are if they are not as stated, and how many were read."""
        found, read = "", 0
        for _ in range(READINGS):
            try:
                digests = self._reader.digests(self._bucket, stored, stated)
            except StoredWrong as wrong:
                return wrong.actual, read
            read += stored.size
            if digests == stated:
                return "", read
            found = f"{_said(digests)}, {stored.size:,} bytes"
        return found, read


def _decoded(path: str) -> str:
    """Return a path as the standard has it written in manifests: with line ends and per cents escaped, nothing else."""
    return re.sub("%(0[AaDd]|25)", lambda found: chr(int(found[1], 16)), path)


def _said(checksums: Mapping[str, str] | None) -> str:
    if not checksums:
        return "it"
    return ", ".join(f"{name.upper().replace('SHA', 'SHA-')} {checksum}" for name, checksum in checksums.items())


def _counted(oxum: str) -> str:
    size, _, count = oxum.partition(".")
    return f"{int(size):,} bytes in {int(count):,} files"
