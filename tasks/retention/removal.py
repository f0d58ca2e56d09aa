"""The removal of objects: markers first, then all else, and older versions where the store keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from tasks.archive import Remains, UploadJournal, layout
from tasks.errors import StoreRefused
from tasks.s3 import UNLOCKED
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tasks.s3 import ObjectVersion, Store, StoredObject
    from tasks.text import Log

ROUNDS = 3
"""Looks for what another run may have written meanwhile."""


@dataclass(frozen=True)
class Target:
    """One folder that is to be deleted, with what lies beside it."""

    kind: Literal["recording", "session"]
    id: str
    folder: str  # below the archive's root, with a slash at its end
    session_id: str = ""
    with_sessions: tuple[str, ...] = ()
    since: datetime | None = None  # when its deletion was decided on, or began: who wants it back later, gets it

    @property
    def app_id(self) -> str:
        """The app that it belongs to."""
        return self.folder.partition("/")[0]


@dataclass
class Removal:
    """What came of deleting the objects of a target."""

    made_versions: bool = False  # the store keeps what was deleted as older versions
    versions: int | None = None  # deleted for good
    remains: list[Remains] = field(default_factory=list)


class Remover:
    """Removes the objects of targets.

    Args:
        store: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        log: told what cannot be cleared away.
    """

    def __init__(self, store: Store, root: str, log: Log) -> None:
        self._store = store
        self._root = root
        self._log = log

    def objects(self, target: Target) -> list[StoredObject]:
        """List what lies in a folder, and what was made from the recording."""
        folder = self._root + target.folder
        beside = self._store.list(f"{folder.rstrip('/')}.") if target.kind == "recording" else ()
        derived = [stored for stored in beside if layout.is_derived(stored.key.removeprefix(self._root))]
        return [*self._store.list(folder), *derived]

    def bag_folders(self, target: Target, objects: Iterable[StoredObject]) -> list[str]:
        """Return the folders of a target's bags, below the root: a session has one for each version, or the first."""
        if target.kind == "recording":
            return [target.folder]
        keys = (layout.parse_key(stored.key.removeprefix(self._root)) for stored in objects)
        return sorted({key.folder for key in keys if key is not None}) or [layout.version_folder(target.folder, 1)]

    def hide_markers(self, target: Target) -> Removal:
        """Delete the markers first; where one of them stays, all else is left as it is.

        A marker that is not there is deleted, too: the answer tells whether the store keeps older versions.
        """
        removal = Removal()
        folders = self.bag_folders(target, self.objects(target))
        self._hide_markers([self._root + folder + layout.MARKER for folder in folders], removal)
        return removal

    def _hide_markers(self, keys: Iterable[str], removal: Removal) -> bool:
        """Delete markers one after the other, and tell whether all of them are gone."""
        for key in keys:
            try:
                removal.made_versions |= self._store.hide(key)
            except StoreRefused as refused:
                removal.remains.append(self._explain("the store does not let the marker go", refused, None))
                return False
            if self._store.head(key) is not None:
                reason = "the store answers that the marker is deleted, and still has it"
                removal.remains.append(Remains(reason=reason, objects=1))
                return False
        return True

    def remove_all(self, target: Target, removal: Removal, is_wanted_back: Callable[[], bool]) -> Removal:
        """Delete all that is left of a target, and look again whether anything came meanwhile.

        Args:
            target: whose markers are gone.
            removal: what came of that.
            is_wanted_back: tells whether a person wants it archived again, and may be doing so: then the rest stays.
        """
        if target.kind == "recording":
            self._end_uploads(target, removal)
        objects = self.objects(target)
        for _ in range(ROUNDS):
            if not objects or is_wanted_back():
                break
            if not self._hide_all(objects, removal):
                return removal
            objects = self.objects(target)
        if objects:  # no version is deleted then, as that may be one of a bag which another run has written
            removal.remains.append(Remains(reason="another run keeps writing there", objects=len(objects)))
        elif not is_wanted_back():
            self._remove_versions(target, removal)
        return removal

    def _hide_all(self, objects: Sequence[StoredObject], removal: Removal) -> bool:
        """Delete objects, markers that have come meanwhile first; tell whether the store let all of them go."""
        if not self._hide_markers([its.key for its in objects if self._is_marker(its)], removal):
            return False
        hidden = a_few_at_a_time(self._hide, [its for its in objects if not self._is_marker(its)])
        removal.made_versions |= True in hidden
        refused = [its for its in hidden if isinstance(its, Remains)]
        removal.remains += _grouped(refused)
        return not refused

    def _is_marker(self, stored: StoredObject) -> bool:
        key = layout.parse_key(stored.key.removeprefix(self._root))
        return key is not None and key.path == layout.MARKER

    def _end_uploads(self, target: Target, removal: Removal) -> None:
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

    def _remove_versions(self, target: Target, removal: Removal) -> None:
        """Delete older versions for good, where there are any, and these credentials may."""
        folder = self._root + target.folder
        try:
            versions = self._store.versions(folder)
            beside = (
                self._store.versions(f"{folder.rstrip('/')}.")
                if target.kind == "recording" and versions is not None
                else []
            )
        except StoreRefused as refused:
            if removal.made_versions:
                what = f"the store keeps older versions, which these credentials may not list ({refused.code})"
                removal.remains.append(Remains(reason=what, objects=0))
            return
        if versions is None:
            if removal.made_versions:
                what = "the store keeps older versions, and does not list them"
                removal.remains.append(Remains(reason=what, objects=0))
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
        """Return why the store does not let an object go; with the date, if a lock keeps it.

        A store goes on stating a lock that is over. Nobody knows when a legal hold ends, whatever lock is beside it.
        """
        lock = self._store.find_lock(version) if version is not None else UNLOCKED
        if not lock.is_active(datetime.now(UTC)):
            return Remains(reason=f"{what} ({refused.code})", objects=1)
        if lock.legal_hold:
            return Remains(reason="a legal hold of the store keeps older versions", objects=1)
        return Remains(reason="a lock of the store keeps older versions", objects=1, until=lock.until)


def _grouped(remains: Iterable[Remains]) -> list[Remains]:
    """Return the same with one entry for each reason, with the last end of a lock."""
    groups: dict[str, Remains] = {}
    for its in remains:
        known = groups.get(its.reason, Remains(reason=its.reason, objects=0))
        until = max((at for at in (known.until, its.until) if at is not None), default=None)
        groups[its.reason] = known.model_copy(update={"objects": known.objects + its.objects, "until": until})
    return list(groups.values())
