"""Prefect's own processes, to be killed and started again: a server and a worker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = Path(__file__).parents[2]
START_S = 100
GIVEN = "PREFECT_API_URL"
"""The environment variable that names a server that runs already."""
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLI_COLORS": "false",
    "DO_NOT_TRACK": "1",
    "PYTHONPATH": str(PROJECT),
    "PYTHONWARNINGS": "ignore",
}


def ended(process: subprocess.Popen[Any], sent: signal.Signals = signal.SIGTERM) -> None:
    """End a process of ours, with force if it takes its time."""
    process.send_signal(sent)
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    process.kill()
    process.wait()


class PrefectServer:
    """A real server over a folder, as a person starts it.

    Args:
        home: where its database is.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self.api = f"http://127.0.0.1:{self._port}/api"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, again on the same port and data, and return when it answers."""
        environment = os.environ | QUIET | {"PREFECT_HOME": str(self._home)}
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self._port)]
        # It starts a server in a process of its own: both are of one session, and are ended together.
        self._process = subprocess.Popen(
            command,
            env=environment,
            cwd=self._home,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.kill()
                raise TimeoutError
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.api}/health", timeout=5).is_success
        return False

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.kill()


@contextmanager
def prefect_api() -> Iterator[str]:
    """Give the API's URL of the server that the environment names, or of one that runs meanwhile."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    temporary = tempfile.TemporaryDirectory(prefix="prefect-", ignore_cleanup_errors=True)
    with temporary as home, PrefectServer(Path(home)) as server:
        yield server.api


@contextmanager
def deployed(environment: Mapping[str, str], pool: str) -> Iterator[None]:
    """Deploy the flows to a server as the README says, with a worker that serves them meanwhile.

    Args:
        environment: of all of its processes.
        pool: the work pool that `prefect.yaml` names.
    """
    prefect, its = [sys.executable, "-m", "prefect"], {**environment, **QUIET, "ARCHIVER_HOME": str(PROJECT)}
    its["PREFECT_WORKER_QUERY_SECONDS"] = "0.5"
    quiet: Any = {"env": its, "cwd": PROJECT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for words in (
        ["work-pool", "create", pool, "--type", "process", "--overwrite"],
        ["--no-prompt", "deploy", "--all"],
    ):
        subprocess.run([*prefect, *words], check=True, **quiet)
    worker = subprocess.Popen([*prefect, "worker", "start", "--pool", pool, "--limit", "4"], **quiet)
    try:
        yield
    finally:
        ended(worker)
