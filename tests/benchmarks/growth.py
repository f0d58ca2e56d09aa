"""What more of it brings: ranges in flight for one recording, and recordings at once."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.benchmarks.contest import CAPPED, ROUNDS, once
from tests.benchmarks.contestants import plain
from tests.benchmarks.figures import CPU, MIB, RSS, WALL, Metric, Result, Row
from tests.benchmarks.many import SWEEP, sweep
from tests.benchmarks.stage import say

if TYPE_CHECKING:
    from tests.benchmarks.stage import Ground, Stage
    from tests.support.measure import Usage

RANGES = (1, 2, 4, 8, 16)
AT_ONCE = (1, 2, 4, 8)
RECORDINGS = 8
_SPEED = Metric("bytes_per_s", "MB/s", 1e6, 0)


def growth(stage: Stage) -> Result:
    """Give one recording more ranges in flight, and a sweep more recordings at once; 25 MB/s for each connection."""
    size, rounds = stage.bytes(512 * MIB, 64 * MIB), stage.times(ROUNDS)
    cases = [Row(f"TRANSFER_CONCURRENCY={count}") for count in RANGES]
    sweeps = [Row(f"sweep --at-once {count}") for count in AT_ONCE]
    with stage.ground(3 * size, CAPPED) as ground:
        for number in range(rounds):
            say(f"  {number + 1}/{rounds}")
            for row, count in zip(cases, RANGES, strict=True):
                _one(ground, row, count, size)
    with stage.ground(3 * size, CAPPED) as ground:
        ids = [ground.source.add(ground.kit, str(uuid.uuid4()), size // RECORDINGS).id for _ in range(RECORDINGS)]
        for number in range(rounds):
            say(f"  {number + 1}/{rounds}")
            for row, count in zip(sweeps, AT_ONCE, strict=True):
                one = replace(SWEEP, arguments=(*SWEEP.arguments, "--at-once", str(count)))
                _note(row, sweep(ground, one, ids, row)[0], size)
    what = (
        f"{size / MIB:.0f} MiB at 25 MB/s for each connection: one recording without Prefect, more ranges at once,"
        f" and {RECORDINGS} recordings of {size / RECORDINGS / MIB:.0f} MiB through the sweep, which share 8 ranges"
    )
    return Result("growth", what, (WALL, _SPEED, CPU, RSS), [*cases, *sweeps])


def _one(ground: Ground, row: Row, ranges: int, size: int) -> None:
    recording = ground.source.add(ground.kit, str(uuid.uuid4()), size)
    usage = once(ground, plain(TRANSFER_CONCURRENCY=str(ranges)), recording, row)
    if usage:
        _note(row, usage, size)


def _note(row: Row, usage: Usage, size: int) -> None:
    row.add(wall_s=usage.wall_s, cpu_s=usage.cpu_s, peak_rss=usage.peak_rss, bytes_per_s=size / usage.wall_s)
    say(f"    {row.name}: {usage.wall_s:.2f} s")
