"""Reading an archived recording: whether its bag is committed and whole, and what is archived at an address.

An address may come from an event, and so from anybody who can emit one: it is looked for, and not believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tasks.archive import bag, layout
from tasks.archive.bag_verifier import find_damage
from tasks.archive.models import ArchivedFile
from tasks.archive.tombstones import require_not_deleted
from tasks.errors import ArchiveDamaged, NotArchived, NotInArchive, ObjectTooLarge
from tasks.realtimekit import parse_archived
from tasks.text import human_size
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.s3 import Bucket, StoredObject

LOOKS = 2
"""How often a bag is looked at before it counts as damaged."""


class InspectedBag(NamedTuple):
    """A committed bag, whole or not."""

    tags: dict[str, bytes]  # content by name, of those that are there; none if one of them is too large
    listed: dict[str, StoredObject]  # all that lies in its folder, by path
    findings: tuple[str, ...] = ()  # what is wrong with it, as far as its tag files and a listing show

    @property
    def checksums(self) -> dict[str, str]:
        """The SHA-256 that the manifest states, by path.

        Raises:
            ValueError: it is not a manifest; that of a whole bag is one.
        """
        return bag.parse_manifest(self.tags.get(layout.MANIFEST, b""))


def find_bag(bucket: Bucket, folder: str, url: str) -> InspectedBag | None:
    """Return a bag that is whole, as far as its tag files and a listing show; None if there is no bag.

    Args:
        bucket: where the bag is.
        folder: the bag's key prefix, with a slash at its end.
        url: the same for people.

    Raises:
        ArchiveDamaged: the bag is committed but not whole.
    """
    inspected = inspect_bag(bucket, folder)
    if inspected is not None and inspected.findings:
        raise ArchiveDamaged(url, inspected.findings)
    return inspected


def inspect_bag(bucket: Bucket, folder: str) -> InspectedBag | None:
    """Return a committed bag, and what is wrong with it; None if there is no bag.

    The marker comes first: without it there is nothing to list, and some stores read all files for a listing. The
    listing comes last, so that it says what lies there once the tag files were read.

    Args:
        bucket: where the bag is.
        folder: the bag's key prefix, with a slash at its end.
    """
    inspected = InspectedBag({}, {})
    for _ in range(LOOKS):  # a bag that is being replaced just now looks torn, until its marker is gone or back
        try:
            tags = _read_tags(bucket, folder)
        except ObjectTooLarge as large:
            name = large.target.rpartition("/")[2]
            inspected = InspectedBag({}, {}, (f"{name} has more than {human_size(large.most)}",))
            continue
        if tags is None:
            return None
        listed = {stored.key.removeprefix(folder): stored for stored in bucket.list(folder)}
        if layout.MARKER not in listed:
            return None
        sizes = {path: stored.size for path, stored in listed.items()}
        findings = find_damage(sizes, tags, layout.tag_files(folder))
        inspected = InspectedBag(tags, listed, tuple(findings))
        if not findings:
            break
    return inspected


def _read_tags(bucket: Bucket, folder: str) -> dict[str, bytes] | None:
    """Return the content of the tag files that are there, by name; None without the marker."""
    if (marker := bucket.get(folder + layout.MARKER)) is None:
        return None
    names = [name for name in layout.tag_files(folder) if name != layout.MARKER]
    contents = a_few_at_a_time(lambda name: bucket.get(folder + name), names)
    read = {name: content for name, content in zip(names, contents, strict=True) if content is not None}
    return {layout.MARKER: marker} | read


def describe_files(
    bucket: Bucket, folder: str, url: str, checksums: Mapping[str, str]
) -> list[tuple[ArchivedFile, StoredObject]]:
    """Return a bag's payload files, and the objects that hold them; no payload byte is read.

    Args:
        bucket: where the bag is.
        folder: the bag's key prefix, with a slash at its end.
        url: the same for people.
        checksums: SHA-256 by path, as the bag's manifest states.

    Raises:
        ArchiveDamaged: a file is missing.
    """

    def describe(path: str) -> tuple[ArchivedFile, StoredObject]:
        stored = bucket.head(folder + path)
        if stored is None:
            raise ArchiveDamaged(url, (f"{path} is missing",))
        sha256, content_type = checksums[path], stored.content_type
        return ArchivedFile(path=path, size=stored.size, sha256=sha256, content_type=content_type), stored

    return a_few_at_a_time(describe, checksums)


@dataclass(frozen=True)
class ArchivedBag:
    """A committed archive: its files as the bag states them, and the objects that hold them."""

    recording_id: str
    url: str
    folder: str  # the key prefix, with a slash at its end
    files: Mapping[str, tuple[ArchivedFile, StoredObject]]  # by path within the bag
    duration_s: float | None  # as the API had it
    session_id: str = ""  # empty if the recording has none


def open_bag(bucket: Bucket, root: str, archive_url: str, recording_id: str) -> ArchivedBag:
    """Return what is archived at an address; of the media, no byte is read.

    Args:
        bucket: the archive's.
        root: the setting ARCHIVE_URL; nothing is looked at that is not below it.
        archive_url: the recording's folder, with or without a slash at its end.
        recording_id: the recording's id, in lower case.

    Raises:
        NotInArchive: the address is not one of that recording in this archive.
        NotArchived: there is no committed archive.
        DeletedOnPurpose: there is none, as it was deleted.
        ArchiveDamaged: there is one, and it is not whole.
    """
    url = archive_url.rstrip("/") + "/"
    path = url.removeprefix(f"{root}/") if url.startswith(f"{root}/") else ""
    if not layout.parse_folder(path) or path.rstrip("/").rpartition("/")[2] != recording_id:
        raise NotInArchive(archive_url, root, recording_id)
    folder = url.removeprefix(f"s3://{bucket.bucket}/")
    whole = find_bag(bucket, folder, url)
    if whole is None:
        require_not_deleted(bucket, folder)
        raise NotArchived(url)
    checksums = dict(sorted(whole.checksums.items()))
    files = {file.path: (file, stored) for file, stored in describe_files(bucket, folder, url, checksums)}
    recording = parse_archived(whole.tags[layout.DETAILS])
    duration_s, session_id = (recording.duration_s, recording.session_id) if recording else (None, "")
    return ArchivedBag(recording_id, url, folder, files, duration_s, session_id.lower())
