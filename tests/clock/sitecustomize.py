"""Moves the clock of a Python process by `TESTS_CLOCK_AHEAD_S` seconds, from the start on.

Python imports a module of this name before anything else, if its folder is on `PYTHONPATH`.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta

AHEAD = "TESTS_CLOCK_AHEAD_S"


def move() -> None:
    """Move the wall clock of this process; the monotonic clock, and with it all time-outs, stay."""
    # time-machine would import pytest for its fixture: half a second in each process, and too early for eventlet.
    unloaded = sys.modules.setdefault("pytest", None)  # type: ignore[arg-type]
    try:
        import time_machine  # noqa: PLC0415
    finally:
        if unloaded is None:
            del sys.modules["pytest"]
    time_machine.travel(timedelta(seconds=float(os.environ[AHEAD])), tick=True).start()
    time.time()  # the clock ticks from the first look at it


if __name__ == "sitecustomize" and AHEAD in os.environ:
    move()
