"""Tombstones: what was deleted on purpose, when, why and by whom. A tombstone keeps runs from archiving it again.

A tombstone is written before anything is deleted, and says then that the deletion has begun. It holds no names of
people or files: checksums and sizes are enough to recognise a copy, and to prove what is gone. Unfinished deletions
are also named below `_deleted/_begun/`, so that the next run finds them without reading all tombstones.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tasks.archive import layout
from tasks.archive.tombstone_models import Tombstone, parse_tombstone
from tasks.errors import ObjectTooLarge, TombstoneUnreadable
from tasks.text import MIB
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from datetime import datetime

    from tasks.s3 import Bucket

BEGUN_FOLDER = "_begun"
LARGEST = 32 * MIB
"""Bytes of a tombstone; a recording of ten thousand tracks has one of 1.3 MiB."""
SUFFIX = ".json"


def tombstone_key(folder: str) -> str:
    """Return the key of a tombstone.

    Args:
        folder: key prefix of the recording's bag or of the session's versions, with a slash at its end.
    """
    root, below = _split(folder)
    return f"{root}{layout.DELETED}/{below}{SUFFIX}"


def begun_key(folder: str) -> str:
    """Return the key of the object that names an unfinished deletion; argument as for `tombstone_key`."""
    root, below = _split(folder)
    return f"{root}{layout.DELETED}/{BEGUN_FOLDER}/{below}"


def _split(folder: str) -> tuple[str, str]:
    """Return the archive's root, and what is below it without a slash at its end: app, three parts of a day, name."""
    parts = folder.rstrip("/").split("/")
    root = "/".join(parts[:-5])
    return f"{root}/" if root else "", "/".join(parts[-5:])


def find_tombstone(bucket: Bucket, folder: str) -> Tombstone | None:
    """Return the tombstone of a recording or a session, in force or not; None if there is none.

    Args:
        bucket: where the archive is.
        folder: see `tombstone_key`.

    Raises:
        TombstoneUnreadable: there is something that cannot be read, or that is about something else.
    """
    key = tombstone_key(folder)
    target = f"s3://{bucket.bucket}/{key}"
    try:
        content = bucket.get(key, LARGEST)
    except ObjectTooLarge:
        raise TombstoneUnreadable(target, f"it has more than {LARGEST:,} bytes") from None
    return None if content is None else _require_its_own(parse_tombstone(content, target), folder, target)


def _require_its_own(tombstone: Tombstone, folder: str, target: str) -> Tombstone:
    """Check that a tombstone is about the folder at which it lies, as runs delete what it names."""
    _, below = _split(folder)
    app_id, *_, name = below.split("/")
    kind = "session" if name.startswith("session-") else "recording"
    stated = (tombstone.folder, tombstone.app_id, tombstone.kind, tombstone.id)
    if stated != (f"{below}/", app_id, kind, name.removeprefix("session-")):
        raise TombstoneUnreadable(target, "it is about something else than its key says")
    if not all(layout.is_session_folder(its, app_id) for its in tombstone.with_sessions):
        raise TombstoneUnreadable(target, "what is deleted with it is no session of its app")
    return tombstone


def write_tombstone(bucket: Bucket, root: str, tombstone: Tombstone) -> None:
    """Write a tombstone.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        tombstone: as it is to be.
    """
    content = tombstone.model_dump_json(indent=1).encode() + b"\n"
    bucket.put(tombstone_key(root + tombstone.folder), content, "application/json")


def require_not_deleted(bucket: Bucket, folder: str, marker: str = "") -> None:
    """Check that no tombstone in force says that a recording was deleted on purpose.

    Args:
        bucket: where the archive is.
        folder: the recording's key prefix, with a slash at its end.
        marker: key of a marker that was just written, and is taken back if the check fails. A deletion that began
            before the marker was written may have missed it; one that begins after this check finds it.

    Raises:
        DeletedOnPurpose: there is such a tombstone.
    """
    _require_none(bucket, (find_tombstone(bucket, folder),), marker)


def require_session_not_deleted(bucket: Bucket, folder: str, marker: str = "") -> None:
    """Check the same of a session.

    Args:
        bucket: where the archive is.
        folder: the session's key prefix, with a slash at its end.
        marker: see `require_not_deleted`.
    """
    root, below = _split(folder)
    if bucket.level(f"{root}{layout.DELETED}/{below.split('/')[0]}/")[0]:  # one request, where nothing was deleted
        _require_none(bucket, a_few_at_a_time(lambda its: find_tombstone(bucket, its), _days_of(folder)), marker)


def _require_none(bucket: Bucket, found: Iterable[Tombstone | None], marker: str) -> None:
    in_force = next((tombstone for tombstone in found if tombstone and tombstone.is_in_force), None)
    if in_force is not None:
        bucket.delete([marker] if marker else [])
        raise in_force.error()


def _days_of(folder: str) -> list[str]:
    """Return the folders under one of which a session's tombstone lies.

    A session of which nothing was archived has its tombstone under the day of its recording.
    """
    root, below = _split(folder)
    app_id, year, month, day, name = below.split("/")
    days = [f"{year}/{month}/{day}"]
    with suppress(ValueError, OverflowError):
        began = date(int(year), int(month), int(day))
        days = [f"{began - timedelta(days=offset):%Y/%m/%d}" for offset in layout.SESSION_DAYS]
    return [f"{root}{app_id}/{its}/{name}/" for its in days]


def revoke_tombstone(bucket: Bucket, root: str, folder: str, now: datetime) -> bool:
    """Let a recording or a session be archived again, as a person wants it; tell whether a tombstone was in force.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        folder: see `tombstone_key`.
        now: the time of the revocation.
    """
    tombstone = find_tombstone(bucket, folder)
    if tombstone is None or not tombstone.is_in_force:
        return False
    _write_revoked(bucket, root, tombstone, now)
    for session in tombstone.with_sessions:  # what was to go with it, and has not gone yet, stays with it
        its = find_tombstone(bucket, root + session)
        if its is not None and its.state == "begun":
            _write_revoked(bucket, root, its, now)
    return True


def _write_revoked(bucket: Bucket, root: str, tombstone: Tombstone, now: datetime) -> None:
    write_tombstone(bucket, root, tombstone.model_copy(update={"state": "revoked", "revoked_at": now}))
    bucket.delete([begun_key(root + tombstone.folder)])


def revoke_session_tombstones(bucket: Bucket, root: str, folder: str, now: datetime) -> bool:
    """Let a session's documents be archived again; arguments as for `revoke_tombstone`."""
    revoked = [revoke_tombstone(bucket, root, its, now) for its in _days_of(folder)]
    return any(revoked)


def find_deleted(bucket: Bucket, folders: Iterable[str]) -> dict[str, Tombstone | None]:
    """Return the tombstones in force of those recordings that have one, by folder; one request for each day.

    One that cannot be read is None: it says nothing of the others.

    Args:
        bucket: where the archive is.
        folders: see `tombstone_key`.
    """
    by_key = {tombstone_key(folder): folder for folder in folders}
    days = sorted({key.rpartition("/")[0] + "/" for key in by_key})
    listed = [stored.key for day in a_few_at_a_time(lambda day: list(bucket.list(day)), days) for stored in day]
    known = [by_key[key] for key in listed if key in by_key]
    read = zip(known, a_few_at_a_time(lambda folder: _find_in_force(bucket, folder), known), strict=True)
    return {folder: tombstone for folder, (is_there, tombstone) in read if is_there}


def _find_in_force(bucket: Bucket, folder: str) -> tuple[bool, Tombstone | None]:
    """Tell whether a tombstone may be in force, and return it if it can be read."""
    try:
        tombstone = find_tombstone(bucket, folder)
    except TombstoneUnreadable:
        return True, None
    return (True, tombstone) if tombstone is not None and tombstone.is_in_force else (False, None)


def list_unfinished(bucket: Bucket, root: str, here: Container[str]) -> list[str]:
    """Return the folders of deletions that are not finished, below the archive's root, sorted.

    They have begun, or something of what they are about is in the archive again. Tombstones are listed, and not read.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        here: the folders of what is in the archive, below its root, with a slash at their ends.
    """
    begun, known = f"{BEGUN_FOLDER}/", set()
    for key, below in _list_deleted(bucket, root):
        if below.startswith(begun):
            known |= {f"{below.removeprefix(begun)}/"} if key.count("/") >= 4 else set()
        elif (folder := _folder_of(below)) and folder in here:
            known.add(folder)
    return sorted(known)


def _list_deleted(bucket: Bucket, root: str) -> Iterator[tuple[str, str]]:
    """Yield the key of each object below `_deleted/`, and what of the key is below that."""
    above = f"{root}{layout.DELETED}/"
    return ((stored.key, stored.key.removeprefix(above)) for stored in bucket.list(above))


def _folder_of(below: str) -> str:
    """Return the folder that a tombstone is about, from its key below `_deleted/`; empty if it is no tombstone's."""
    is_tombstone = not below.startswith(f"{BEGUN_FOLDER}/") and below.endswith(SUFFIX) and below.count("/") == 4
    return f"{below.removesuffix(SUFFIX)}/" if is_tombstone else ""


def find_by_id(bucket: Bucket, root: str, recording_ids: Iterable[str]) -> dict[str, Tombstone]:
    """Return the tombstones in force of recordings whose days nobody knows, by id: all tombstones are listed."""
    wanted = set(recording_ids)
    if not wanted or not bucket.level(f"{root}{layout.DELETED}/")[0]:
        return {}
    listed = (_folder_of(below) for _, below in _list_deleted(bucket, root))
    folders = [folder for folder in listed if folder and folder.split("/")[-2] in wanted]
    found = [find_tombstone(bucket, root + folder) for folder in folders]
    return {tombstone.id: tombstone for tombstone in found if tombstone is not None and tombstone.is_in_force}
