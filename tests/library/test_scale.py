"""Of very many recordings, the first page and a search take no longer than to make as many rows of plain values."""

from __future__ import annotations

import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import httpx
import psutil

from tasks.archive import Month
from tasks.catalog import COLUMNS, Dataset
from tasks.catalog.dataset import Source
from tests.support.library import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tasks.catalog import Row
    from tests.support.archiving import Archiving

COUNT, MONTHS = 10_000, 11
LOOKS = 5
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PATHS = (
    "/",
    "/?page=200",
    "/?q=reunion+9999",
    "/?q=person+17&min_minutes=30",
    "/?q=zoe+guest+4321",
    "/?since=2026-03-01",
)


def row(number: int, url: str, app_id: str) -> Row:
    """Return a row as a recording with two files has it."""
    its_id, invoked = str(uuid.UUID(int=number, version=4)), BEGIN + timedelta(days=30 * MONTHS * number / COUNT)
    files = [
        {"path": f"data/{kind}/{its_id}.{end}", "size": 10**8, "sha256": its_id * 2, "content_type": f"{kind}/{end}"}
        for kind, end in (("audio", "mp3"), ("video", "mp4"))
    ]  # fmt: skip
    known = {
        "recording_id": its_id, "session_id": str(uuid.UUID(int=number // 2, version=4)), "meeting_id": its_id[::-1],
        "title": f"Réunion {number}", "status": "UPLOADED", "invoked_at": invoked, "started_at": invoked,
        "archived_at": invoked, "duration_s": 60.0 * (number % 90), "started_by": f"Person {number % 200}",
        "condition": "whole", "files": files, "bytes": 2 * 10**8, "bag_version": its_id,
        "participants": [f"Zoë Guest {number} {one}" for one in range(8)],
        "participant_ids": [f"user-{number}-{one}" for one in range(8)], "poster_url": f"{url}{its_id}.poster.jpg",
        "archive_url": f"{url}{app_id}/{invoked:%Y/%m/%d}/{its_id}/",
    }  # fmt: skip
    empty: Row = {column.name: [] if column.kind in {"texts", "files"} else None for column in COLUMNS}
    return empty | known


def test_a_page_of_ten_thousand_recordings_comes_at_once(rclone: Archiving, capsys: pytest.CaptureFixture[str]) -> None:
    def made() -> list[Row]:
        return [row(number, f"s3://{rclone.bucket}/archive/", rclone.kit.app_id) for number in range(COUNT)]

    dataset = Dataset(rclone.run().store, "archive/")
    months: dict[Month, list[Row]] = {}
    for one in made():
        months.setdefault(Month(rclone.kit.app_id, f"{one['invoked_at']:%Y-%m}"), []).append(one)
    for month, rows in months.items():
        dataset.write(month, rows, Source(), {})
    before = psutil.Process().memory_info().rss
    with serving(rclone) as url, httpx.Client(base_url=url, timeout=60) as client:
        first_s = processor_s(partial(look, client, "/"))
        yardstick_s = min(processor_s(made) for _ in range(LOOKS))
        figures = {path: min(processor_s(partial(look, client, path)) for _ in range(LOOKS)) for path in PATHS}
        more = psutil.Process().memory_info().rss - before
    with capsys.disabled():
        sys.stdout.write(
            f"\nwith the catalog to be read: {first_s:.3f} s of the processor; rows: {yardstick_s:.3f} s\n"
        )
        sys.stdout.writelines(f"{path}: {ours_s:.3f} s\n" for path, ours_s in figures.items())
        sys.stdout.write(f"{more / 2**20:.0f} MiB more\n")
    assert {path: ours_s for path, ours_s in figures.items() if ours_s > yardstick_s} == {}


def look(client: httpx.Client, path: str) -> None:
    assert "/recordings/" in client.get(path).text


def processor_s(call: Callable[[], object]) -> float:
    """Return the processor time that a call takes in all threads of this process: server and client together."""
    began = time.process_time()
    call()
    return time.process_time() - began
