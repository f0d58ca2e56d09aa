"""An archive is opened by its address only where it can be, only if it is committed, and only if it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.archive.lookup import open_bag
from tasks.errors import ArchiveDamaged, NotArchived, NotInArchive

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.archiving import Archiving

OTHER_ID = "00000000-0000-4000-8000-000000000000"


def test_it_is_what_was_archived(bench: Archiving) -> None:
    done = bench.archived(bench.add(5000, duration=12.5))
    root = f"s3://{bench.bucket}/archive"
    for address in (done.archive_url, done.archive_url.rstrip("/")):
        found = open_bag(bench.run().store, root, address, done.recording_id)
        assert tuple(file for file, _ in found.files.values()) == done.files
        assert (found.url, found.duration_s) == (done.archive_url, 12.5)


def test_a_range_is_read_of_the_object_that_was_looked_at(bench: Archiving) -> None:
    recording = bench.add(5000)
    done, store = bench.archived(recording), bench.run().store
    ((_, stored),) = open_bag(store, f"s3://{bench.bucket}/archive", done.archive_url, done.recording_id).files.values()
    content = recording.video.content.read(0, 5000)  # type: ignore[union-attr]
    for start, stop in ((0, 5000), (0, 1), (4999, 5000), (1000, 3000)):
        assert b"".join(store.read(stored, start, stop)) == content[start:stop]


def test_other_addresses_are_not_looked_at(rclone: Archiving) -> None:
    done = rclone.archived(rclone.add(5000))
    its, url, root = done.recording_id, done.archive_url, f"s3://{rclone.bucket}/archive"
    calls: list[str] = []

    def noted(name: str, _request: object, send: Callable[[], object]) -> object:
        calls.append(name)
        return send()

    store = rclone.run(noted).store
    for elsewhere in (
        url.replace(rclone.bucket, "another"), url.replace("/archive/", "/archives/"), url.replace("/archive/", "/"),
        f"{root}/", root, url.replace("2026/11", "2026/../2026/11"), f"{url}data/", url.replace("s3:", "https:"), "",
        f"{url}?x=y", url.replace(its, OTHER_ID), url.replace(its, its.upper()), f" {url}", f"{url}\\n",
    ):  # fmt: skip
        with pytest.raises(NotInArchive):
            open_bag(store, root, elsewhere, its)
    assert calls == []
    with pytest.raises(NotArchived):
        open_bag(store, root, url.replace(its, OTHER_ID), OTHER_ID)


def test_a_bag_that_is_not_whole_is_not_opened(rclone: Archiving) -> None:
    done = rclone.archived(rclone.add(5000))
    store, root = rclone.run().store, f"s3://{rclone.bucket}/archive"
    key = done.archive_url.removeprefix(f"s3://{rclone.bucket}/")
    store.delete([key + done.files[0].path])
    with pytest.raises(ArchiveDamaged, match="is missing"):
        open_bag(store, root, done.archive_url, done.recording_id)
    store.delete([f"{key}bagit.txt"])
    with pytest.raises(NotArchived):
        open_bag(store, root, done.archive_url, done.recording_id)
