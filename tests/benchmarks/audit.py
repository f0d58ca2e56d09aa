"""A deep audit: what it takes to read an archive again, and to compare every byte with the manifests."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.contest import ROUNDS
from tests.benchmarks.contestants import LIMIT_S, Ours, plain, versions
from tests.benchmarks.figures import CPU, MIB, RSS, WALL, Metric, Result, Row
from tests.benchmarks.stage import say
from tests.support.measure import measured
from tests.torture.peers.tools import leading_to, variables

if TYPE_CHECKING:
    from tests.benchmarks.stage import Ground, Stage
    from tests.support.measure import Usage

RECORDINGS = 4
AUDIT = Ours("ours: deep audit, whole command", ("-m", "flows.audit_archive", "--deep"), server=False)
CHECK = "rclone check --download, with a copy on this machine"
CHECKSUM = "rclone checksum sha256 --download, with the manifests' sums"
_COMMANDS = {
    CHECK: ("check", "copy", "store:{bucket}", "--download", "--one-way"),
    CHECKSUM: ("checksum", "sha256", "sums", "store:{bucket}", "--download", "--one-way"),
}
"""`--one-way`, as what an audit notes in the bucket is in no copy."""
_METRICS = (Metric("speed", "MB/s", digits=0), WALL, CPU, RSS)


def audit(stage: Stage) -> Result:
    """Read four recordings again, 1 GiB together, and compare every byte with the manifests."""
    size = stage.bytes(1024 * MIB, 64 * MIB) // RECORDINGS
    rows = {name: Row(name) for name in (AUDIT.name, *_COMMANDS)}
    with stage.ground(4 * RECORDINGS * size) as ground, ground.bucket() as bucket:
        _fill(ground, bucket, size)
        for number in range(-1, stage.times(ROUNDS)):  # the first one, so that no program is read from the disk
            for name, row in rows.items():
                usage = _run(ground, bucket, name)
                if usage.exit_code:
                    row.notes.append(f"failed: exit code {usage.exit_code}")
                    say(f"  {name}: {row.notes[-1]}; it said: {usage.said[-1000:]}")
                elif number >= 0:
                    row.add(wall_s=usage.wall_s, cpu_s=usage.cpu_s, peak_rss=usage.peak_rss)
                    row.add(speed=RECORDINGS * size / 1e6 / usage.wall_s)
                    say(f"  {number + 1} {name:60} {usage.wall_s:6.2f} s {usage.cpu_s:6.2f} s CPU")
    what = f"a deep audit of {RECORDINGS} recordings of {size / MIB:.0f} MiB over loopback, as fast as can be"
    about = {"rclone": versions(stage.programs)["rclone"]}
    return Result("audit", what, _METRICS, list(rows.values()), (AUDIT.name,), about)


def _fill(ground: Ground, bucket: str, size: int) -> None:
    """Archive the recordings, and keep a copy of their bags and a list of their checksums for the others."""
    seeds = range(2, 2 + RECORDINGS)
    ids = [ground.source.add(ground.kit, str(uuid.uuid4()), size, seed).id for seed in seeds]
    if plain().started(ground, bucket, *ids).exit_code:
        raise RuntimeError("the recordings could not be archived")
    sums = []
    for key in ground.sizes(bucket):
        target = ground.folder / "copy" / key
        target.parent.mkdir(parents=True, exist_ok=True)
        ground.s3.download_file(bucket, key, str(target))
        bag, _, name = key.rpartition("/")
        if name == "manifest-sha256.txt":
            lines = (line.split(maxsplit=1) for line in target.read_text().splitlines())
            sums += [f"{sha256}  {bag}/{path}\n" for sha256, path in lines]
    (ground.folder / "sums").write_text("".join(sums))


def _run(ground: Ground, bucket: str, name: str) -> Usage:
    if name == AUDIT.name:
        return AUDIT.started(ground, bucket)
    with tempfile.TemporaryDirectory(dir=ground.folder) as scratch:
        environment = variables(ground.stage.programs, Path(scratch)) | leading_to(ground.store)
        command = ["rclone", *(part.format(bucket=bucket) for part in _COMMANDS[name])]
        return measured(command, environment, ground.folder, LIMIT_S, ground.began)
