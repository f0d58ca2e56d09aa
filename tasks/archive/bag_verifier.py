"""Verification of a bag by its listing and its tag files. Pure; no store is touched.

Only this module decides whether a bag is whole. A lookup verifies the tag files that it has read; an audit reads the
payload as well, and compares it with the checksums that are returned here.

A bag that another program made is verified by the standard alone, a bag of ours also by what we always write.
Source: RFC 8493, sections 2 and 3.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tasks.archive import bag, layout
from tasks.archive.bag_findings import Findings
from tasks.text import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")

_MANIFEST = re.compile(r"(?P<tag>tag)?manifest-(?P<algorithm>[A-Za-z0-9-]{1,20})\.txt")
_AGENT = re.compile(rb"^Bag-Software-Agent:[ \t]*(.*)$", re.MULTILINE | re.IGNORECASE)


class Manifest(NamedTuple):
    """A manifest, by its name alone."""

    name: str
    algorithm: str  # as hashlib calls it, if it is one of `ALGORITHMS`
    of_tags: bool

    @property
    def is_known(self) -> bool:
        """Whether its algorithm is one of `ALGORITHMS`."""
        return self.algorithm in ALGORITHMS


def find_manifests(names: Iterable[str]) -> list[Manifest]:
    """Return the manifests among the names of tag files, sorted by name, of known algorithms and of others."""
    matches = filter(None, map(_MANIFEST.fullmatch, sorted(names)))
    return [
        Manifest(match[0], match["algorithm"].replace("-", "").lower(), match["tag"] is not None) for match in matches
    ]


def is_of_another_program(bag_info: bytes) -> bool:
    """Tell whether a bag-info.txt says that another program made the bag."""
    agent = _AGENT.search(bag_info)
    return agent is not None and not agent[1].startswith(bag.SOFTWARE_AGENT.partition("/")[0].encode())


class BagVerifier:
    """Compares what lies in a bag's folder with what the bag states.

    Args:
        sizes: bytes by path, of everything in the folder that is to be verified.
        texts: content by name of bagit.txt, bag-info.txt and the manifests; one that is not here is not understood.
        findings: where findings are added.
        tag_files: names of all tag files of a bag that we made; empty if another program made it.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        texts: Mapping[str, bytes],
        findings: Findings,
        tag_files: Collection[str] = (),
    ) -> None:
        self._texts = texts
        self._findings = findings
        self._tag_files = tag_files
        self._payload = {path: size for path, size in sizes.items() if path.startswith(layout.PAYLOAD)}
        self._tags = {path: size for path, size in sizes.items() if not path.startswith(layout.PAYLOAD)}
        self._manifests = find_manifests(self._tags)
        self.altered_manifests: set[str] = set()
        """Names of manifests that are not what a tag manifest states: what they state proves no damage."""

    def verify_tag_files(
        self, compare: Callable[[str, Mapping[str, str]], str], unreadable: Collection[str] = ()
    ) -> None:
        """Compare the tag files with the tag manifests; a bag of ours must have all of its tag files, and no others.

        Args:
            compare: returns what the content of a tag file is in place of the given checksums by algorithm, as a text;
                empty if the tag file has these checksums.
            unreadable: names of tag files that are left out, as their reading failed.
        """
        for manifest in self._manifests:
            if not manifest.is_known:
                expected = f"one of {', '.join(ALGORITHMS)}"
                self._findings.note("unverifiable", manifest.name, expected, manifest.algorithm)
        stated = self._read_manifests(of_tags=True)
        checksums = stated or {}
        required = set(self._tag_files) or {layout.MARKER}
        for name in sorted((required | checksums.keys()) - self._tags.keys()):
            self._findings.note("missing", name, describe_checksums(checksums.get(name)), "nothing")
        for name in sorted(self._tags.keys() - set(unreadable)):
            if name in checksums:
                self._verify_tag_file(name, checksums[name], compare)
            elif self._tag_files:
                self._verify_unstated(name, has_tag_manifest=stated is not None)
        marker = self._texts.get(layout.MARKER)
        if marker is not None and not marker.startswith(b"BagIt-Version:"):
            self._findings.note("malformed", layout.MARKER, "BagIt-Version: …", "something else")

    def _verify_tag_file(
        self, name: str, stated: Mapping[str, str], compare: Callable[[str, Mapping[str, str]], str]
    ) -> None:
        if actual := compare(name, stated):
            if _MANIFEST.fullmatch(name):
                self.altered_manifests.add(name)
            self._findings.note("altered", name, describe_checksums(stated), actual)

    def _verify_unstated(self, name: str, *, has_tag_manifest: bool) -> None:
        """Verify a file of ours that no tag manifest states: only the tag manifest may be one, and uploads under way.

        Args:
            has_tag_manifest: there is one that is understood.
        """
        if name not in self._tag_files:
            if not layout.is_unfinished(name):
                self._findings.note("unknown", name, "nothing", human_size(self._tags[name]))
        elif has_tag_manifest and name != layout.TAG_MANIFEST:
            self._findings.note("malformed", layout.TAG_MANIFEST, f"a checksum of {name}", "none")

    def verify_payload_paths(self) -> dict[str, dict[str, str]] | None:
        """Compare the paths below `data/` with the payload manifests.

        Returns:
            The checksums by algorithm, by path, that the payload manifests state; None if none is understood.
        """
        stated = self._read_manifests(of_tags=False)
        if stated is None:
            if not self._tag_files and not any(self._known_manifests(of_tags=False)):
                self._findings.note("unverifiable", "", "a payload manifest", "none of a known algorithm")
            return None
        for path in sorted(stated.keys() - self._payload.keys()):
            self._findings.note("missing", path, describe_checksums(stated[path]), "nothing")
        for path in sorted(self._payload.keys() - stated.keys()):
            self._findings.note("unknown", path, "nothing", human_size(self._payload[path]))
        return stated

    def verify_oxum(self) -> None:
        """Compare the amount of payload with Payload-Oxum: the standard leaves it to choice, and we always write it."""
        info = self._texts.get(layout.INFO)
        stated, actual = bag.stated_oxum(info or b""), bag.payload_oxum(self._payload.values())
        if stated != actual and (stated or (self._tag_files and info is not None)):
            self._findings.note("miscounted", layout.PAYLOAD, _describe_oxum(stated), _describe_oxum(actual))

    def _known_manifests(self, *, of_tags: bool) -> Iterator[Manifest]:
        return (manifest for manifest in self._manifests if manifest.of_tags == of_tags and manifest.is_known)

    def _read_manifests(self, *, of_tags: bool) -> dict[str, dict[str, str]] | None:
        """Return the checksums by algorithm, by path, that manifests state; None if none is understood."""
        stated: dict[str, dict[str, str]] = defaultdict(dict)
        is_understood = False
        for manifest in self._known_manifests(of_tags=of_tags):
            if manifest.name not in self._texts:
                continue
            digits = 2 * hashlib.new(manifest.algorithm, usedforsecurity=False).digest_size
            try:
                lines = bag.parse_manifest(self._texts[manifest.name], digits)
            except ValueError as error:
                # A UnicodeDecodeError quotes bytes.
                reason = "a text that is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
                self._findings.note("malformed", manifest.name, "lines of a checksum and a path", reason)
                continue
            is_understood = True
            for path, checksum in self._safe_lines(manifest, lines):
                stated[path][manifest.algorithm] = checksum
        return stated if is_understood else None

    def _safe_lines(self, manifest: Manifest, lines: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield a manifest's lines, except those that lead to where they must not: these are never asked for."""
        for line, checksum in lines.items():
            path = line if self._tag_files else self._resolve(line)
            outside = path.startswith(layout.PAYLOAD) == manifest.of_tags
            if outside or path.startswith("/") or ".." in re.split(r"[/\\]", path):
                where = "outside of data/" if manifest.of_tags else "below data/"
                self._findings.note("malformed", manifest.name, f"paths {where}", path)
            else:
                yield path, checksum

    def _resolve(self, line: str) -> str:
        """Return the path that another program's manifest means: as it is written if there is such a file."""
        path = line.removeprefix("./")
        return path if path in self._payload or path in self._tags else _unescape(path)


def find_damage(
    sizes: Mapping[str, int], tags: Mapping[str, bytes], tag_files: Collection[str] = layout.TAG_FILES
) -> list[str]:
    """Return what is wrong with a bag of ours by its listing and its tag files; an empty list if nothing is.

    Args:
        sizes: bytes by path within the bag, of everything in its folder; what is neither payload nor in `tags` is left
            out. What the tag manifest states besides our tag files must be there, and its content is not compared.
        tags: content by name of the tag files that are there.
        tag_files: names of all tag files that such a bag has.
    """
    payload = {path: size for path, size in sizes.items() if path.startswith(layout.PAYLOAD)}
    findings = Findings()
    others = {path: sizes[path] for path in _stated_by_others(tags, tag_files) if path in sizes}
    known = {name: len(text) for name, text in tags.items()}
    verifier = BagVerifier(payload | others | known, tags, findings, tag_files)
    verifier.verify_tag_files(lambda name, stated: compare_text(tags[name], stated), others)
    verifier.verify_payload_paths()
    verifier.verify_oxum()
    oxum, stated_oxum = bag.payload_oxum(payload.values()), bag.stated_oxum(tags.get(layout.INFO, b""))
    texts = {
        "altered": f"{{0.path}} is not what {layout.TAG_MANIFEST} states",
        "missing": "{0.path} is missing",
        "unknown": "{0.path} is in no manifest",
        "miscounted": f"the payload is {oxum}, Payload-Oxum states {stated_oxum or 'nothing'}",
        "malformed": "{0.path}: {0.found} (expected: {0.expected})",
    }
    return [texts[finding.kind].format(finding) for finding in findings.kept if finding.kind in texts]


def _stated_by_others(tags: Mapping[str, bytes], tag_files: Collection[str]) -> set[str]:
    """Return the paths of tag files that are none of ours: another program has added them, and stated them."""
    try:
        return bag.parse_manifest(tags.get(layout.TAG_MANIFEST, b"")).keys() - set(tag_files)
    except ValueError:
        return set()


def compare_text(text: bytes, stated: Mapping[str, str]) -> str:
    """Return the checksums of a text, in words, if they are not as stated; else an empty text.

    Args:
        text: content of a tag file.
        stated: checksums by algorithm.
    """
    actual = {name: hashlib.new(name, text, usedforsecurity=False).hexdigest() for name in stated}
    return "" if actual == stated else f"{describe_checksums(actual)}, {len(text):,} bytes"


def describe_checksums(checksums: Mapping[str, str] | None) -> str:
    """Return checksums by algorithm in words, such as `SHA-256 2c26…`; "it" if there are none."""
    if not checksums:
        return "it"
    return ", ".join(f"{name.upper().replace('SHA', 'SHA-')} {checksum}" for name, checksum in checksums.items())


def _unescape(path: str) -> str:
    """Return a path as the standard has it written in manifests: with line ends and per cents escaped, nothing else."""
    return re.sub("%(0[AaDd]|25)", lambda match: chr(int(match[1], 16)), path)


def _describe_oxum(oxum: str) -> str:
    size, _, count = oxum.partition(".")
    return f"{int(size):,} bytes in {int(count):,} files" if oxum else "a Payload-Oxum"
