"""Ours without Prefect, wired as the flows wire it: `python -m tests.benchmarks.plain [--at-once N] RECORDING_ID…`.

With `--look` it looks at all recordings as the sweep does, and archives none.
"""

from __future__ import annotations

import argparse
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from queue import SimpleQueue

from tasks.cancellation import Stop
from tasks.process_tuning import settle
from tasks.realtimekit.recordings import require_media
from tasks.session import Clients, payloads
from tasks.settings import Settings, load_settings
from tasks.sweep.plan import plan_for
from tasks.sweep.scope import Scope
from tasks.transfer.progress import Tally

LOG = logging.getLogger(__name__)


def archive(clients: Clients, recording_id: str) -> None:
    """Archive one recording, all stages of the flow."""
    stop = Stop(clients.lines)
    try:
        api, archive = clients.api(stop), clients.archive(stop)
        recording = api.recording(recording_id)
        if archive.find(recording):
            raise AssertionError("it is archived already, so that there is nothing to be measured")
        require_media(recording)
        transfer = clients.transfer(recording, Tally(), stop)
        moved = transfer.move_all(payloads(archive, recording))
        transfer.commit(archive, recording, moved)
    finally:
        stop.set()


def look(clients: Clients) -> None:
    """Find out what a sweep would have to do."""
    stop, app_id = Stop(clients.lines), clients.settings.realtimekit_app_id
    scope = Scope(datetime.now(UTC))
    plan = plan_for(clients.api(stop), clients.archive(stop), clients.store(stop), app_id, scope)
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
    # As the sweep shares its connections out.
    share = settings.model_copy(update={"transfer_concurrency": max(1, settings.transfer_concurrency // given.at_once)})
    idle: SimpleQueue[Clients] = SimpleQueue()
    first = Clients(share, LOG)
    for clients in (first, *(Clients(share, LOG, first) for _ in range(given.at_once - 1))):
        idle.put(clients)

    def bring_home(recording_id: str) -> None:
        clients = idle.get()
        try:
            archive(clients, recording_id)
        finally:
            idle.put(clients)

    if given.look:
        look(Clients(settings, LOG))
    with ThreadPoolExecutor(given.at_once) as threads:
        list(threads.map(bring_home, given.ids))
    while not idle.empty():
        idle.get().close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
