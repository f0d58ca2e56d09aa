"""Bags are found by the ids of their recordings: where the catalog says, or by a listing, the newest month first."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tasks.restore import find_recordings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.archiving import Archiving

LOG = logging.getLogger(__name__)
ROOT = "archive/"


class Listings:
    """Notes what is listed; in the hands of `Meddled`."""

    def __init__(self) -> None:
        self.prefixes: list[str] = []

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Note a request."""
        if method == "list_objects_v2":
            self.prefixes.append(request["Prefix"].removeprefix(ROOT))
        return send()


def months(listings: Listings) -> list[str]:
    """Return the months whose keys were listed, in order."""
    parts = [prefix.rstrip("/").split("/") for prefix in listings.prefixes]
    return ["-".join(part[1:]) for part in parts if len(part) == 3]


def test_a_listing_goes_back_month_by_month_until_all_are_found(rclone: Archiving) -> None:
    times = ("2026-09-01T09:30:00Z", "2026-10-01T09:30:00Z", "2026-11-20T09:30:00Z")
    recordings = [rclone.add(10, details={"invoked_time": time}) for time in times]
    for recording in recordings:
        rclone.archived(recording)
    wanted = [recordings[1].id, recordings[2].id]
    listings = Listings()
    found = find_recordings(rclone.run(listings).store, ROOT, wanted, (), LOG)
    assert [one.id for one in found] == wanted
    assert [one.folder.split("/", 1)[1] for one in found] == [
        f"2026/10/01/{wanted[0]}/",
        f"2026/11/20/{wanted[1]}/",
    ]
    assert months(listings) == ["2026-11", "2026-10"]


def test_where_the_catalog_says_is_looked_first_and_believed_only_if_there_is_a_bag(rclone: Archiving) -> None:
    recording, other = rclone.add(10), rclone.add(10)
    rclone.archived(recording)
    folder = rclone.folder(recording).removeprefix(ROOT)
    listings = Listings()
    (found,) = find_recordings(rclone.run(listings).store, ROOT, [recording.id], [folder], LOG)
    assert (found.folder, listings.prefixes) == (folder, [])
    stale = folder.replace(folder.split("/")[1], "1999", 1)
    (found,) = find_recordings(rclone.run().store, ROOT, [recording.id], [stale], LOG)
    assert found.folder == folder
    (found,) = find_recordings(rclone.run().store, ROOT, [other.id], [folder], LOG)
    assert found.folder == "", "nothing is committed"
