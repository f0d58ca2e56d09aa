"""Finding the versions of a session's bag: those in its folder, and the folder of a recording's session."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tasks.archive import layout
from tasks.archive.lookup import inspect_bag
from tasks.archive.session_versions import read_versions
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from collections.abc import Set as AbstractSet

    from tasks.archive.lookup import InspectedBag
    from tasks.archive.session_versions import Version
    from tasks.s3 import Bucket
    from tasks.text import Log

_RECORDING = re.compile(r"(?P<above>.*?)(?P<day>[0-9]{4}/[0-9]{2}/[0-9]{2})/[0-9a-f-]{36}/")


def list_versions(bucket: Bucket, folder: str) -> dict[int, set[str]]:
    """Return the paths of all objects within a version's folder, by the version; half-written versions count.

    Args:
        bucket: where they are.
        folder: the session's, with a slash at its end.
    """
    numbers = dict[int, set[str]]()
    for stored in bucket.list(folder):
        name, slash, path = stored.key.removeprefix(folder).partition("/")
        if number := layout.version_of(f"{folder}{name}{slash}"):
            numbers.setdefault(number, set()).add(path)
    return numbers


def committed_versions(numbers: Mapping[int, AbstractSet[str]]) -> list[int]:
    """Return the versions that have the marker, newest first, given what `list_versions` returned."""
    return sorted((number for number, paths in numbers.items() if layout.MARKER in paths), reverse=True)


def find_newest(bucket: Bucket, folder: str, log: Log) -> Version | None:
    """Return the newest version that is committed and whole; None if there is none.

    Args:
        bucket: where it is.
        folder: the session's, with a slash at its end.
        log: told of versions that are damaged: they are passed over.
    """
    committed = committed_versions(list_versions(bucket, folder))
    return next(iter(read_versions(bucket, folder, committed, log, most=1)), None)


def find_version_for(bucket: Bucket, recording_folder: str, session_id: str, log: Log) -> Version | None:
    """Return the newest version of the session's bag that belongs to a recording; None if there is none.

    Args:
        bucket: where both are.
        recording_folder: the recording's, with a slash at its end.
        session_id: as the recording's details name the session.
        log: told of versions that are damaged.
    """
    newest = (find_newest(bucket, folder, log) for folder in session_folders(recording_folder, session_id))
    return next((version for version in newest if version is not None), None)


def session_folders(recording_folder: str, session_id: str) -> list[str]:
    """Return the folders one of which a recording's session has, the likeliest first; none for a foreign id.

    Args:
        recording_folder: the recording's, with a slash at its end.
        session_id: as the recording's details name the session.
    """
    match = _RECORDING.fullmatch(recording_folder)
    if match is None or not re.fullmatch(r"[0-9a-f-]{36}", session_id):
        return []
    days = [match["day"]]
    with suppress(ValueError):  # the folder of recordings without any time
        days = [f"{day:%Y/%m/%d}" for day in layout.session_days(date(*map(int, match["day"].split("/"))))]
    return [f"{match['above']}{day}/session-{session_id}/" for day in days]


@dataclass(frozen=True)
class SessionBag:
    """A version of a session that is committed, and whole as far as its tag files and a listing show."""

    folder: str  # the key prefix, with a slash at its end
    version: int
    bag: InspectedBag


def find_session(
    bucket: Bucket, root: str, app_id: str, session_id: str, days: Collection[date | None]
) -> SessionBag | None:
    """Return the newest version of a session that is whole; None if there is none.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        app_id: the session's app.
        session_id: the session's id.
        days: in UTC, on one of which the session began; None for a session without any time.

    Raises:
        StoreRefused, StoreUnavailable: the store.
    """
    folders = [layout.session_folder_on(root.rstrip("/"), app_id, session_id, day) for day in days]
    listed = zip(folders, a_few_at_a_time(lambda folder: list_versions(bucket, folder), folders), strict=True)
    versions = [(number, folder) for folder, numbers in listed for number in committed_versions(numbers)]
    for number, folder in sorted(versions, reverse=True):
        of_version = layout.version_folder(folder, number)
        bag = inspect_bag(bucket, of_version)
        if bag is not None and not bag.findings:
            return SessionBag(of_version, number, bag)
    return None
