"""A command as all of ours are, but without Prefect: `python -m tests.support.command_child RECORDING_ID`.

It archives a recording with the settings of its environment, in production's wiring.
"""

from __future__ import annotations

import logging
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from tasks import cli
from tasks.pipeline import archive_recording
from tasks.session import Session
from tasks.settings import Settings, load_settings
from tasks.text import redact_logs
from tasks.transfer import LogLines

if TYPE_CHECKING:
    from tasks.archive import ArchivedRecording

LOG = logging.getLogger(__name__)


def archive(recording_id: str) -> ArchivedRecording:
    """Archive a recording."""
    settings = load_settings(Settings)
    redact_logs()
    with closing(Session(settings, LOG, views=lambda _recording, log: [LogLines(log)])) as session:
        return archive_recording(session, recording_id).archived


if __name__ == "__main__":
    cli.begin()
    logging.basicConfig(level=logging.INFO)
    sys.exit(cli.run(lambda: archive(sys.argv[1])))
