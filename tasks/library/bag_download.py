"""A whole bag as one zip file: sent while it is read from the store, with its size known before, stored and not packed.

Each payload file is compared with the manifest on the way. Where one differs, the answer ends before its announced
length, so that the browser reports a failed download: a damaged bag never passes for a whole one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from zipstream import ZipStream

from tasks.archive import (
    PAYLOAD,
    TAG_MANIFEST,
    inspect_bag,
    is_safe_path,
    is_unfinished,
    parse_manifest,
    require_not_deleted,
)
from tasks.errors import ArchiveDamaged, NotArchived, StoredWrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.archive import InspectedBag
    from tasks.s3 import Bucket, StoredObject


def zip_bag(bucket: Bucket, folder: str, name: str) -> tuple[Iterator[bytes], int]:
    """Return the bytes of a zip file with all files of a bag, and how many there are.

    Args:
        bucket: where the bag is; its patience is for the whole download.
        folder: the bag's key prefix, with a slash at its end.
        name: of the folder within the zip file.

    Raises:
        NotArchived: there is no bag.
        DeletedOnPurpose: there is none, as it was deleted.
        ArchiveDamaged: the bag is not whole: its files can be had one by one.
        StoreRefused, StoreUnavailable: the store.
    """
    url = f"s3://{bucket.bucket}/{folder}"
    bag = inspect_bag(bucket, folder)
    if bag is None:
        require_not_deleted(bucket, folder)
        raise NotArchived(url)
    if bag.findings or not all(map(is_safe_path, (*bag.checksums, *_stated_tags(bag)))):
        raise ArchiveDamaged(url, bag.findings or ("a path leads out of the bag",))
    return _zip(bucket, bag, name)


def _zip(bucket: Bucket, bag: InspectedBag, name: str) -> tuple[Iterator[bytes], int]:
    zipped, checksums, stated = ZipStream(sized=True), bag.checksums, _stated_tags(bag)
    for path, stored in sorted(bag.listed.items()):
        if path.startswith(PAYLOAD):
            content = _verified(bucket, stored, checksums[path])
            zipped.add(content, f"{name}/{path}", size=stored.size)
        elif path in bag.tags and not is_unfinished(path):
            zipped.add(bag.tags[path], f"{name}/{path}")
        elif path in stated:  # what another program has added, and stated
            zipped.add(_verified(bucket, stored, stated[path]), f"{name}/{path}", size=stored.size)
    return iter(zipped), len(zipped)


def _stated_tags(bag: InspectedBag) -> dict[str, str]:
    """Return the SHA-256 of the tag files that the bag states, by path; without a list of them, none."""
    try:
        return parse_manifest(bag.tags.get(TAG_MANIFEST, b""))
    except ValueError:
        return {}


def _verified(bucket: Bucket, stored: StoredObject, sha256: str) -> Iterator[bytes]:
    """Yield an object's bytes.

    Raises:
        StoredWrong: they are not what the manifest states.
    """
    digest = hashlib.sha256()
    for chunk in bucket.read(stored):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != sha256:
        raise StoredWrong(f"s3://{bucket.bucket}/{stored.key}", f"SHA-256 {sha256}", digest.hexdigest())
