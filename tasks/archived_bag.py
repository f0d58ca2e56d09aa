"""Knows how to open an archive that somebody names by its address: only where it can be, and only if it is committed.

An address may come from an event, and so from anybody who can emit one: it is not believed, but looked for.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks import bag
from tasks.archive import ArchivedFile, whole_bag
from tasks.details import parse_recording
from tasks.errors import ArchiveDamaged, NotArchived, NotInArchive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.bucket import Bucket, StoredObject

_BELOW_ROOT = re.compile(r"/[A-Za-z0-9_-]{1,32}/[0-9]{4}/[0-9]{2}/[0-9]{2}/(?P<recording_id>[0-9a-f-]{36})/")


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
    below = _BELOW_ROOT.fullmatch(url.removeprefix(root)) if url.startswith(root) else None
    if below is None or below["recording_id"] != recording_id:
        raise NotInArchive(archive_url, root, recording_id)
    folder = url.removeprefix(f"s3://{bucket.bucket}/")
    whole = whole_bag(bucket, folder, url)
    if whole is None:
        raise NotArchived(url)
    files = {}
    for path, sha256 in sorted(bag.parse_manifest(whole.tags[bag.MANIFEST]).items()):
        stored = bucket.head(folder + path)
        if stored is None:
            raise ArchiveDamaged(url, (f"{path} is missing",))
        its = ArchivedFile(path=path, size=stored.size, sha256=sha256, content_type=stored.content_type)
        files[path] = its, stored
    return ArchivedBag(recording_id, url, folder, files, _duration_s(whole.tags[bag.DETAILS]))


def _duration_s(details: bytes) -> float | None:
    try:
        known = json.loads(details)
    except ValueError:
        return None
    return parse_recording(known).duration_s if isinstance(known, dict) else None
