"""Prefect alone: tasks in the sweep's shape that only last, `… empty_flow TASKS AT_ONCE [SECONDS] [--event]`."""

from __future__ import annotations

import argparse
import logging
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from prefect import flow

from tasks.archive.models import ArchivedFile, ArchivedRecording
from tasks.orchestration.engine import PrefectEngine
from tasks.orchestration.server import prefect_at_hand

BYTES = 1_000_000
LOG = logging.getLogger(__name__)
DONE = ArchivedRecording(
    recording_id="",
    archive_url="s3://bucket/recordings/app/2026/01/01/recording/",
    files=(ArchivedFile(path="data/video/video.mp4", size=BYTES, sha256="0" * 64, content_type="video/mp4"),),
    bytes=BYTES,
    duration_s=1.0,
)
"""What an event tells of a recording."""


def nothing(lasts_s: float, engine: PrefectEngine | None) -> None:
    """Do nothing for so long; with an engine, emit the event of a recording that was archived."""
    time.sleep(lasts_s)
    if engine:
        engine.emit_archived(DONE.model_copy(update={"recording_id": str(uuid.uuid4())}))


@flow(name="nothing", persist_result=False)
def empty(tasks: int, at_once: int, lasts_s: float, *, event: bool) -> None:
    """Run so many tasks that do nothing, from so many threads, as the sweep runs its own."""
    engine = PrefectEngine(LOG)

    def one() -> None:
        engine.run_once(nothing, lasts_s, engine if event else None)

    with ThreadPoolExecutor(at_once) as threads:
        for future in [threads.submit(copy_context().run, one) for _ in range(tasks)]:
            future.result()


def main() -> None:
    """Run the flow as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", type=int)
    parser.add_argument("at_once", type=int)
    parser.add_argument("lasts_s", type=float, nargs="?", default=0.0)
    parser.add_argument("--event", action="store_true")
    given = parser.parse_args()
    with prefect_at_hand():
        empty(given.tasks, given.at_once, given.lasts_s, event=given.event)


if __name__ == "__main__":
    main()
