"""Prefect's own share: a flow in the sweep's shape whose tasks do nothing, `… empty_flow TASKS AT_ONCE`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from prefect import flow

from flows.prefect_server import prefect_at_hand
from tasks.recording import stage


@stage("nothing")
def nothing(_number: int) -> None:
    """Do nothing."""


@flow(name="nothing", persist_result=False)
def empty(tasks: int, at_once: int) -> None:
    """Run so many tasks that do nothing, from so many threads, as the sweep runs its own."""
    with ThreadPoolExecutor(at_once) as threads:
        for future in [threads.submit(copy_context().run, nothing, number) for number in range(tasks)]:
            future.result()


if __name__ == "__main__":
    with prefect_at_hand():
        empty(int(sys.argv[1]), int(sys.argv[2]))
