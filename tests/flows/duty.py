"""A Prefect server and a process worker as on duty: processes of their own, which may be killed and started again."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

import httpx
import psutil

from tests.flows.world import PROJECT, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from prefect.events.schemas.events import Event

    from tests.flows.world import World
    from tests.standins.signer import Signer

POOL = "recordings"
PORTS = (10_000, 32_000)
_CHANCE = random.SystemRandom()  # the same seed is given to all tests, in all of their processes
_ENDS_WITHIN_S = 30
_EMPTY = PROJECT / ".pytest_cache" / f"prefect-{version('prefect')}.db"
"""A database with Prefect's tables, kept from one run to the next: to make them takes half of a server's start."""


def free_port() -> int:
    """Return a port that nobody listens at, of those that no system hands out by itself.

    A server takes seconds to start. Meanwhile, one of the others may become that of any connection.
    """
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", _CHANCE.randint(*PORTS))) as listener:
            port: int = listener.getsockname()[1]
            return port


def kill_tree(process: subprocess.Popen[Any]) -> None:
    """End a process and all that it has started, directly or not, as a container ends."""
    with suppress(psutil.NoSuchProcess):
        tree = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for child in tree:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(tree, timeout=30)
    process.wait()


class Running:
    """A process of Prefect's command line, in a session of its own; its output goes to a file."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._command = [sys.executable, "-W", "ignore", "-m", "prefect", "--no-prompt", *arguments]
        self._environment = dict(environment)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of what was started last."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, or start it again."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=PROJECT, env=self._environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """End it and all that it started, at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """Ask it to end (SIGTERM), and return when it has; what it started is ended then."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_ENDS_WITHIN_S)
        self.kill()

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()


class PrefectServer(Running):
    """A Prefect server with its UI, over a database that outlives it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.api = f"{self.url}/api"
        ours = {
            "PREFECT_HOME": str(folder),
            "PREFECT_API_URL": self.api,
            "PREFECT_UI_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        }
        arguments = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
        super().__init__(arguments, {**os.environ, **ours, **settings}, folder / "server.log")
        self.folder = folder
        self._database = folder / "prefect.db"

    def start(self) -> None:
        """Start it, and return when it answers."""
        if _EMPTY.exists() and not self._database.exists():
            shutil.copyfile(_EMPTY, self._database)
        super().start()
        eventually(self._answers)
        if self._database.exists() and not _EMPTY.exists():
            self._keep()

    def clocks_of(self, event: Event) -> int:
        """Return how many automations wait since an event for another one that is to come.

        The server counts two events at the same time: that it has counted a later one tells nothing about this one.
        """
        query = "SELECT count(*) FROM automation_bucket WHERE json_extract(last_event, '$.id') = ?"
        with closing(sqlite3.connect(self._database)) as ours:
            counted: int = ours.execute(query, (str(event.id),)).fetchone()[0]
        return counted

    def _keep(self) -> None:
        """Keep the database for all that start later; several may do so at once."""
        _EMPTY.parent.mkdir(exist_ok=True)
        kept = _EMPTY.with_suffix(f".{os.getpid()}")
        with closing(sqlite3.connect(self._database)) as ours, closing(sqlite3.connect(kept)) as theirs:
            ours.backup(theirs)
        kept.replace(_EMPTY)

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.api}/health", timeout=5).is_success
        return False


def worker(
    world: World, name: str = "worker", limit: int = 4, settings: Mapping[str, str | None] | None = None
) -> Running:
    """Return a process worker of the pool that a person would start here, looking for work every second."""
    ours = {"ARCHIVER_HOME": str(PROJECT), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    environment = world.environment(**ours | dict(settings or {}))
    arguments = ["worker", "start", "--pool", POOL, "--name", name, "--limit", str(limit)]
    return Running(arguments, environment, world.folder / f"{name}.log")


def prefect(world: World, *arguments: str, **changes: str | None) -> str:
    """Run a command of Prefect's to its end, and return what it printed."""
    command = [sys.executable, "-W", "ignore", "-m", "prefect", "--no-prompt", *arguments]
    environment = world.environment(**{"ARCHIVER_HOME": str(PROJECT), **changes})
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def deploy(world: World) -> None:
    """Make the pool, and all deployments of the project's."""
    prefect(world, "work-pool", "create", POOL, "--type", "process", "--overwrite")
    prefect(world, "deploy", "--all")


def asked(world: World, method: str, path: str, body: Any = None) -> Any:
    """Return what Prefect's server answers; while its SQLite is locked it is silent for 60 s, or answers 503."""

    def answer() -> httpx.Response | None:
        answer = httpx.request(method, f"{world.prefect_api}/{path}", json=body, timeout=90)
        return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

    answered: httpx.Response = eventually(answer)
    answered.raise_for_status()
    return answered.json() if answered.content else None


def deployment_id(world: World, name: str) -> str:
    """Return the id of a deployment by its name; of those called on-demand, that of archive-recording."""
    found = world.ask_prefect("deployments", deployments={"name": {"any_": [name]}})
    others = ("archive_session", "restore_recording")
    first = [one for one in found if not any(other in (one["entrypoint"] or "") for other in others)]
    (found,) = first
    return str(found["id"])


def started(world: World, name: str, tags: tuple[str, ...] = (), **parameters: Any) -> dict[str, Any]:
    """Start a run of a deployment, and return it."""
    body = {"parameters": parameters, "tags": list(tags), "idempotency_key": uuid.uuid4().hex}
    run: dict[str, Any] = asked(world, "POST", f"deployments/{deployment_id(world, name)}/create_flow_run", body)
    return run


def cancel(world: World, run: Mapping[str, Any]) -> None:
    """Cancel a run as the UI does."""
    asked(world, "POST", f"flow_runs/{run['id']}/set_state", {"state": {"type": "CANCELLING"}})


def state_of(world: World, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state that a run is in."""
    (found,) = world.ask_prefect("flow_runs", flow_runs={"id": {"any_": [run["id"]]}})
    state: dict[str, Any] = found["state"]
    return state


@contextmanager
def listening(
    world: World, signer: Signer, *options: str, **changes: str | None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start `python -m flows.webhook`, and give it and where it listens."""
    environment = world.environment(
        REALTIMEKIT_WEBHOOK_KEY_URL=signer.url, CLOUDFLARE_API_TOKEN=None, ARCHIVE_URL=None, **changes
    )
    command = [sys.executable, "-m", "flows.webhook", "--port", "0", *options]
    log = world.folder / "webhook.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=world.folder, env=environment, stderr=output, text=True) as process,
    ):
        try:
            yield process, eventually(lambda: _address(process, log.read_text()))
        finally:
            process.kill()


def _address(process: subprocess.Popen[str], log: str) -> str:
    assert process.poll() is None, log
    found = re.search(r"running on (http://\S+)", log)
    return found[1] if found else ""
