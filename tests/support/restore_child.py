"""A process that restores a recording and kills itself within a file: `restore_child.py SETUP ID TO OFFSET`."""

from __future__ import annotations

import sys

from tasks.restore import file_system
from tasks.s3 import bucket, new_s3_client
from tests.support.archive_child import die
from tests.support.archiving import Setup
from tests.support.restoring import CHUNK, restore_with, settings_of

if __name__ == "__main__":
    setup, recording_id, to, offset = Setup.parsed(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    write = file_system.FlushedFile.write

    def write_or_die(file: file_system.FlushedFile, chunk: bytes) -> None:
        if file._out.tell() == offset:
            die()
        write(file, chunk)

    file_system.FlushedFile.write = write_or_die  # type: ignore[method-assign,assignment]
    bucket.READ_CHUNK = CHUNK
    restore_with(settings_of(setup), new_s3_client(8), [recording_id], to)
