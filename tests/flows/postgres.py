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

from tests.flows.duty import free_port
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


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server over a folder that goes with it, and give the URL of its database for Prefect."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        bin_folder, port, data = programs(), free_port(), Path(folder) / "data"
        # It refuses to be run by root.
        as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.geteuid() == 0 else []
        if as_user:
            shutil.chown(folder, USER, USER)
        init = [*as_user, f"{bin_folder}/initdb", "-D", str(data), "-U", USER, "--auth=trust", "--no-sync"]
        subprocess.run(init, check=True, capture_output=True, cwd=folder)
        settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}",
                    f"max_connections={CONNECTIONS}"]  # fmt: skip
        flags = [word for setting in settings for word in ("-c", setting)]
        ready = [f"{bin_folder}/pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q"]
        with subprocess.Popen(
            [*as_user, f"{bin_folder}/postgres", "-D", str(data), *flags],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                eventually(lambda: subprocess.run(ready, check=False).returncode == 0)
                yield f"postgresql+asyncpg://{USER}@127.0.0.1:{port}/postgres"
            finally:
                process.terminate()
