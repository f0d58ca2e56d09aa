"""Of very many recordings, the first page and a search come within 300 ms."""

from __future__ import annotations

import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import psutil

from tasks.archive import Month
from tasks.catalog import COLUMNS, Dataset
from tasks.catalog.dataset import Source
from tests.support.library import serving

if TYPE_CHECKING:
    import pytest

    from tasks.catalog import Row
    from tests.support.archiving import Archiving

COUNT, MONTHS = 10_000, 11
LONGEST_S = 0.3
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


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
    dataset = Dataset(rclone.run().store, "archive/")
    months: dict[Month, list[Row]] = {}
    for number in range(COUNT):
        made = row(number, f"s3://{rclone.bucket}/archive/", rclone.kit.app_id)
        months.setdefault(Month(rclone.kit.app_id, f"{made['invoked_at']:%Y-%m}"), []).append(made)
    for month, rows in months.items():
        dataset.write(month, rows, Source(), {})
    before = psutil.Process().memory_info().rss
    with serving(rclone) as url, httpx.Client(base_url=url, timeout=60) as client:
        figures = {"with the catalog to be read": taken(client, "/")}
        for path in (
            "/",
            "/?page=200",
            "/?q=reunion+9999",
            "/?q=person+17&min_minutes=30",
            "/?q=zoe+guest+4321",
            "/?since=2026-03-01",
        ):
            figures[path] = sorted(taken(client, path) for _ in range(5))[2]
        more = psutil.Process().memory_info().rss - before
    with capsys.disabled():
        for path, (wall_s, ours_s) in figures.items():
            sys.stdout.write(f"\n{path}: {wall_s:.3f} s, {ours_s:.3f} s of our processor")
        sys.stdout.write(f"\n{more / 2**20:.0f} MiB more\n")
    assert {path: ours_s for path, (_, ours_s) in figures.items() if path.startswith("/") and ours_s > LONGEST_S} == {}


def taken(client: httpx.Client, path: str) -> tuple[float, float]:
    """Return the seconds that a page takes, by the clock and of this process's time: server and client together."""
    wall, ours = time.monotonic(), time.process_time()
    assert "/recordings/" in client.get(path).text
    return time.monotonic() - wall, time.process_time() - ours
