"""Reading an archived session: the newest version that is whole, found by its id and the days it may have begun on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.archive import layout
from tasks.archive.lookup import inspect_bag
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from tasks.archive.lookup import InspectedBag
    from tasks.s3 import Bucket


@dataclass(frozen=True)
class SessionBag:
    """A version of a session that is committed, and whole as far as its tag files and a listing show."""

    folder: str  # the key prefix, with a slash at its end
    version: int
    bag: InspectedBag


def find_session(bucket: Bucket, root: str, app_id: str, session_id: str, days: Collection[date]) -> SessionBag | None:
    """Return the newest version of a session that is whole; None if there is none.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        app_id: the session's app.
        session_id: the session's id.
        days: in UTC, on one of which the session began.

    Raises:
        StoreRefused, StoreUnavailable: the store.
    """
    folders = [layout.session_folder_on(root.rstrip("/"), app_id, session_id, day) for day in days]
    listed = a_few_at_a_time(lambda folder: _committed(bucket, folder), folders)
    for number, of_version in sorted((one for versions in listed for one in versions), reverse=True):
        bag = inspect_bag(bucket, of_version)
        if bag is not None and not bag.findings:
            return SessionBag(of_version, number, bag)
    return None


def _committed(bucket: Bucket, folder: str) -> list[tuple[int, str]]:
    """Return the numbers and folders of a session's versions that have the marker."""
    markers = [stored.key for stored in bucket.list(folder) if stored.key.endswith(f"/{layout.MARKER}")]
    of_versions = [marker.removesuffix(layout.MARKER) for marker in markers]
    return [(number, of_version) for of_version in of_versions if (number := layout.version_of(of_version))]
