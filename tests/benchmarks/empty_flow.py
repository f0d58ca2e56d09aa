"""Prefect alone: a flow in the sweep's shape whose tasks only last, `… empty_flow TASKS AT_ONCE [SECONDS]`."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from prefect import flow

from flows.prefect_server import prefect_at_hand
from tasks.recording import stage


@stage("nothing")
def nothing(_number: int, lasts_s: float) -> None:
    """Do nothing for so long."""
    time.sleep(lasts_s)


@flow(name="nothing", persist_result=False)
def empty(tasks: int, at_once: int, lasts_s: float = 0) -> None:
    """Run so many tasks that do nothing, from so many threads, as the sweep runs its own."""
    with ThreadPoolExecutor(at_once) as threads:
        for future in [threads.submit(copy_context().run, nothing, number, lasts_s) for number in range(tasks)]:
            future.result()


if __name__ == "__main__":
    with prefect_at_hand():
        empty(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
