"""Runs a command to its end, and tells what it took: time, processor, memory, of all the processes that it was."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread, Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SAMPLED_EVERY_S = 0.05
SAID_BYTES = 4000
"""Of what a command printed, its end says most."""
QUIET_S, QUIET_SHARE = 2.0, 0.05
"""Who takes less than this share of one processor for so long has nothing to do."""


@dataclass(frozen=True)
class Usage:
    """What a command took, and how it ended."""

    exit_code: int | None
    """As a shell would see it; None if it did not end in time, and was killed."""
    wall_s: float
    cpu_s: float
    """User and system time, of the command and all descendants that were waited for."""
    peak_rss: int
    """Bytes: the largest sum of resident memory over its processes, looked at 20 times a second."""
    said: str
    """The end of what it printed on stdout and stderr; it may hold URLs."""


def _nothing(_pid: int) -> None:
    pass


def measured(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    limit_s: float,
    began: Callable[[int], None] = _nothing,
) -> Usage:
    """Run a command to its end, or kill it and all that it started.

    Args:
        arguments: the command line.
        environment: all of its environment variables.
        folder: where it runs.
        limit_s: seconds after which it counts as hung.
        began: told its process id, which is its process group's, too.
    """
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        running = subprocess.Popen(
            arguments,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with _killed_at_last(running), _watched(running.pid) as peak, _limited(running.pid, limit_s) as late:
            began(running.pid)
            os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
            wall_s = time.monotonic() - started
        spent = _reaped(running)
        output.seek(max(0, output.tell() - SAID_BYTES))
        said = output.read().decode(errors="replace")
    exit_code = None if late.is_set() else running.returncode
    return Usage(exit_code, wall_s, spent.ru_utime + spent.ru_stime, max(peak), said)


def tree(pid: int) -> list[int]:
    """Return a process and its descendants, as far as they are alive."""
    found = [pid]
    for parent in found:
        with suppress(OSError, ValueError):
            for thread in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def resident(pids: Sequence[int]) -> int:
    """Return the resident memory of processes in bytes; pages that they share count for each."""
    pages = 0
    for pid in pids:
        with suppress(OSError, IndexError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def processor_s(pid: int) -> float:
    """Return the processor seconds that a process and its descendants have taken so far, those that ended included."""
    ticks = 0
    for one in tree(pid):
        with suppress(OSError, IndexError):
            # After the name, which is in parentheses and may hold blanks: fields 14 to 17, its own and its children's.
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def quiet(pid: int, limit_s: float) -> bool:
    """Wait until a process and its descendants have nothing to do, and tell whether they had in time.

    Args:
        pid: of a process that is idle between its work, such as a server.
        limit_s: seconds after which nobody waits any longer.
    """
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        before = processor_s(pid)
        time.sleep(QUIET_S)
        if processor_s(pid) - before < QUIET_SHARE * QUIET_S:
            return True
    return False


def _reaped(running: subprocess.Popen[bytes]) -> resource.struct_rusage:
    _, status, spent = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    return spent


@contextmanager
def _killed_at_last(running: subprocess.Popen[bytes]) -> Iterator[None]:
    """End all of a command's session: as long as it is not reaped, nobody else has its number."""
    try:
        yield
    except BaseException:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        raise
    os.killpg(running.pid, signal.SIGKILL)


@contextmanager
def _watched(pid: int) -> Iterator[list[int]]:
    """Give the sums of memory that were seen."""
    seen, over = [0], Event()

    def watch() -> None:
        while not over.wait(SAMPLED_EVERY_S):
            seen.append(resident(tree(pid)))

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@contextmanager
def _limited(pid: int, limit_s: float) -> Iterator[Event]:
    late = Event()

    def end() -> None:
        late.set()
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    timer = Timer(limit_s, end)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        timer.join()
