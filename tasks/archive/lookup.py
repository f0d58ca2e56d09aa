"""Knows how to open an archive that somebody names by its address: only where it can be, and only if it is committed.

An address may come from an event, and so from anybody who can emit one: it is not believed, but looked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.archive import bag
from tasks.archive.commit import files_of, whole_bag
from tasks.archive.inventory import held_at
from tasks.errors import NotArchived, NotInArchive
from tasks.realtimekit import parse_archived

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.archive.commit import ArchivedFile
    from tasks.s3 import Bucket, StoredObject


@dataclass(frozen=True)
class ArchivedBag:
    """A committed archive: its files as the bag states them, and the objects that hold them."""

    recording_id: str
    url: str
    folder: str  # the key prefix, with a slash at its end
    files: Mapping[str, tuple[ArchivedFile, StoredObject]]  # by path within the bag
    duration_s: float | None  # as the API had it


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
        ArchiveDamaged: there is one, and it is not whole.
    """
    url = archive_url.rstrip("/") + "/"
    held = held_at(url.removeprefix(f"{root}/")) if url.startswith(f"{root}/") else None
    if held is None or not held.ours or held.recording_id != recording_id:
        raise NotInArchive(archive_url, root, recording_id)
    folder = url.removeprefix(f"s3://{bucket.bucket}/")
    whole = whole_bag(bucket, folder, url)
    if whole is None:
        raise NotArchived(url)
    stated = dict(sorted(bag.parse_manifest(whole.tags[bag.MANIFEST]).items()))
    files = {file.path: (file, stored) for file, stored in files_of(bucket, folder, url, stated)}
    recording = parse_archived(whole.tags[bag.DETAILS])
    return ArchivedBag(recording_id, url, folder, files, recording.duration_s if recording else None)
