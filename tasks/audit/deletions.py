"""What an audit knows of deletions on purpose: they are no damage, and those that are not finished are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.archive import find_tombstone, layout, list_unfinished
from tasks.errors import TombstoneUnreadable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tasks.archive import Tombstone
    from tasks.audit.context import AuditContext


def find_deletion(context: AuditContext, folder: str) -> Tombstone | None:
    """Return the tombstone in force of a bag; None if there is none, or none that can be read.

    Args:
        context: of the audit.
        folder: of the bag, below the archive's root, with a slash at its end.
    """
    try:
        tombstone = find_tombstone(context.store, context.root + (layout.session_of(folder) or folder))
    except TombstoneUnreadable as unreadable:
        context.log.warning("%s", unreadable)
        return None
    return tombstone if tombstone is not None and tombstone.is_in_force else None


def find_unfinished(context: AuditContext, folders: Iterable[str], app_ids: Collection[str]) -> list[Tombstone]:
    """Return the tombstones of deletions that are not finished, or of which something is here again.

    Args:
        context: of the audit.
        folders: of all bags, of what is no bag, and of what was made from recordings.
        app_ids: whose deletions; none for all.
    """
    here = {layout.session_of(folder) or folder for folder in folders}
    known = list_unfinished(context.store, context.root, here)
    wanted = [folder for folder in known if not app_ids or folder.partition("/")[0] in app_ids]
    return [tombstone for folder in wanted if (tombstone := find_deletion(context, folder)) is not None]
