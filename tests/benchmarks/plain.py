"""Ours without Prefect: `python -m tests.benchmarks.plain [--at-once N] RECORDING_ID…`.

It runs the pipeline that the flows run, and shares connections out as the sweep does. With `--look` it looks at all
recordings as the sweep does, and archives none.
"""

from __future__ import annotations

import argparse
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from queue import SimpleQueue

from tasks.pipeline import archive_recording
from tasks.process_tuning import settle
from tasks.session import Session, StoreAccess
from tasks.settings import Settings, load_settings
from tasks.sweep import Scope, plan_sweep

LOG = logging.getLogger(__name__)


def look(session: Session) -> None:
    """Find out what a sweep would have to do."""
    scope = Scope(datetime.now(UTC))
    with session.attempt() as attempt:
        plan = plan_sweep(attempt.api, attempt.archive, attempt.store, session.app_id, scope)
    if plan.to_archive or not plan.already:
        raise AssertionError("not all is archived")


def main() -> int:
    """Archive the recordings of the command line; what goes wrong is raised."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at-once", type=int, default=1)
    parser.add_argument("--look", action="store_true")
    parser.add_argument("ids", nargs="*")
    given = parser.parse_args()
    settle()
    settings = load_settings(Settings, env_file=None)
    share = settings.model_copy(update={"transfer_concurrency": max(1, settings.transfer_concurrency // given.at_once)})
    idle, access = SimpleQueue[Session](), StoreAccess(share)
    for _ in range(given.at_once):
        idle.put(Session(share, LOG, store_access=access, views=lambda _recording, _log: []))

    def archive(recording_id: str) -> None:
        session = idle.get()
        try:
            if archive_recording(session, recording_id).transferred is None:
                raise AssertionError("it is archived already, so that there is nothing to be measured")
        finally:
            idle.put(session)

    if given.look:
        with closing(Session(settings, LOG)) as session:
            look(session)
    with ThreadPoolExecutor(given.at_once) as threads:
        list(threads.map(archive, given.ids))
    while not idle.empty():
        idle.get().close()
    access.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
