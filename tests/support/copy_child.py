"""A process that forks a copy for each line on stdin, which may kill itself: `copy_child.py PART_SIZE`.

A line is `URL WRITE HOW`: where the copy lies, the write to its store at which the process is to die, 0 for none, and
how. It is answered with the process's exit code. All other settings come through the environment, as in production.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

from flows import copy_archive
from tasks import retry
from tasks.copy_settings import CopySettings
from tasks.engine import Engine
from tasks.restore import bucket_target
from tasks.s3 import new_s3_client
from tasks.settings import load_settings
from tests.support.archive_child import Death
from tests.support.meddling import Meddled


def copy(clients: list[Any], death: Death) -> None:
    """Copy, and die."""
    left = iter([clients[0], Meddled(clients[1], death.meddle())])
    setattr(copy_archive, "new_s3_client", lambda *_, **__: next(left))  # noqa: B010 - it is not exported
    copy_archive.copy(Engine())


if __name__ == "__main__":
    bucket_target.PART_SIZE = int(sys.argv[1])
    retry.FIRST_PAUSE_S, retry.LONGEST_PAUSE_S = 0.02, 0.1
    settings = load_settings(CopySettings)
    made = [new_s3_client(32, **one.store_access) for one in (settings, settings.of_copy())]
    for line in sys.stdin:
        url, number, how = line.split()
        if pid := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201 - that is how it answers
            continue
        code = 1
        try:
            os.environ["ARCHIVE_COPY_URL"] = url
            copy(made, Death(int(number), how))  # type: ignore[arg-type]
            code = 0
        except BaseException:  # noqa: BLE001 - whoever ordered it has to know of anything
            traceback.print_exc()
        finally:
            os._exit(code)
