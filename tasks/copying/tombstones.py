"""Tombstones in both archives: what was deleted from one of them on purpose is not copied, and may be deleted here.

{prefix}/_deleted/{app_id}/{YYYY}/{MM}/{DD}/{recording_id}.json
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.app_ids import APP_ID
from tasks.archive import find_tombstone, layout, session_of, shown
from tasks.errors import TombstoneUnreadable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tasks.archive import Tombstone
    from tasks.copying.context import CopyContext
    from tasks.s3 import Bucket, StoredObject

DELETED = layout.DELETED
"""The folder of tombstones, in an archive's root; no app has such an id."""
_TOMBSTONE = re.compile(rf"{DELETED}/(?P<folder>{APP_ID}/[0-9]{{4}}/[0-9]{{2}}/[0-9]{{2}}/.+)\.json")


def list_tombstones(bucket: Bucket, root: str, app_ids: Collection[str]) -> dict[str, StoredObject]:
    """Return all tombstones of an archive, by path below its root.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        app_ids: whose tombstones; none for all apps.
    """
    folders = [f"{root}{DELETED}/{app_id}/" for app_id in app_ids] or [f"{root}{DELETED}/"]
    listed = (stored for folder in folders for stored in bucket.list(folder))
    by_path = {stored.key.removeprefix(root): stored for stored in listed}
    return {path: stored for path, stored in by_path.items() if _TOMBSTONE.fullmatch(path)}


def deleted_folders(paths: Iterable[str]) -> frozenset[str]:
    """Return the folders of what was deleted, below the root, with a slash at their ends.

    Args:
        paths: of tombstones.
    """
    return frozenset(f"{match['folder']}/" for path in paths if (match := _TOMBSTONE.fullmatch(path)))


def find_revoked(context: CopyContext, folders: Iterable[str]) -> frozenset[str]:
    """Return the folders whose tombstones say that a person wanted it archived again.

    Args:
        context: of the run.
        folders: of what is in one of the two although there are tombstones.
    """
    return frozenset(folder for folder in folders if _is_revoked(context, folder))


def _is_revoked(context: CopyContext, folder: str) -> bool:
    try:
        tombstone = _find_in_either(context, folder)
    except TombstoneUnreadable:
        return False
    return tombstone is not None and not tombstone.is_in_force


def is_deletion_certain(context: CopyContext, folder: str) -> bool:
    """Tell whether a bag may be deleted from the copy: a tombstone that can be read says so now.

    A person may have revoked the tombstone since it was listed, or hold what is left of a deletion that has only begun,
    while the copy's bag is the last one that is whole.

    Args:
        context: of the run.
        folder: of the bag, below the roots, with a slash at its end.
    """
    try:
        tombstone = _find_in_either(context, session_of(folder) or folder)
    except TombstoneUnreadable as unreadable:
        context.log.warning("Not deleted from the copy: %s: %s", shown(folder), unreadable)
        return False
    return tombstone is not None and tombstone.is_in_force and tombstone.state != "begun"


def _find_in_either(context: CopyContext, folder: str) -> Tombstone | None:
    """Return the archive's tombstone, or the copy's if the archive has none."""
    if (tombstone := find_tombstone(context.first, context.first_root + folder)) is not None:
        return tombstone
    with context.at_copy():
        return find_tombstone(context.copy, context.copy_root + folder)


def is_deleted(folder: str, deleted: Collection[str]) -> bool:
    """Tell whether a bag was deleted on purpose: a recording, or a session with all versions.

    Args:
        folder: of the bag, below the root, with a slash at its end.
        deleted: see `deleted_folders`.
    """
    return folder in deleted or session_of(folder) in deleted


def is_derived_of_deleted(path: str, deleted: Collection[str]) -> bool:
    """Tell whether something was made from a recording that was deleted on purpose."""
    return layout.derived_folder(path) in deleted
