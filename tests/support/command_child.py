"""A command as all of ours are, but without Prefect: `python -m tests.support.command_child RECORDING_ID`.

It archives a recording with the settings of its environment, in production's wiring.
"""

from __future__ import annotations

import logging
import sys
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING

from tasks import cli
from tasks.session import Clients, payloads
from tasks.settings import Settings, load_settings
from tasks.text.logs import conceal_logs
from tasks.transfer.progress import LogLines, Tally, shown

if TYPE_CHECKING:
    from tasks.archive.commit import ArchivedRecording

LOG = logging.getLogger(__name__)


def archive(recording_id: str) -> ArchivedRecording:
    """Archive a recording."""
    settings = load_settings(Settings)
    conceal_logs()
    stop, tally = Event(), Tally()
    with closing(Clients(settings, LOG)) as clients, shown(tally, [LogLines(LOG)]):
        recording, archive = clients.api(stop).recording(recording_id), clients.archive(stop)
        transfer = clients.transfer(recording, tally, stop)
        moved = transfer.move_all(payloads(archive, recording))
        return transfer.commit(archive, recording, moved)


if __name__ == "__main__":
    cli.begin()
    logging.basicConfig(level=logging.INFO)
    sys.exit(cli.run(lambda: archive(sys.argv[1])))
