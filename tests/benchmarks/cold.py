"""From the command to the first byte asked for: what a person waits before anything happens."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tests.benchmarks.contest import ROUNDS, once
from tests.benchmarks.contestants import Ours, as_flow, plain, whole
from tests.benchmarks.figures import CPU, WALL, Metric, Result, Row
from tests.benchmarks.stage import say
from tests.benchmarks.table import latest
from tests.standins.realtimekit import MediaSource, StandInRecording, SyntheticContent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.benchmarks.stage import Ground, Stage

BYTES = 1_000_000
_METRICS = (
    Metric("api_s", "first request to the API s"),
    Metric("file_s", "first request for the file s"),
    replace(WALL, compared=False),
    replace(CPU, compared=False),
)


@dataclass
class _FirstSeen:
    """When the stand-in was first asked."""

    began: float = field(default_factory=time.monotonic)
    api: float | None = None
    file: float | None = None

    def see_api(self, _request: object) -> None:
        """Note a request to the API."""
        self.api = self.api or time.monotonic() - self.began

    def see_file(self, _request: object) -> None:
        """Note a request for a file."""
        self.file = self.file or time.monotonic() - self.began


def cold(stage: Stage) -> Result:
    """Start it, and see when it asks the API, and when the source, for the first time; the recording has 1 MB."""
    rows: dict[str, Row] = {}
    with stage.ground(10 * BYTES) as ground:
        ground.kit.lead_links_to(None)
        recording = ground.kit.add(StandInRecording(str(uuid.uuid4()), video=MediaSource(SyntheticContent(BYTES, 1))))
        for one in _ways():
            once(ground, one, recording, rows.setdefault(one.name, Row(one.name)))
        for number in range(stage.times(ROUNDS)):
            for one in _ways():
                _look(ground, one, recording, rows[one.name])
            say(f"  {number + 1}: {latest(rows.values(), 'file_s')}")
    what = "from the command to the first request, and to its end, for a recording of 1 MB"
    return Result("cold", what, _METRICS, list(rows.values()))


def _ways() -> Iterator[Ours]:
    yield as_flow()
    yield whole()
    yield plain()


def _look(ground: Ground, one: Ours, recording: StandInRecording, row: Row) -> None:
    seen = _FirstSeen()
    ground.kit.on_api_request, ground.kit.on_file_request = seen.see_api, seen.see_file
    usage = once(ground, one, recording, row)
    if usage:
        row.add(api_s=seen.api, file_s=seen.file, wall_s=usage.wall_s, cpu_s=usage.cpu_s)
