"""A worker of Prefect's in a process of its own, and how it ends: its runs first, then the worker.

Prefect's worker kills its runs when it is told to end, and Prefect's server lists them as Running from then on. Here
the worker is held, so that it takes no further run; the runs are told to end, and report that; then the worker ends.
What a run has stored stays in the store, and the next run carries on with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RUNS_END_WITHIN_S = 45.0
"""Seconds that runs get, before they are killed."""
WORKER_ENDS_WITHIN_S = 15.0
_LOOK_EVERY_S = 0.1


class _ToldToEndError(Exception):
    """This process was told to end."""


def run_worker(command: Sequence[str], environment: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Run a worker until it ends, or until this process gets SIGTERM or SIGINT; return the exit code.

    Args:
        command: of the worker.
        environment: of the worker.
        say: told what happens at the end.
    """
    # In a session of its own: Ctrl-C on a terminal reaches all processes of a session at once.
    with subprocess.Popen(command, env=environment, start_new_session=True) as worker:  # noqa: S603 - our own words
        try:
            for told in (signal.SIGTERM, signal.SIGINT):
                signal.signal(told, _raise)
            return worker.wait()
        except _ToldToEndError:
            for told in (signal.SIGTERM, signal.SIGINT):
                signal.signal(told, signal.SIG_IGN)
            _drain(worker, say)
            return 0


def _raise(*_: object) -> NoReturn:
    raise _ToldToEndError


def _drain(worker: subprocess.Popen[bytes], say: Callable[[str], None]) -> None:
    worker.send_signal(signal.SIGSTOP)
    runs = _children(worker.pid)
    say(f"Told to end. Runs that end first: {len(runs)}. The next sweep carries on with what they have stored.")
    _signal_all(runs, signal.SIGTERM)
    deadline = time.monotonic() + RUNS_END_WITHIN_S
    while (runs := _children(worker.pid)) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
    if runs:
        say(f"Runs that did not end within {RUNS_END_WITHIN_S:.0f} s, and are killed: {len(runs)}.")
        _signal_all(runs, signal.SIGKILL)
    worker.terminate()  # is waiting for the worker when it goes on, so that it takes no run in between
    worker.send_signal(signal.SIGCONT)
    try:
        worker.wait(WORKER_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        worker.kill()


def _signal_all(pids: Sequence[int], told: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, told)


def _children(parent: int) -> list[int]:
    """Return the processes that another one has started and that still run; none where there is no /proc."""
    statuses = Path("/proc").glob("[0-9]*/stat")
    return [pid for pid, state, started_by in map(_status, statuses) if started_by == parent and state not in "ZX"]


def _status(file: Path) -> tuple[int, str, int]:
    """Return a process's id, its state and its parent's id; the parent of a process that has just ended is 0."""
    try:
        # The program's name stands in brackets, and may hold anything.
        state, parent = file.read_text(errors="replace").rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return 0, "X", 0
    return int(file.parent.name), state, int(parent)
