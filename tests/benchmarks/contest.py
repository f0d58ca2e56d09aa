"""All contestants in turn, round by round: in each round the machine is in the same mood for all of them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.benchmarks.contestants import LIMIT_S, PLAIN, WHOLE, everybody
from tests.benchmarks.figures import CPU, MIB, RSS, WALL, Result, Row
from tests.benchmarks.stage import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.stage import Ground, Stage
    from tests.measure import Usage
    from tests.standins.realtimekit import StandInRecording

CAPPED = 25_000_000
"""Bytes per second of a connection, as object stores give them."""
ROUNDS = 5
WARM_UP_BYTES = 20 * MIB


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
            usage = once(ground, one, recording, row)
            if usage is None:
                row.add(wall_s=None, cpu_s=None, peak_rss=None)
                continue
            row.add(wall_s=usage.wall_s, cpu_s=usage.cpu_s, peak_rss=usage.peak_rss)
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
    return Result("capped", what, (WALL, CPU, RSS), rows, (WHOLE, PLAIN))


def uncapped(stage: Stage) -> Result:
    """Let everybody fetch over loopback as fast as can be."""
    size = stage.bytes(1024 * MIB, 128 * MIB)
    with stage.ground(3 * size) as ground:
        rows = contest(ground, everybody(), size, stage.times(ROUNDS))
    what = f"{size / MIB:.0f} MiB over loopback, as fast as can be"
    return Result("uncapped", what, (WALL, CPU, RSS), rows, (WHOLE, PLAIN))
