"""Fixity: reads a bag again, and compares every file with its manifests.

A bag may be replaced, or deleted, while it is read. So nothing counts as damage unless the bag's listing is the same
before and after the look that found it; a file that reads wrong is read once more; and a store that does not answer
is an error, never a finding. A file in an archived storage class is no finding either, as nobody can read it now.
`tasks.archive.bag_verifier` says what is damage.
Source: RFC 8493, sections 2 and 3.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Literal

from tasks.archive import (
    BagVerifier,
    Finding,
    Findings,
    Sums,
    compare_text,
    describe_checksums,
    find_manifests,
    is_a_folder,
    is_of_another_program,
    is_unfinished,
    layout,
)
from tasks.errors import StoredWrong, StoreRefused
from tasks.s3 import ARCHIVED_CLASS
from tasks.text import MIB, human_size

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tasks.s3 import Bucket, Reader, StoredObject

LOOKS = 3
"""At a bag that is another at each, before it is left to the next audit."""
READINGS = 2
"""Of a file, before it counts as altered: bytes may change on their way to us, too."""
FILES_AT_ONCE = 2
"""Of one bag; others are read at the same time."""
LARGEST_TEXT = 8 * MIB
"""Bytes of a tag file that is parsed: some 80,000 lines of a manifest. A larger one is only hashed."""
MOST_OBJECTS = 50_000
"""Of one bag."""
MOST_FINDINGS = 100
"""Of one bag that are kept; the others are counted."""

Outcome = Literal["whole", "damaged", "archived class", "unverifiable", "no bag", "unsettled"]


@dataclass(frozen=True)
class Verification:
    """The result of verifying a bag."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    more: int = 0  # findings that are not kept
    sums: Sums = field(default_factory=Sums)  # of the listing that was verified
    read: int = 0  # bytes of payload and tag files
    details: bytes = b""  # recording.json, as it is
    lacks_texts: bool = (
        False  # manifests or bag-info.txt are in an archived storage class: what has to be there is open
    )


def verify_bag(bucket: Bucket, folder: str, reader: Reader, *, ours: bool, payload: bool = True) -> Verification:
    """Verify one bag, and look again before anything is called damage.

    Args:
        bucket: where the bag is.
        folder: the bag's key prefix, with a slash at its end.
        reader: reads the bag's objects.
        ours: whether the bag lies where we archive recordings.
        payload: read the payload; else the payload is only listed.

    Raises:
        StoreUnavailable, StoreRefused: the store does not say; nothing is known of the bag then.
    """
    read = 0
    for _ in range(LOOKS):
        listed = _list_bag(bucket, folder)
        if listed is not None and layout.MARKER not in listed:
            return Verification("no bag", read=read)
        look = _Look(bucket, listed or {}, reader, layout.tag_files(folder), ours=ours)
        if listed is None:
            look.findings.note("unverifiable", "", f"at most {MOST_OBJECTS:,} objects", "more")
        else:
            look.verify(payload=payload)
        read += look.read
        if not look.findings.damaged or listed == _list_bag(bucket, folder):
            return look.result(read)
    return Verification("unsettled", read=read)


def _list_bag(bucket: Bucket, folder: str) -> dict[str, StoredObject] | None:
    """Return the objects in a folder by path; None if there are more than are kept in memory."""
    listed: dict[str, StoredObject] = {}
    for stored in islice(bucket.list(folder), MOST_OBJECTS + 1):
        if not is_a_folder(stored):
            listed[stored.key.removeprefix(folder)] = stored
    return listed if len(listed) <= MOST_OBJECTS else None


class _Look:
    """One look at a bag: reads the bag's files, and has them verified.

    Args:
        bucket: where the bag is.
        listed: the objects in the bag's folder, by path.
        reader: reads the bag's objects.
        tag_files: names of all tag files that a bag of ours has in this folder.
        ours: whether the bag lies where we archive recordings.
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
        self._listed = listed
        self._reader = reader
        self._tag_files = tag_files
        self._ours = ours
        self._unreadable: set[str] = set()  # tag files that the store lists, and does not return whole
        self._texts: dict[str, bytes] = {}
        self._cold: set[str] = set()  # paths of files in an archived storage class
        self.findings = Findings(MOST_FINDINGS)
        self.read = 0

    def verify(self, *, payload: bool) -> None:
        """Verify the tag files, what they state of the payload, and the payload itself if that is wanted."""
        self._read_texts()
        # Which program made a bag is not known while the file that states that cannot be read.
        ours = self._ours and layout.INFO not in self._cold
        made_here = ours and not is_of_another_program(self._texts.get(layout.INFO, b""))
        sizes = {path: stored.size for path, stored in self._listed.items()}
        verifier = BagVerifier(sizes, self._texts, self.findings, self._tag_files if made_here else ())
        verifier.verify_tag_files(self._compare_tag_file, self._unreadable)
        stated = verifier.verify_payload_paths()
        if payload and stated is not None:
            self._verify_payload(stated, verifier.altered_manifests)
        verifier.verify_oxum()

    def result(self, read: int) -> Verification:
        """Return what came of this look.

        Args:
            read: bytes, by this look and by earlier ones.
        """
        findings, ours = self.findings, self._ours
        outcome: Outcome = "damaged" if findings.damaged else "unverifiable" if findings.kept else "whole"
        if self._cold and not findings.damaged:
            outcome = "archived class"
        sums = Sums.of(stored for path, stored in self._listed.items() if not (ours and is_unfinished(path)))
        more = findings.count - len(findings.kept)
        details = self._texts.get(layout.DETAILS, b"")
        stating = {layout.INFO, *(manifest.name for manifest in find_manifests(self._listed))}
        lacks_texts = not stating.isdisjoint(self._cold)
        return Verification(outcome, tuple(findings.kept), more, sums, read, details, lacks_texts)

    def _read_texts(self) -> None:
        """Read the tag files that are parsed."""
        manifests = [manifest.name for manifest in find_manifests(self._listed) if manifest.is_known]
        for name in (layout.MARKER, layout.INFO, layout.DETAILS, *manifests):
            stored = self._listed.get(name)
            if stored is None:
                continue
            if stored.size <= LARGEST_TEXT:
                self._read_text(name, stored)
            elif name in manifests:
                size = human_size(stored.size)
                self.findings.note("unverifiable", name, f"at most {human_size(LARGEST_TEXT)}", size)

    def _read_text(self, name: str, stored: StoredObject) -> None:
        try:
            self._texts[name] = self._reader.content(self._bucket, stored)
            self.read += stored.size
        except StoredWrong as wrong:
            self._unreadable.add(name)
            self.findings.note("altered", name, wrong.expected, wrong.actual)
        except StoreRefused as refused:
            self._pass_over(name, refused)
            self._unreadable.add(name)

    def _pass_over(self, path: str, refused: StoreRefused) -> None:
        """Note that a file is in an archived storage class.

        Raises:
            StoreRefused: it is not; the store refuses to read it for another reason.
        """
        if refused.code != ARCHIVED_CLASS:
            raise refused
        self._cold.add(path)

    def _compare_tag_file(self, name: str, stated: Mapping[str, str]) -> str:
        """Return what a tag file is if its checksums are not as stated; a parsed one is read again before that."""
        if name in self._texts and not compare_text(self._texts[name], stated):
            return ""
        actual, read = self._compare(name, stated)
        self.read += read
        return actual

    def _verify_payload(self, stated: Mapping[str, Mapping[str, str]], altered_manifests: set[str]) -> None:
        """Read the payload files that are stated and there, and compare their checksums.

        Args:
            stated: checksums by algorithm, by path.
            altered_manifests: a file that differs from what one of these states may still be what was archived.
        """
        paths = sorted(stated.keys() & self._listed.keys())
        doubt = f" as {', '.join(sorted(altered_manifests))} states, which is altered itself"
        with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
            comparisons = threads.map(lambda path: self._compare(path, stated[path]), paths)
            for path, (actual, read) in zip(paths, comparisons, strict=True):
                self.read += read
                if actual and altered_manifests:
                    self.findings.note("unverifiable", path, f"{describe_checksums(stated[path])}{doubt}", actual)
                elif actual:
                    self.findings.note("altered", path, describe_checksums(stated[path]), actual)

    def _compare(self, path: str, stated: Mapping[str, str]) -> tuple[str, int]:
        """Return what a file's bytes are if they are not as stated, and how many bytes were read."""
        stored, actual, read = self._listed[path], "", 0
        for _ in range(READINGS):
            try:
                checksums = self._reader.digests(self._bucket, stored, stated)
            except StoredWrong as wrong:
                return wrong.actual, read
            except StoreRefused as refused:
                self._pass_over(path, refused)
                return "", read
            read += stored.size
            if checksums == stated:
                return "", read
            actual = f"{describe_checksums(checksums)}, {stored.size:,} bytes"
        return actual, read
