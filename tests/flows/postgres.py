"""A PostgreSQL of our own for Prefect's server, as on duty; it needs Debian's `postgresql`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.flows.duty import free_port, kill_tree
from tests.flows.world import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "postgres"
CONNECTIONS = 200


def programs() -> Path:
    """Return the folder of the newest PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found or shutil.which("setpriv") is None:
        pytest.skip("there is no PostgreSQL")
    return found[-1].parent


class Postgres:
    """A server over a folder of its own, which may be killed and started again.

    Args:
        folder: for its data; belongs to the user of the server then.
        user: who connects.
        database: with which.
        password: asked for, unless empty.
    """

    def __init__(self, folder: Path, user: str = USER, database: str = "postgres", password: str = "") -> None:
        self._bin, self.folder, self.port = programs(), folder, free_port()
        # It refuses to be run by root.
        self._as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
        self._user, self._database = user, database
        self._clients = os.environ | {"PGPASSWORD": password}
        if self._as_user:
            shutil.chown(folder, USER, USER)
        self._process: subprocess.Popen[bytes] | None = None
        secret = folder / "password"
        secret.write_text(password or "none")
        auth = ["--auth=scram-sha-256", f"--pwfile={secret}"] if password else ["--auth=trust"]
        init = [*self._as_user, f"{self._bin}/initdb", "-D", f"{folder}/data", "-U", user, *auth, "--no-sync"]
        subprocess.run(init, check=True, capture_output=True, cwd=folder)

    @property
    def url(self) -> str:
        """The URL of the database for Prefect, without a password."""
        return f"postgresql+asyncpg://{self._user}@127.0.0.1:{self.port}/{self._database}"

    def start(self) -> None:
        """Start it, or start it again, and return when it answers and has the database."""
        settings = [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}",
                    f"max_connections={CONNECTIONS}"]  # fmt: skip
        flags = [word for setting in settings for word in ("-c", setting)]
        self._process = subprocess.Popen(
            [*self._as_user, f"{self._bin}/postgres", "-D", f"{self.folder}/data", *flags],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        eventually(lambda: self._client("pg_isready", "-q").returncode == 0)
        self._client("createdb", "-U", self._user, self._database)  # fails where it is there

    def _client(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [f"{self._bin}/{program}", "-h", "127.0.0.1", "-p", str(self.port), *arguments]
        return subprocess.run(command, check=False, capture_output=True, env=self._clients)

    def kill(self) -> None:
        """End all of its processes at once, as when its machine loses power."""
        if self._process is not None:
            kill_tree(self._process)

    def stop(self) -> None:
        """Let it end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server over a folder that goes with it, and give the URL of its database for Prefect."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        server = Postgres(Path(folder))
        try:
            server.start()
            yield server.url
        finally:
            server.kill()
