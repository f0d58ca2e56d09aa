"""A process that restores a recording and kills itself before a read: `restore_child.py SETUP ID TO NUMBER`."""

from __future__ import annotations

import sys
from itertools import count
from typing import Any

from tasks.s3 import new_s3_client, read_ahead
from tests.support.archive_child import die
from tests.support.archiving import Setup
from tests.support.meddling import Meddled
from tests.support.restoring import Fetched, restore_with, settings_of

if __name__ == "__main__":
    setup, recording_id, to, number = Setup.parsed(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    reads = count(1)

    def then(_path: str, send: Any) -> Any:
        if next(reads) == number:
            die()
        return send()

    read_ahead.RANGE = 64 * 1024
    restore_with(settings_of(setup), Meddled(new_s3_client(8), Fetched(then)), [recording_id], to)
