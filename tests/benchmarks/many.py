"""Many small recordings through the sweep, and how much of that is Prefect's own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.benchmarks.contestants import Ours
from tests.benchmarks.figures import CPU, WALL, Metric, Result, Row
from tests.benchmarks.stage import say
from tests.benchmarks.table import latest
from tests.measure import processor_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.stage import Ground, Stage
    from tests.measure import Usage

BYTES = 1_000_000
AT_ONCE = 4
"""The sweep's default."""
ROUNDS = 5
SWEEP = Ours("ours: sweep, whole command", ("-m", "flows.sweep_recordings"))
ALONE = Ours(
    "ours: the same recordings without Prefect",
    ("-m", "tests.benchmarks.plain", "--at-once", str(AT_ONCE)),
    server=False,
)
EMPTY = Ours("Prefect alone: as many empty tasks", ("-m", "tests.benchmarks.empty_flow"))
_METRICS = (
    Metric("per_minute", "recordings a minute", digits=0),
    WALL,
    CPU,
    Metric("server_s", "Prefect server's CPU s"),
)


def many(stage: Stage) -> Result:
    """Sweep 300 recordings of 1 MB, and let Prefect run as many tasks that do nothing."""
    count, rounds = 20 if stage.quick else 300, stage.times(ROUNDS)
    rows = [Row(one.name) for one in (SWEEP, ALONE, EMPTY)]
    with stage.ground(4 * count * BYTES) as ground:
        first = ground.source.add(ground.kit, str(uuid.uuid4()), BYTES).id
        _round(ground, [Row("") for _ in rows], [first])  # so that all programs have been read from the disk
        ids = [first, *(ground.source.add(ground.kit, str(uuid.uuid4()), BYTES).id for _ in range(count - 1))]
        for number in range(rounds):
            _round(ground, rows, ids)
            say(f"  {number + 1}/{rounds} {latest(rows, WALL.key)}")
    what = f"{count} recordings of 1 MB, {AT_ONCE} at once"
    return Result("many", what, _METRICS, rows, (SWEEP.name,))


def _round(ground: Ground, rows: Sequence[Row], ids: Sequence[str]) -> None:
    for row, one, arguments in zip(rows, (SWEEP, ALONE, EMPTY), ((), ids, (str(len(ids)), str(AT_ONCE))), strict=True):
        usage, server_s = sweep(ground, one, ids, row, *arguments)
        row.add(per_minute=60 * len(ids) / usage.wall_s, wall_s=usage.wall_s, cpu_s=usage.cpu_s, server_s=server_s)


def sweep(ground: Ground, one: Ours, ids: Sequence[str], row: Row, *arguments: str) -> tuple[Usage, float]:
    """Run one of these, look whether it did what it should, and return what it took, it and Prefect's server (CPU s).

    Args:
        ids: of the recordings that are to be archived.
        row: where it is noted if they are not.
        arguments: of its command line.
    """
    with ground.bucket() as bucket:
        before = processor_s(ground.stage.prefect.pid)
        usage = one.started(ground, bucket, *arguments)
        server_s = processor_s(ground.stage.prefect.pid) - before
        archived = sum(key.endswith("/bagit.txt") for key in ground.sizes(bucket))
    if usage.exit_code or (one.name != EMPTY.name and archived != len(ids)):
        row.notes.append(f"failed: exit code {usage.exit_code}, {archived} of {len(ids)} archived")
        say(f"  {one.name}: {row.notes[-1]}; it said: {usage.said[-1000:]}")
    return usage, server_s
