"""Many small recordings through the sweep, and how much of that is Prefect's own."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.benchmarks.contestants import Ours
from tests.benchmarks.figures import CPU, WALL, Metric, Result, Row
from tests.benchmarks.stage import say
from tests.benchmarks.table import latest
from tests.standins.content import BytesContent
from tests.standins.media import video_mp4
from tests.support.measure import processor_s, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.stage import Ground, Stage
    from tests.support.measure import Usage

BYTES = 1_000_000
AT_ONCE = 4
"""The sweep's default."""
ROUNDS = 5
QUIET_WITHIN_S = 120.0
SWEEP = Ours("ours: sweep, whole command", ("-m", "flows.sweep_recordings", "--sessions", "none"))
"""Without sessions, of which the rows beside it do nothing either."""
ALONE = Ours(
    "ours: the same recordings without Prefect",
    ("-m", "tests.benchmarks.plain", "--at-once", str(AT_ONCE)),
    server=False,
)
BRIEF = Ours("Prefect alone: as many empty tasks", ("-m", "tests.benchmarks.empty_flow"))
EMPTY = Ours("Prefect alone: as many empty tasks that last as long", BRIEF.arguments)
TOLD = Ours("Prefect alone: the same, and an event of each", (*BRIEF.arguments, "--event"))
_METRICS = (
    Metric("per_minute", "recordings a minute", digits=0),
    WALL,
    CPU,
    Metric("server_s", "Prefect server's CPU s"),
    Metric("share_cpu_s", "Prefect per recording, CPU ms", 0.001, 1, compared=True),
    Metric("share_wall_s", "Prefect per recording, wall ms", 0.001, 1),
)


@dataclass(frozen=True)
class Taken:
    """What a contestant took, its Prefect server until it was quiet again included."""

    wall_s: float
    cpu_s: float
    server_s: float

    @property
    def all_cpu_s(self) -> float:
        """The processor seconds of both."""
        return self.cpu_s + self.server_s


def many(stage: Stage) -> Result:
    """Sweep 300 recordings of little more than 1 MB, and let Prefect run as many tasks that do nothing."""
    count, rounds = 20 if stage.quick else 300, stage.times(ROUNDS)
    rows = [Row(one.name) for one in (SWEEP, ALONE, BRIEF, EMPTY, TOLD)]
    video = BytesContent(video_mp4(BYTES))  # a real one: a sweep warns of a file that is no video
    with stage.ground(4 * count * video.size) as ground:
        first = ground.source.add_content(ground.kit, str(uuid.uuid4()), video).id
        _round(ground, [Row("") for _ in rows], [first])  # so that all programs have been read from the disk
        others = (ground.source.add_content(ground.kit, str(uuid.uuid4()), video).id for _ in range(count - 1))
        ids = [first, *others]
        for number in range(rounds):
            _round(ground, rows, ids)
            say(f"  {number + 1}/{rounds} {latest(rows, WALL.key)}")
    what = f"{count} recordings of {video.size / 1e6:.1f} MB, {AT_ONCE} at once"
    return Result("many", what, _METRICS, rows, (SWEEP.name,))


def _round(ground: Ground, rows: Sequence[Row], ids: Sequence[str]) -> None:
    ours, plain, short, long, told = rows
    shape = (str(len(ids)), str(AT_ONCE))
    swept = _run(ground, SWEEP, ours, ids)
    alone = _run(ground, ALONE, plain, ids, *ids)
    brief = _run(ground, BRIEF, short, ids, *shape)
    lasts_s = lasting(swept, brief, len(ids))
    ours.add(**share(swept, alone, len(ids)))
    slept = Taken(lasts_s * len(ids) / AT_ONCE, 0, 0)
    for one, row in ((EMPTY, long), (TOLD, told)):
        empty = _run(ground, one, row, ids, *shape, str(lasts_s))
        row.add(lasts_s=lasts_s, **share(empty, slept, len(ids)))


def lasting(swept: Taken, brief: Taken, count: int) -> float:
    """Return how long a recording's task lasts in a sweep, in seconds.

    Args:
        swept: what the sweep took.
        brief: what as many tasks took that last no time: Prefect's start, and what it does between tasks.
        count: of the recordings.
    """
    return max(0.0, AT_ONCE * (swept.wall_s - brief.wall_s) / count)


def share(whole: Taken, without: Taken, count: int) -> dict[str, float]:
    """Return Prefect's share of a recording: what the whole took beyond the same without Prefect."""
    return {
        "share_cpu_s": (whole.all_cpu_s - without.cpu_s) / count,
        "share_wall_s": (whole.wall_s - without.wall_s) / count,
    }


def _run(ground: Ground, one: Ours, row: Row, ids: Sequence[str], *arguments: str) -> Taken:
    usage, server_s = sweep(ground, one, ids, row, *arguments)
    row.add(per_minute=60 * len(ids) / usage.wall_s, wall_s=usage.wall_s, cpu_s=usage.cpu_s, server_s=server_s)
    return Taken(usage.wall_s, usage.cpu_s, server_s)


def sweep(ground: Ground, one: Ours, ids: Sequence[str], row: Row, *arguments: str) -> tuple[Usage, float]:
    """Run one of these, look whether it did what it should, and return what it took, it and Prefect's server (CPU s).

    The server works on for seconds on what it was told: that is counted, and over before another one begins.

    Args:
        ids: of the recordings that are to be archived.
        row: where it is noted if they are not.
        arguments: of its command line.
    """
    server = ground.stage.prefect.pid
    with ground.bucket() as bucket:
        was_quiet, before = quiet(server, QUIET_WITHIN_S), processor_s(server)
        usage = one.started(ground, bucket, *arguments)
        is_quiet, server_s = quiet(server, QUIET_WITHIN_S), processor_s(server) - before
        archived = sum(key.endswith("/bagit.txt") for key in ground.sizes(bucket))
    if not (was_quiet and is_quiet):
        row.notes.append(f"Prefect's server did not become quiet within {QUIET_WITHIN_S:.0f} s")
    if usage.exit_code or (one not in (BRIEF, EMPTY, TOLD) and archived != len(ids)):
        row.notes.append(f"failed: exit code {usage.exit_code}, {archived} of {len(ids)} archived")
        say(f"  {one.name}: {row.notes[-1]}; it said: {usage.said[-1000:]}")
    return usage, server_s
