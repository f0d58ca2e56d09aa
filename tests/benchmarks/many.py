"""Many small recordings through the sweep, and how much of that is Prefect's own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.benchmarks.contestants import Ours
from tests.benchmarks.figures import CPU, WALL, Metric, Result, Row
from tests.benchmarks.stage import say
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
ALONE = Ours("ours: the same recordings without Prefect", ("-m", "tests.benchmarks.plain", "--at-once", str(AT_ONCE)))
EMPTY = Ours("Prefect alone: as many empty tasks", ("-m", "flows.empty"))
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
        ids = [ground.source.add(ground.kit, str(uuid.uuid4()), BYTES).id for _ in range(count)]
        _round(ground, [Row("") for _ in rows], ids[:1])
        for number in range(rounds):
            _round(ground, rows, ids)
            took = ", ".join(f"{row.values('wall_s')[-1]:.1f} s {row.name}" for row in rows if row.values("wall_s"))
            say(f"  {number + 1}/{rounds} {took}")
    what = f"{count} recordings of 1 MB, {AT_ONCE} at once"
    return Result("many", what, _METRICS, rows, (SWEEP.name,))


def _round(ground: Ground, rows: Sequence[Row], ids: Sequence[str]) -> None:
    empty = Ours(EMPTY.name, ("-m", "tests.benchmarks.empty_flow"), (("PREFECT_API_URL", ground.stage.prefect.api),))
    for row, one, arguments in zip(rows, (SWEEP, ALONE, empty), ((), ids, (str(len(ids)), str(AT_ONCE))), strict=True):
        with ground.bucket() as bucket:
            before = processor_s(ground.stage.prefect.pid)
            usage = one.started(ground, bucket, *arguments)
            server_s = processor_s(ground.stage.prefect.pid) - before
            archived = sum(key.endswith("/bagit.txt") for key in ground.sizes(bucket))
        if row.name and one is not empty and archived != len(ids):
            row.notes.append(f"failed: {archived} archived")
        if usage.exit_code:
            say(usage.said)
        _note(row, usage, len(ids), server_s)


def _note(row: Row, usage: Usage, count: int, server_s: float) -> None:
    row.add(per_minute=60 * count / usage.wall_s, wall_s=usage.wall_s, cpu_s=usage.cpu_s, server_s=server_s)
    if usage.exit_code:
        row.notes.append(f"failed: exit code {usage.exit_code}")
