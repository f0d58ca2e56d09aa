"""The listing of a month of an archive: the files of each bag, and what was made from recordings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.archive import is_a_folder, is_unfinished, layout
from tasks.s3 import bare_etag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.archive import Month
    from tasks.s3 import Bucket, StoredObject

_MD5 = re.compile("[0-9a-fA-F]{32}")


@dataclass(frozen=True)
class ListedBag:
    """What lies in the folder of a bag, without records of work under way."""

    folder: str  # below the archive's root, with a slash at its end
    files: dict[str, StoredObject] = field(default_factory=dict)  # by path within the bag

    @property
    def is_bag(self) -> bool:
        """Whether it has the marker."""
        return layout.MARKER in self.files

    @property
    def sizes(self) -> Mapping[str, int]:
        """Bytes by path."""
        return {path: stored.size for path, stored in self.files.items()}


@dataclass(frozen=True)
class ListedMonth:
    """What an archive holds of a month of an app."""

    bags: dict[str, ListedBag] = field(default_factory=dict)  # by folder, those without the marker, too
    derived: dict[str, StoredObject] = field(default_factory=dict)  # by path below the root


def list_month(bucket: Bucket, root: str, month: Month) -> ListedMonth:
    """List a month of an archive.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        month: of an app.

    Raises:
        StoreRefused, StoreUnavailable: the month cannot be listed completely.
    """
    listed = ListedMonth()
    for stored in bucket.list(f"{root}{month.folder}/"):
        path = stored.key.removeprefix(root)
        if is_a_folder(stored):
            continue
        if layout.is_derived(path):
            listed.derived[path] = stored
        elif (key := layout.parse_key(path)) and not is_unfinished(key.path):
            listed.bags.setdefault(key.folder, ListedBag(key.folder)).files[key.path] = stored
    return listed


def has_same_content(first: StoredObject, second: StoredObject) -> bool:
    """Tell whether two objects of one size hold the same, as far as listings show.

    An ETag is the MD5 of what was stored in one request, in most stores. Others give any, and never the same twice; or
    none at all, which tells nothing.
    """
    etag = bare_etag(first.etag)
    return bool(_MD5.fullmatch(etag)) and first.size == second.size and etag == bare_etag(second.etag)
