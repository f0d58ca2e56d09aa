"""Which of many recordings are archived, found in few requests: by the keys of whole days.

Source: ListObjectsV2 gives a thousand keys in a request, in their order; a bag has six or seven.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from os.path import commonprefix
from typing import TYPE_CHECKING, NamedTuple

from tasks.archive import layout

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tasks.s3 import Store

DAYS_AT_ONCE = 4


class Stored(NamedTuple):
    """What lies in a recording's folder."""

    is_bag: bool
    files: Counter[str]  # how many of each kind


def stored_files(store: Store, folders: Mapping[str, str]) -> dict[str, Stored]:
    """Return what is stored of recordings, archived or not, by the recording's id.

    An archive is what has the marker. Whether a bag is whole is not looked at here.

    Args:
        store: the archive's bucket.
        folders: where each recording's bag would be, by the recording's id, see `tasks.archive.commit.Archive.folder`.

    Raises:
        StoreRefused, StoreUnavailable: a day cannot be listed.
    """
    days: dict[str, list[str]] = defaultdict(list)
    for recording_id, folder in folders.items():
        days[folder.removesuffix(f"{recording_id}/")].append(recording_id)
    with ThreadPoolExecutor(DAYS_AT_ONCE) as threads:
        listings = threads.map(lambda day: _folders_of_day(store, day, days[day]), days)
        return {recording_id: stored for of_day in listings for recording_id, stored in of_day.items()}


def _folders_of_day(store: Store, day: str, recording_ids: Collection[str]) -> dict[str, Stored]:
    files: dict[str, Counter[str]] = {recording_id: Counter() for recording_id in recording_ids}
    bags = set()
    # Character by character: of one recording alone, this is its folder.
    prefix = commonprefix([f"{day}{recording_id}/" for recording_id in recording_ids])  # noqa: RUF071 - as said
    for stored in store.list(prefix):
        recording_id, _, path = stored.key.removeprefix(day).partition("/")
        if recording_id not in files:
            continue
        if path == layout.MARKER:
            bags.add(recording_id)
        elif path.startswith(layout.PAYLOAD):
            files[recording_id][layout.kind_of(path)] += 1
    return {recording_id: Stored(recording_id in bags, count) for recording_id, count in files.items()}
