"""A sweep that finds nothing to do: what it costs to look, every few minutes, at all recordings of the last week."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.benchmarks.contest import ROUNDS
from tests.benchmarks.contestants import Ours
from tests.benchmarks.figures import CPU, RSS, WALL, Metric, Result, Row
from tests.benchmarks.listing import Listing
from tests.benchmarks.many import SWEEP
from tests.benchmarks.source import Nginx
from tests.benchmarks.stage import say
from tests.benchmarks.table import latest
from tests.standins.realtimekit import MediaSource, StandInRecording

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.stage import Ground, Stage
    from tests.standins.realtimekit import RealtimeKitStandIn

BUCKET = "archive-of-many"
WEEK_H = 7 * 24
_FILES = ("bag-info.txt", "bagit.txt", "manifest-sha256.txt", "recording.json", "tagmanifest-sha256.txt",
          "data/audio/audio.mp3", "data/video/video.mp4")  # fmt: skip
_PASSED_ON = """location / {{
    proxy_pass http://127.0.0.1:{port}; proxy_set_header Host $http_host; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_cache answers; proxy_cache_key $request_uri; proxy_cache_valid 200 1d;
    proxy_ignore_headers Cache-Control Expires Set-Cookie Vary; }}"""
"""Remembers each answer: for each page of a list rclone goes through all of a folder, which is not what is measured."""
_METRICS = (WALL, CPU, RSS, Metric("api", "requests to the API", digits=0),
            Metric("store", "requests to the store", digits=0))  # fmt: skip
PLAN = Ours("ours: the same look without Prefect", ("-m", "tests.benchmarks.plain", "--look"), server=False)


def idle(stage: Stage) -> Result:
    """Sweep 10,000 recordings that are all archived, of seven objects each."""
    count = 500 if stage.quick else 10_000
    what = f"a sweep of {count:,} recordings of one week, all archived, of {len(_FILES)} objects each"
    if stage.store_name != "rclone":
        return Result("idle", what, skipped="only in rclone's folder are so many objects made in no time")
    rows = [Row(one.name) for one in (SWEEP, PLAN)]
    with stage.ground(count * len(_FILES) * 4096) as ground:
        _lay_out(ground.kit, ground.store.folder / BUCKET / "recordings", count)
        counting = ground.folder / "counting"
        counting.mkdir()
        with Listing(ground.kit) as listing, Nginx(counting, _PASSED_ON.format(port=ground.store.port)) as store:
            ground.api_url = listing.base_url
            _round(ground, listing, store, [Row("") for _ in rows])  # makes the pages
            for number in range(stage.times(ROUNDS)):
                _round(ground, listing, store, rows)
                say(f"  {number + 1}: {latest(rows, WALL.key)}")
    return Result("idle", what, _METRICS, rows)


def _lay_out(kit: RealtimeKitStandIn, folder: Path, count: int) -> None:
    """Make recordings known, and put their bags where they would be."""
    video, audio, now = MediaSource(b"vide\0"), MediaSource(b"audi\0", "audio/mpeg"), datetime.now(UTC)
    for number in range(count):
        # The oldest an hour before its time is over, the newest two hours old.
        invoked = now - timedelta(hours=2 + (WEEK_H - 3) * number / count)
        known = StandInRecording(str(uuid.uuid4()), video=video, audio=audio, invoked_time=invoked, duration=60)
        kit.add(known)
        bag = folder / kit.app_id / f"{invoked:%Y/%m/%d}" / known.id
        for name in _FILES:
            (bag / name).parent.mkdir(parents=True, exist_ok=True)
            (bag / name).write_bytes(b"\n")


def _round(ground: Ground, listing: Listing, store: Nginx, rows: list[Row]) -> None:
    for row, one in zip(rows, (SWEEP, PLAN), strict=True):
        api, stored = listing.requests, store.requests
        there = replace(one, settings=(("AWS_ENDPOINT_URL_S3", store.origin),))
        usage = there.started(ground, BUCKET)
        row.add(wall_s=usage.wall_s, cpu_s=usage.cpu_s, peak_rss=usage.peak_rss)
        row.add(api=listing.requests - api, store=store.requests - stored)
        if usage.exit_code:
            row.notes.append(f"failed: exit code {usage.exit_code}")
            say(f"  {one.name}: {row.notes[-1]}; it said: {usage.said[-1000:]}")
