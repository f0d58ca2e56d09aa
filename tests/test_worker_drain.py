"""A worker that is told to end: no further run is taken, its runs end first, and nothing outlives it."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.flows.world import PROJECT, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRAPPER = """
import os, sys
from tasks import worker_drain
worker_drain.RUNS_END_WITHIN_S = float(sys.argv[2])
sys.exit(worker_drain.run_worker([sys.executable, "-c", sys.argv[1]], os.environ, lambda text: None))
"""
WORKER = """
import os, signal, subprocess, sys, time
def note(text):
    with open("noted", "a") as file:
        file.write(text + "\\n")
def end(*_):
    note("the worker ends")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
run = subprocess.Popen([sys.executable, "-c", RUN])
while True:
    time.sleep(0.01)
    if run.poll() is not None:
        note("the worker takes another run")
        time.sleep(60)
"""
RUN = """
import signal, sys, time
def end(*_):
    time.sleep(0.2)
    with open("noted", "a") as file:
        file.write("the run ends\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open("running", "w").close()
time.sleep(60)
"""
DEAF_RUN = RUN.replace("signal.SIGTERM, end", "signal.SIGTERM, signal.SIG_IGN")


@contextmanager
def working(folder: Path, worker: str, patience_s: float = 30) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", WRAPPER, worker, str(patience_s)]
    environment = {"PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("told", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    ("run", "noted"),
    [
        pytest.param(RUN, ["the run ends", "the worker ends"], id="a run"),
        pytest.param(DEAF_RUN, ["the worker ends"], id="a run that does not listen"),
    ],
)
def test_its_runs_end_first_and_no_other_is_taken(tmp_path: Path, told: str, run: str, noted: list[str]) -> None:
    with working(tmp_path, f"RUN = {run!r}\n{WORKER}", patience_s=0.5 if run == DEAF_RUN else 30) as process:
        eventually((tmp_path / "running").exists)
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) == 2
        process.send_signal(signal.Signals[told])
        assert process.wait(30) == 0
    assert (tmp_path / "noted").read_text().splitlines() == noted
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in started)


def test_a_worker_that_ends_by_itself_gives_its_exit_code(tmp_path: Path) -> None:
    with working(tmp_path, "raise SystemExit(3)") as process:
        assert process.wait(30) == 3
