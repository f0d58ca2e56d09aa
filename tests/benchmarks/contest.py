"""All contestants in turn, round by round: in each round the machine is in the same mood for all of them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import httpx

from tests.benchmarks.contestants import LIMIT_S, PLAIN, WHOLE, everybody, versions
from tests.benchmarks.far import BYTES_PER_S, ROUND_TRIP_S, far
from tests.benchmarks.figures import CPU, MIB, RSS, WALL, Metric, Result, Row
from tests.benchmarks.stage import say
from tests.support.measure import processor_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.stage import Ground, Stage
    from tests.standins.realtimekit import StandInRecording
    from tests.support.measure import Usage

CAPPED = 25_000_000
"""Bytes per second of a connection, as object stores give them."""
ROUNDS = 5
GROWING = (200 * 1000**2, 1000**3)
"""Bytes of recordings whose memory is compared."""
LARGE = 10 * 1000**3
"""Bytes of one more such recording, if that is asked for: all contestants take an hour for it."""
WARM_UP_BYTES = 20 * MIB
_METRICS = (WALL, CPU, RSS, Metric("store_s", "store's CPU s"))


def contest(ground: Ground, contestants: Sequence[Contestant], size: int, rounds: int) -> list[Row]:
    """Let contestants bring the same recording home in turn, each round into fresh buckets.

    Before that, each brings a small one home, so that nobody's program is read from the disk while it counts.
    """
    small = ground.source.add(ground.kit, str(uuid.uuid4()), min(size, WARM_UP_BYTES))
    recording = ground.source.add(ground.kit, str(uuid.uuid4()), size, seed=2)
    rows = {one.name: Row(one.name) for one in contestants}
    able = [one for one in contestants if once(ground, one, small, rows[one.name])]
    if not able:
        raise RuntimeError("nobody could bring anything home")
    for number in range(rounds):
        for one in able:
            row = rows[one.name]
            before = processor_s(ground.store.pid)
            usage = once(ground, one, recording, row)
            store_s = processor_s(ground.store.pid) - before
            if usage is None:
                row.add(wall_s=None, cpu_s=None, peak_rss=None, store_s=None)
                continue
            row.add(wall_s=usage.wall_s, cpu_s=usage.cpu_s, peak_rss=usage.peak_rss, store_s=store_s)
            took = f"{usage.wall_s:8.2f} s  {usage.cpu_s:7.2f} s CPU  {usage.peak_rss / MIB:6.0f} MiB"
            say(f"  {number + 1}/{rounds} {one.name:45} {took}")
    return list(rows.values())


def once(ground: Ground, one: Contestant, recording: StandInRecording, row: Row) -> Usage | None:
    """Let a contestant bring a recording home, look whether it did, and return what it took; None if it did not."""
    with ground.bucket() as bucket:
        usage = one.run(ground, recording, bucket)
        sizes = ground.sizes(bucket).values()
    wanted = recording.video.size if recording.video else 0
    if usage.exit_code == 0 and wanted in sizes:
        return usage
    how = f"no end within {LIMIT_S:.0f} s" if usage.exit_code is None else f"exit code {usage.exit_code}"
    row.notes.append(f"failed: {how}, {'object there' if wanted in sizes else 'no such object'}")
    say(f"  {one.name}: {row.notes[-1]}; it said: {usage.said[-1000:]}")
    return None


def capped(stage: Stage) -> Result:
    """Let everybody fetch from a source that gives each connection 25 MB/s."""
    size = stage.bytes(512 * MIB, 64 * MIB)
    with stage.ground(3 * size, CAPPED) as ground:
        rows = contest(ground, everybody(), size, stage.times(ROUNDS))
    what = f"{size / MIB:.0f} MiB from a source that gives each connection 25 MB/s"
    return Result("capped", what, _METRICS, rows, (WHOLE, PLAIN), versions(stage.programs))


def uncapped(stage: Stage) -> Result:
    """Let everybody fetch over loopback as fast as can be."""
    size = stage.bytes(1024 * MIB, 128 * MIB)
    with stage.ground(3 * size) as ground:
        rows = contest(ground, everybody(), size, stage.times(ROUNDS))
    what = f"{size / MIB:.0f} MiB over loopback, as fast as can be"
    return Result("uncapped", what, _METRICS, rows, (WHOLE, PLAIN), versions(stage.programs))


def encrypted(stage: Stage) -> Result:
    """Let everybody fetch over loopback as fast as can be, with https to source and store."""
    size = stage.bytes(1024 * MIB, 128 * MIB)
    with stage.ground(3 * size, encrypted=True) as ground:
        rows = contest(ground, everybody(), size, stage.times(ROUNDS))
    what = f"{size / MIB:.0f} MiB over loopback, as fast as can be, with https to source and store"
    return Result("tls", what, _METRICS, rows, (WHOLE, PLAIN), versions(stage.programs))


def far_away(stage: Stage) -> Result:
    """Put an ocean between: 40 ms of round trip and a gigabit to source and API, and 25 MB/s for each connection."""
    size = stage.bytes(512 * MIB, 64 * MIB)
    with stage.ground(3 * size, CAPPED) as ground:
        api = httpx.URL(ground.kit.base_url)
        with far(ground.source.port, api.port or 0) as (files_port, api_port):
            ground.kit.lead_links_to(f"http://127.0.0.1:{files_port}")
            ground.api_url = str(api.copy_with(port=api_port))
            rows = contest(ground, everybody(), size, stage.times(ROUNDS))
    line = f"{ROUND_TRIP_S * 1000:.0f} ms of round trip and {BYTES_PER_S * 8 / 1e9:.0f} Gbit/s away"
    what = f"{size / MIB:.0f} MiB from a source {line} that gives each connection 25 MB/s; the store is near"
    return Result("far", what, _METRICS, rows, (WHOLE, PLAIN), versions(stage.programs))


def memory(stage: Stage) -> Result:
    """Look whether memory grows with the recording: 200 MB, 1 GB, and with --large 10 GB."""
    growing = (*GROWING, LARGE) if stage.large else GROWING
    sizes = [size // 50 for size in growing] if stage.quick else [stage.size] if stage.size else list(growing)
    together = {one.name: Row(one.name) for one in everybody()}
    for size in sizes:
        say(f"  {size / 1e6:,.0f} MB")
        with stage.ground(int(2.2 * size)) as ground:
            for row in contest(ground, everybody(), size, stage.times(1)):
                together[row.name].samples[f"rss_{size}"] = row.samples.get("peak_rss", [])
                together[row.name].notes += row.notes
    metrics = tuple(Metric(f"rss_{size}", f"{size / 1e6:,.0f} MB: peak RSS MiB", MIB, 0) for size in sizes)
    return Result(
        "memory",
        "the most memory at once, for recordings of growing size",
        metrics,
        list(together.values()),
        about=versions(stage.programs),
    )
