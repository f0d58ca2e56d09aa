"""Which bags are meant: a recording's, by its id, and that of the session that the recording belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.archive import committed_versions, find_by_id, layout, list_versions, months_held, session_folders
from tasks.restore.context import ChosenBag
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.s3 import Bucket
    from tasks.text import Log


def find_recordings(
    bucket: Bucket, root: str, recording_ids: Iterable[str], known: Iterable[str], log: Log
) -> list[ChosenBag]:
    """Return the bags of recordings, in the order of the ids; one without a folder where there is no bag.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        recording_ids: in lower case.
        known: folders below the root that may be theirs: they are looked at first, before the archive is listed.
        log: told of a listing, which may take its time.
    """
    wanted = dict.fromkeys(recording_ids, "")
    for folder in known:
        recording_id = id_of(folder)
        if wanted.get(recording_id) == "" and bucket.head(f"{root}{folder}{layout.MARKER}") is not None:
            wanted[recording_id] = folder
    if missing := {recording_id for recording_id, folder in wanted.items() if not folder}:
        wanted |= _find_by_listing(bucket, root, missing, log)
    lost = [recording_id for recording_id, folder in wanted.items() if not folder]
    deleted = {its_id: its.describe() for its_id, its in find_by_id(bucket, root, lost).items()}
    return [
        ChosenBag("recording", recording_id, folder, deleted.get(recording_id, ""))
        for recording_id, folder in wanted.items()
    ]


def id_of(folder: str) -> str:
    """Return the id of the recording whose folder this is."""
    return folder.rstrip("/").rpartition("/")[2]


def _find_by_listing(bucket: Bucket, root: str, recording_ids: set[str], log: Log) -> dict[str, str]:
    """Return the folders of recordings, by their ids: the newest months are listed first, until all are found.

    Only the names of folders are listed: for keys, rclone reads all files.
    """
    months = sorted(months_held(bucket, root), key=lambda month: month.month, reverse=True)
    log.info("Looking for %d recordings in the listings of %d months.", len(recording_ids), len(months))
    folders: dict[str, str] = {}
    for month in months:
        if len(folders) == len(recording_ids):
            break
        days = bucket.level(f"{root}{month.folder}/")[0]
        named = {id_of(key): key for level in a_few_at_a_time(bucket.level, days) for key in level[0]}
        for recording_id in recording_ids & named.keys() - folders.keys():
            if bucket.head(named[recording_id] + layout.MARKER) is not None:
                folders[recording_id] = named[recording_id].removeprefix(root)
    return folders


def find_session(bucket: Bucket, root: str, recording: ChosenBag, session_id: str) -> ChosenBag | None:
    """Return the newest version of a recording's session; None if none is archived.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        recording: of the session.
        session_id: as the recording's details name the session.
    """
    for folder in session_folders(root + recording.folder, session_id):
        if versions := committed_versions(list_versions(bucket, folder)):
            return ChosenBag("session", session_id, layout.version_folder(folder, versions[0]).removeprefix(root))
    return None
