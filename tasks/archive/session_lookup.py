"""Finding the versions of a session's bag: those in its folder, and the folder of a recording's session."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from tasks.archive import layout
from tasks.archive.session_versions import read_versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

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
    for folder in _folders_near(recording_folder, session_id):
        if (newest := find_newest(bucket, folder, log)) is not None:
            return newest
    return None


def _folders_near(recording_folder: str, session_id: str) -> Iterator[str]:
    match = _RECORDING.fullmatch(recording_folder)
    if match is None or not re.fullmatch(r"[0-9a-f-]{36}", session_id):
        return
    try:
        day = date(*map(int, match["day"].split("/")))
    except ValueError:  # the folder of recordings without any time
        return
    for of_session in layout.session_days(day):
        yield f"{match['above']}{of_session:%Y/%m/%d}/session-{session_id}/"
