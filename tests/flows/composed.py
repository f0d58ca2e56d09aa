"""The services of compose.yaml as plain processes: the same commands, environments and health checks.

Names of services become 127.0.0.1, their ports become free ones, and the image's folders those of this machine. What is
left out: the image itself, read-only filesystems, users, networks. PostgreSQL is Debian's.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.clock import python_path
from tests.flows.duty import free_port, kill_tree
from tests.flows.postgres import Postgres
from tests.flows.world import PROJECT, eventually
from tests.support.compose import environment_of, interpolate, services

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG = logging.getLogger(__name__)
PORTS = ("4200", "5432", "8020", "8021", "8030", "8080")
HEALTHY_WITHIN_S = 120.0


@dataclass
class Composed:
    """What `docker compose up` starts, in the order in which compose.yaml lets services wait for others.

    Args:
        env_file: what `.env` holds.
        folder: for volumes, temporary files and logs.
    """

    env_file: Mapping[str, str]
    folder: Path
    ports: dict[str, str] = field(default_factory=lambda: {port: str(free_port()) for port in PORTS})
    _services: dict[str, dict[str, Any]] = field(default_factory=services)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _postgres: Postgres | None = None

    @property
    def api(self) -> str:
        """Where Prefect's API is."""
        return f"http://{self.env_file['PREFECT_API_AUTH_STRING']}@127.0.0.1:{self.ports['4200']}/api"

    def up(self) -> None:
        """Start all services, and return when all are healthy."""
        for of_image in ("home/archiver", "tmp", "var/lib/prefect"):
            (self.folder / of_image).mkdir(parents=True)
        for name in self._services:
            self._start_after_others(name)
        for name in self._processes:
            self._await(name, "service_healthy")

    def _start_after_others(self, name: str) -> None:
        for other, needed in self._services[name].get("depends_on", {}).items():
            self._start_after_others(other)
            self._await(other, needed["condition"])
        if name not in self._processes and not (name == "postgres" and self._postgres):
            self.start(name)

    def start(self, name: str) -> None:
        """Start a service, or start it again."""
        if name == "postgres":
            self._start_postgres()
            return
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self.command(name), cwd=PROJECT, env=self.environment(name), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _start_postgres(self) -> None:
        if self._postgres is None:
            its = environment_of(self._services["postgres"], self.env_file)
            self._postgres = Postgres(
                Path(tempfile.mkdtemp(prefix="postgres-")), its["POSTGRES_USER"], its["POSTGRES_DB"],
                its["POSTGRES_PASSWORD"],
            )  # fmt: skip
            self.ports["5432"] = str(self._postgres.port)
        self._postgres.start()

    def _await(self, name: str, condition: str) -> None:
        if name == "postgres":
            return  # has answered when it was started
        if condition == "service_completed_successfully":
            self.wait(name)
        elif not self._services[name]["healthcheck"].get("disable"):
            LOG.info("waiting for %s", name)
            eventually(lambda: self.is_healthy(name), HEALTHY_WITHIN_S)

    def wait(self, name: str) -> None:
        """Return when a service has ended by itself, and well."""
        assert self._processes[name].wait(HEALTHY_WITHIN_S) == 0, self.log(name)

    def is_healthy(self, name: str) -> bool:
        """Return what the service's health check finds."""
        assert self._processes[name].poll() is None, self.log(name)
        return self.run(name, *self._services[name]["healthcheck"]["test"][1:]).returncode == 0

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command with a service's environment, as `docker compose run` does."""
        return subprocess.run(
            command, cwd=PROJECT, env=self.environment(name), capture_output=True, text=True, check=False, timeout=120
        )

    def command(self, name: str) -> list[str]:
        """Return a service's command as it is started here."""
        return [self._local(interpolate(word, self.env_file)) for word in self._services[name]["command"]]

    def environment(self, name: str) -> dict[str, str]:
        """Return a service's whole environment: nothing is inherited."""
        ours = environment_of(self._services[name], self.env_file)
        local = {variable: self._local(value) for variable, value in ours.items()}
        # `python` and `prefect` are those of this project here as they are in the image.
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return local | {"PATH": programs, "PYTHONPATH": python_path(PROJECT)}

    def _local(self, text: str) -> str:
        if text in self.ports:
            return self.ports[text]
        text = re.sub(r"^http://(server|127\.0\.0\.1):4200\b", f"http://127.0.0.1:{self.ports['4200']}", text)
        text = re.sub(r"^(postgres|0\.0\.0\.0)$", "127.0.0.1", text)
        text = re.sub(r"^/app$", str(PROJECT), text)
        return re.sub(r"^/(var|tmp|home)/", rf"{self.folder}/\1/", text)

    def kill(self, name: str) -> None:
        """End a service with all of its processes at once, as when its container is killed or runs out of memory."""
        if name == "postgres":
            assert self._postgres is not None
            self._postgres.kill()
        else:
            kill_tree(self._processes[name])

    def stop(self, name: str) -> tuple[int, float]:
        """End a service as `docker compose stop` does, and return its exit code and how many seconds it took."""
        grace_s = float(self._services[name]["stop_grace_period"].removesuffix("s"))
        began = time.monotonic()
        self._processes[name].terminate()
        return self._processes[name].wait(grace_s), time.monotonic() - began

    def log(self, name: str) -> str:
        """Return what a service has written to stdout and stderr."""
        return (self.folder / f"{name}.log").read_text()

    def down(self) -> None:
        """End all services, the last one first, whatever state they are in."""
        for name in reversed(self._processes):
            kill_tree(self._processes[name])
        if self._postgres is not None:
            self._postgres.kill()
            shutil.rmtree(self._postgres.folder)
