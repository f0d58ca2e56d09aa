"""The contents of an archived bag: which files its manifests state, and where these may lie.

Manifests come from the store, and so from whoever can write there: a path that leads out of the bag's folder, or to a
place that the restore needs for itself, is never used.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tasks.archive import (
    DETAILS,
    Sums,
    compare_text,
    inspect_bag,
    is_safe_path,
    is_unfinished,
    layout,
    parse_manifest,
    shown,
)
from tasks.errors import ObjectTooLarge, StoreRefused
from tasks.realtimekit import parse_archived
from tasks.restore.models import BagContents, BagFile, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tasks.archive import InspectedBag
    from tasks.errors import ArchiverError
    from tasks.restore.models import ProblemKind
    from tasks.s3 import Bucket

DERIVED_TYPES = {
    layout.DESCRIPTION: "application/json",
    layout.CAPTIONS: "text/vtt; charset=utf-8",
    layout.TRANSCRIPT_TEXT: "text/plain; charset=utf-8",
    layout.POSTER: "image/jpeg",
}
"""Of what was made from a recording, by what follows the name of the bag's folder."""


def read_bag(bucket: Bucket, folder: str) -> BagContents | None:
    """Return what there is of a bag; None if there is no bag. No byte of the payload is read.

    Args:
        bucket: where the archive is.
        folder: the bag's key prefix, with a slash at its end.

    Raises:
        StoreRefused, StoreUnavailable: the store.
    """
    inspected = inspect_bag(bucket, folder)
    if inspected is None:
        return None
    reading = _Reading(inspected)
    files = [*reading.payload(), *reading.tag_files()]
    marker = next((file for file in files if file.path == layout.MARKER), None)
    recording = parse_archived(inspected.tags.get(DETAILS, b""))
    return BagContents(
        tuple(file for file in files if file.path != layout.MARKER),
        marker,
        reading.is_stated,
        tuple(reading.problems),
        recording.session_id if recording else "",
        Sums.of(inspected.listed.values()).versions,
        inspected.findings,
    )


def read_derived(bucket: Bucket, folder: str, on_refusal: Callable[[str, ArchiverError], None]) -> list[BagFile]:
    """Return what was made from a recording, and lies beside the recording's bag.

    Args:
        bucket: where the archive is.
        folder: the bag's key prefix, with a slash at its end.
        on_refusal: called for what cannot be had, with what follows the name of the bag's folder.

    Raises:
        StoreUnavailable: the store.
    """
    files = []
    for suffix, content_type in DERIVED_TYPES.items():
        try:
            content = bucket.get(folder.rstrip("/") + suffix)
        except (StoreRefused, ObjectTooLarge) as error:
            on_refusal(suffix, error)
            continue
        if content is not None:
            sha256 = hashlib.sha256(content).hexdigest()
            files.append(BagFile(suffix, sha256, None, content, content_type, is_beside=True))
    return files


class _Reading:
    """Compares what a bag states with what lies in its folder.

    Args:
        inspected: the bag.
    """

    def __init__(self, inspected: InspectedBag) -> None:
        self._tags = inspected.tags
        self._listed = inspected.listed
        self.problems: list[Problem] = []
        self.is_stated = bool(inspected.tags)
        if not inspected.tags:  # one of them is too large to be ours
            self._note("damaged", "", "; ".join(inspected.findings))

    def payload(self) -> Iterator[BagFile]:
        """Yield the payload files that are there."""
        stated = self._manifest(layout.MANIFEST)
        yield from self._files(stated)
        lying = {path for path in self._listed if path.startswith(layout.PAYLOAD) and not path.endswith("/")}
        for path in sorted(lying - stated.keys()) if stated else ():
            self._note("unknown", path, f"{layout.MANIFEST} does not state it, so it is left out")

    def tag_files(self) -> Iterator[BagFile]:
        """Yield the tag files that are there and as stated, the tag manifest among them."""
        if not self._tags:
            return
        stated = self._manifest(layout.TAG_MANIFEST)
        for name in sorted({layout.MARKER, layout.MANIFEST} - stated.keys()) if stated else ():
            self.is_stated = False
            self._note("damaged", layout.TAG_MANIFEST, f"it states no checksum of {name}")
        yield from self._files(stated)
        content = self._tags.get(layout.TAG_MANIFEST)
        if stated and content is not None and layout.TAG_MANIFEST in self._listed:
            sha256, stored = hashlib.sha256(content).hexdigest(), self._listed[layout.TAG_MANIFEST]
            yield BagFile(layout.TAG_MANIFEST, sha256, stored, content)

    def _files(self, stated: Mapping[str, str]) -> Iterator[BagFile]:
        for path, sha256 in stated.items():
            stored, content = self._listed.get(path), self._tags.get(path)
            if stored is None:
                self._note("missing", path, f"expected SHA-256 {sha256}, found nothing")
                yield BagFile(path, sha256, None)
            elif content is not None and (actual := compare_text(content, {"sha256": sha256})):
                self._note("damaged", path, f"expected SHA-256 {sha256}, found {actual}")
                yield BagFile(path, sha256, None)
            else:
                yield BagFile(path, sha256, stored, content)

    def _manifest(self, name: str) -> dict[str, str]:
        """Return the SHA-256 by path that a manifest states, without paths that must not be used."""
        content = self._tags.get(name)
        try:
            lines = parse_manifest(content) if content is not None else {}
        except ValueError as error:
            reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            self._note("damaged", name, reason)
            lines = {}
        else:
            if content is not None and not lines:
                self._note("damaged", name, "it states no file")
        if content is None and self._tags:
            self._note("missing", name, "nothing else proves what the files are")
        self.is_stated &= bool(lines)
        return {path: sha256 for path, sha256 in lines.items() if self._is_usable(name, path)}

    def _is_usable(self, manifest: str, path: str) -> bool:
        of_payload = path.startswith(layout.PAYLOAD)
        if is_safe_path(path) and of_payload == (manifest == layout.MANIFEST) and not is_unfinished(path.lower()):
            return True
        self.is_stated = False
        self._note("unsafe", path, f"{manifest} must not state such a path; nothing is written there")
        return False

    def _note(self, kind: ProblemKind, path: str, detail: str) -> None:
        self.problems.append(Problem(kind=kind, path=shown(path), detail=shown(detail)))
