"""A process that archives one recording and may be killed at any moment: `archive_child.py SETUP RECORDING_ID`.

Where the store is comes through the environment, as in production.
"""

from __future__ import annotations

import sys

from tasks.store import new_s3_client
from tests.archiving import Run, Setup

if __name__ == "__main__":
    setup, recording_id = sys.argv[1:]
    Run(Setup.parsed(setup), new_s3_client(32)).archived(recording_id)
