"""The deletion of one recording, with the documents of its session where they go with it.

    1  a tombstone each, which says that the deletion has begun; from then on no run archives it again
    2  the markers: nothing passes for a bag that is not whole
    3  unfinished uploads, all other objects, what was made from the recording, and older versions of all these
    4  a look whether anything is left, and the tombstone that says what came of it

A run that is killed leaves a tombstone in the state begun, and the next run finishes what that says. A marker that
cannot be deleted ends the deletion before anything is lost.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tasks.archive import (
    DeletedBag,
    DeletedFile,
    Tombstone,
    begun_key,
    find_tombstone,
    layout,
    parse_manifest,
    version_of,
    write_tombstone,
)
from tasks.errors import ObjectTooLarge, StoreRefused
from tasks.retention.removal import Removal, Remover, Target
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tasks.archive import State
    from tasks.s3 import Store, StoredObject
    from tasks.text import Log


KINDS = frozenset({"video", "audio", "tracks", "transcript", "chat", "summary", "uploads", "missing"})
"""What payload files are, as tombstones say; all else is `other`."""


@dataclass(frozen=True)
class Cause:
    """Why something is deleted, and who wanted it."""

    kind: Literal["policy", "request"]
    reason: str
    by: str


class Deletion:
    """Deletes targets.

    Args:
        store: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        now: the time that tombstones state.
        log: told what cannot be cleared away.
    """

    def __init__(self, store: Store, root: str, now: datetime, log: Log) -> None:
        self._store = store
        self._root = root
        self._now = now
        self._remover = Remover(store, root, log)

    def delete(self, target: Target, cause: Cause) -> list[Tombstone]:
        """Delete a target, and the sessions that go with it; return the tombstones of what was deleted now.

        Raises:
            StoreUnavailable, StoreRefused: the store is away, or takes no tombstone.
            TombstoneUnreadable: there is one that nobody can read.
        """
        before = find_tombstone(self._store, self._root + target.folder)
        if before is not None and _is_called_off(target, before):
            return [before]
        targets = [target, *(self._session_target(folder, target.since) for folder in target.with_sessions)]
        begun = [(each, stone) for each in targets if (stone := self._begin(each, cause)) is not None]
        if not begun or begun[0][0] is not target:  # the recording is gone, and maybe a session was left
            return [self._delete_one(each, stone) for each, stone in begun]
        (_, mine), *sessions = begun
        removal = self._remover.hide_markers(target)
        if removal.remains or self._is_wanted_back(target):
            return [self._settle(mine, removal), *(stone for _, stone in sessions)]
        done = [self._delete_one(session, stone) for session, stone in sessions]
        return [self._settle(mine, self._remove_all(target, removal)), *done]

    def _session_target(self, folder: str, since: datetime | None) -> Target:
        return Target("session", folder.split("/")[-2].removeprefix("session-"), folder, since=since)

    def _delete_one(self, target: Target, tombstone: Tombstone) -> Tombstone:
        removal = self._remover.hide_markers(target)
        return self._settle(tombstone, removal if removal.remains else self._remove_all(target, removal))

    def _remove_all(self, target: Target, removal: Removal) -> Removal:
        return self._remover.remove_all(target, removal, lambda: self._is_wanted_back(target))

    def _is_wanted_back(self, target: Target) -> bool:
        """Tell whether a person has revoked the tombstone since this deletion wrote it."""
        tombstone = find_tombstone(self._store, self._root + target.folder)
        return tombstone is not None and not tombstone.is_in_force

    def _begin(self, target: Target, cause: Cause) -> Tombstone | None:
        """Write the tombstone of a deletion that begins or goes on; None if it is finished, or called off."""
        objects = self._remover.objects(target)
        bags = self._describe_bags(target, objects)
        # Looked for last: where there is none by now, no other run had deleted anything of what was listed.
        before = find_tombstone(self._store, self._root + target.folder)
        if _is_called_off(target, before):
            return None
        if before is not None and before.state == "deleted" and not objects:
            self._store.delete([begun_key(self._root + target.folder)])
            return None
        if before is not None and before.is_in_force:
            known = {bag.version for bag in before.bags if bag.files}
            bags = (*before.bags, *(bag for bag in bags if bag.files and bag.version not in known))
            sessions = tuple(dict.fromkeys((*before.with_sessions, *target.with_sessions)))
            update: dict[str, object] = {
                "state": "begun",
                "bags": bags,
                "with_sessions": sessions,
                "remains": (),
                "deleted_at": None,
            }
            tombstone = before.model_copy(update=update)
        else:
            tombstone = Tombstone.model_validate({
                "kind": target.kind, "id": target.id, "app_id": target.app_id, "folder": target.folder,
                "session_id": target.session_id, "state": "begun", "cause": cause.kind, "reason": cause.reason,
                "by": cause.by, "begun_at": self._now, "objects": len(objects),
                "bytes": sum(stored.size for stored in objects), "bags": bags, "with_sessions": target.with_sessions,
            })  # fmt: skip
        self._store.put(begun_key(self._root + target.folder), b"", "text/plain")
        write_tombstone(self._store, self._root, tombstone)
        return tombstone

    def _describe_bags(self, target: Target, objects: Sequence[StoredObject]) -> tuple[DeletedBag, ...]:
        sizes = {stored.key: stored.size for stored in objects}
        bags = a_few_at_a_time(lambda folder: self._describe(folder, sizes), self._remover.bag_folders(target, objects))
        return tuple(bag for bag in bags if bag.was_committed or bag.manifest_sha256)

    def _describe(self, folder: str, sizes: dict[str, int]) -> DeletedBag:
        """Return what a bag's manifest states; nothing of it if the manifest cannot be read."""
        at, manifest = self._root + folder, b""
        checksums: dict[str, str] = {}
        with suppress(StoreRefused, ObjectTooLarge, ValueError):
            manifest = self._store.get(at + layout.MANIFEST) or b""
            checksums = parse_manifest(manifest) if manifest else {}
        return DeletedBag(
            version=version_of(folder),
            was_committed=at + layout.MARKER in sizes,
            manifest_sha256=hashlib.sha256(manifest).hexdigest() if manifest else "",
            files=tuple(
                DeletedFile(kind=_kind_of(path), size=sizes.get(at + path), sha256=sha256)
                for path, sha256 in sorted(checksums.items())
            ),
        )

    def _settle(self, tombstone: Tombstone, removal: Removal) -> Tombstone:
        """Write what came of a deletion; a person may have revoked the tombstone meanwhile."""
        folder = self._root + tombstone.folder
        state: State = "begun" if self._has_any(tombstone) else "hidden" if removal.remains else "deleted"
        before = tombstone.versions_deleted
        count = before if removal.versions is None else removal.versions + (before or 0)
        settled = tombstone.model_copy(update={
            "state": state, "deleted_at": (tombstone.deleted_at or self._now) if state == "deleted" else None,
            "versions_deleted": count, "remains": tuple(removal.remains),
        })  # fmt: skip
        now = find_tombstone(self._store, folder)
        if now is not None and not now.is_in_force:
            return now
        write_tombstone(self._store, self._root, settled)
        if state == "deleted":
            self._store.delete([begun_key(folder)])
        return settled

    def _has_any(self, tombstone: Tombstone) -> bool:
        target = Target(tombstone.kind, tombstone.id, tombstone.folder)
        return bool(self._remover.objects(target))


def _is_called_off(target: Target, tombstone: Tombstone | None) -> bool:
    """Tell whether a person wants something back since its deletion was decided on, or began."""
    revoked_at = tombstone.revoked_at if tombstone is not None else None
    return target.since is not None and revoked_at is not None and revoked_at >= target.since


def _kind_of(path: str) -> str:
    """Return what a payload file is, without its name: a bag that others have made may be named after a person."""
    below = path.removeprefix(layout.PAYLOAD)
    kind = below.partition("/")[0] if "/" in below else below.partition(".")[0]
    return kind if kind in KINDS else "other"
