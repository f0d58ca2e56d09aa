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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.archive import (
    DeletedBag,
    DeletedFile,
    Remains,
    Tombstone,
    UploadJournal,
    begun_key,
    find_tombstone,
    layout,
    parse_manifest,
    version_of,
    write_tombstone,
)
from tasks.errors import ObjectTooLarge, StoreRefused
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tasks.archive import State
    from tasks.s3 import ObjectVersion, Store, StoredObject
    from tasks.text import Log

ROUNDS = 3
"""Looks for what another run may have written meanwhile."""


@dataclass(frozen=True)
class Cause:
    """Why something is deleted, and who wanted it."""

    kind: str  # policy or request
    reason: str
    by: str


@dataclass(frozen=True)
class Target:
    """One folder that is to be deleted, with what lies beside it."""

    kind: str  # recording or session
    id: str
    folder: str  # below the archive's root, with a slash at its end
    session_id: str = ""
    with_sessions: tuple[str, ...] = ()

    @property
    def app_id(self) -> str:
        """The app that it belongs to."""
        return self.folder.partition("/")[0]


@dataclass
class _Removal:
    """What came of deleting the objects of a target."""

    made_versions: bool = False  # the store keeps what was deleted as older versions
    versions: int | None = None  # deleted for good
    remains: list[Remains] = field(default_factory=list)


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
        self._log = log

    def delete(self, target: Target, cause: Cause) -> list[Tombstone]:
        """Delete a target, and the sessions that go with it; return the tombstones of what was deleted now.

        Raises:
            StoreUnavailable, StoreRefused: the store is away, or takes no tombstone.
            TombstoneUnreadable: there is one that nobody can read.
        """
        targets = [target, *(self._session_target(folder) for folder in target.with_sessions)]
        begun = [(each, stone) for each in targets if (stone := self._begin(each, cause)) is not None]
        if not begun or begun[0][0] is not target:  # the recording is gone, and maybe a session was left
            return [self._delete_one(each, stone) for each, stone in begun]
        (_, mine), *sessions = begun
        removal = self._hide_markers(target)
        if removal.remains:
            return [self._settle(mine, removal), *(stone for _, stone in sessions)]
        done = [self._delete_one(session, stone) for session, stone in sessions]
        return [self._settle(mine, self._remove_all(target, removal)), *done]

    def _session_target(self, folder: str) -> Target:
        return Target("session", folder.split("/")[-2].removeprefix("session-"), folder)

    def _delete_one(self, target: Target, tombstone: Tombstone) -> Tombstone:
        removal = self._hide_markers(target)
        return self._settle(tombstone, removal if removal.remains else self._remove_all(target, removal))

    def _begin(self, target: Target, cause: Cause) -> Tombstone | None:
        """Write the tombstone of a deletion that begins or goes on; None if an earlier run has finished it."""
        before = find_tombstone(self._store, self._root + target.folder)
        objects = self._objects(target)
        bags = self._describe_bags(target, objects)
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

    def _objects(self, target: Target) -> list[StoredObject]:
        """List what lies in a folder, and what was made from the recording."""
        folder = self._root + target.folder
        beside = self._store.list(f"{folder.rstrip('/')}.") if target.kind == "recording" else ()
        derived = [stored for stored in beside if layout.is_derived(stored.key.removeprefix(self._root))]
        return [*self._store.list(folder), *derived]

    def _bag_folders(self, target: Target, objects: Iterable[StoredObject]) -> list[str]:
        """Return the folders of a target's bags, below the root: a session has one for each version, or the first."""
        if target.kind == "recording":
            return [target.folder]
        keys = (layout.parse_key(stored.key.removeprefix(self._root)) for stored in objects)
        return sorted({key.folder for key in keys if key is not None}) or [layout.version_folder(target.folder, 1)]

    def _describe_bags(self, target: Target, objects: Sequence[StoredObject]) -> tuple[DeletedBag, ...]:
        sizes = {stored.key: stored.size for stored in objects}
        bags = a_few_at_a_time(lambda folder: self._describe(folder, sizes), self._bag_folders(target, objects))
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

    def _hide_markers(self, target: Target) -> _Removal:
        """Delete the markers first; where one of them stays, all else is left as it is.

        A marker that is not there is deleted, too: the answer tells whether the store keeps older versions.
        """
        removal = _Removal()
        for folder in self._bag_folders(target, self._objects(target)):
            key = self._root + folder + layout.MARKER
            try:
                removal.made_versions |= self._store.hide(key)
            except StoreRefused as refused:
                removal.remains.append(self._explain("the store does not let the marker go", refused, None))
                break
            if self._store.head(key) is not None:
                reason = "the store answers that the marker is deleted, and still has it"
                removal.remains.append(Remains(reason=reason, objects=1))
                break
        return removal

    def _remove_all(self, target: Target, removal: _Removal) -> _Removal:
        """Delete all that is left of a target, and look again whether anything came meanwhile."""
        if target.kind == "recording":
            self._end_uploads(target, removal)
        for _ in range(ROUNDS):
            objects = self._objects(target)
            if not objects:
                break
            hidden = a_few_at_a_time(self._hide, objects)
            removal.made_versions |= True in hidden
            if refused := [its for its in hidden if isinstance(its, Remains)]:
                removal.remains += _grouped(refused)
                return removal
        else:
            count = len(self._objects(target))
            removal.remains += [Remains(reason="another run keeps writing there", objects=count)] if count else []
        self._remove_versions(target, removal)
        return removal

    def _end_uploads(self, target: Target, removal: _Removal) -> None:
        """End the uploads under way in a folder, of which the store may hold parts."""
        folder = self._root + target.folder
        UploadJournal(self._store, folder, self._log).clear()
        left = self._store.list_uploads_if_supported(folder) or ()
        removal.remains += [Remains(reason="uploads under way cannot be ended", objects=len(left))] if left else []

    def _hide(self, stored: StoredObject) -> bool | Remains:
        """Delete an object; return whether the store keeps it as an older version, or why it does not go."""
        try:
            return self._store.hide(stored.key)
        except StoreRefused as refused:
            return self._explain("the store does not let an object go", refused, None)

    def _remove_versions(self, target: Target, removal: _Removal) -> None:
        """Delete older versions for good, where there are any, and these credentials may."""
        folder = self._root + target.folder
        try:
            versions = self._store.versions(folder)
            beside = self._store.versions(f"{folder.rstrip('/')}.") if target.kind == "recording" and versions else []
        except StoreRefused as refused:
            if removal.made_versions:
                what = f"the store keeps older versions, which these credentials may not list ({refused.code})"
                removal.remains.append(Remains(reason=what, objects=0))
            return
        if versions is None:
            return
        derived = [its for its in beside or () if layout.is_derived(its.key.removeprefix(self._root))]
        every = [*versions, *derived]
        # Markers of deletions last: without them, an older version would be the current one again.
        ordered = [[its for its in every if its.is_delete_marker is last] for last in (False, True)]
        refused_versions = [its for its in a_few_at_a_time(self._remove_version, ordered[0]) if its]
        removal.versions = len(ordered[0]) - len(refused_versions)
        if refused_versions:
            removal.remains += _grouped(refused_versions)
        else:
            a_few_at_a_time(self._remove_version, ordered[1])

    def _remove_version(self, version: ObjectVersion) -> Remains | None:
        try:
            self._store.delete_version(version)
        except StoreRefused as refused:
            return self._explain("the store does not let an older version go", refused, version)
        return None

    def _explain(self, what: str, refused: StoreRefused, version: ObjectVersion | None) -> Remains:
        """Return why the store does not let an object go; with the date, if a lock keeps it."""
        lock = self._store.find_lock(version) if version is not None else None
        if lock is None:
            return Remains(reason=f"{what} ({refused.code})", objects=1)
        kind = "a legal hold" if lock.is_legal_hold else "a lock"
        return Remains(reason=f"{kind} of the store keeps older versions", objects=1, until=lock.until)

    def _settle(self, tombstone: Tombstone, removal: _Removal) -> Tombstone:
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
        return bool(self._objects(target))


def _grouped(remains: Iterable[Remains]) -> list[Remains]:
    """Return the same with one entry for each reason, with the last end of a lock."""
    groups: dict[str, Remains] = {}
    for its in remains:
        known = groups.get(its.reason, Remains(reason=its.reason, objects=0))
        until = max((at for at in (known.until, its.until) if at is not None), default=None)
        groups[its.reason] = known.model_copy(update={"objects": known.objects + its.objects, "until": until})
    return list(groups.values())


def _kind_of(path: str) -> str:
    """Return what a payload file is, without its name."""
    below = path.removeprefix(layout.PAYLOAD)
    return below.partition("/")[0] if "/" in below else below.partition(".")[0]
