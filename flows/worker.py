"""A worker that ends well: told to end, it takes no further run, ends its runs, and then itself.

uv run python -m flows.worker [--pool NAME] [--limit N] [--name NAME] [--health-port PORT]
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Annotated

from pydantic import Field

from tasks.arguments import Metavar, parse_for
from tasks.cli import say
from tasks.prefect_settings import WORK_POOL
from tasks.worker_drain import run_worker


def work(
    *,
    pool: Annotated[str, Metavar("NAME")] = WORK_POOL,
    limit: Annotated[int, Field(ge=1, le=1000), Metavar("N")] = 4,
    name: Annotated[str, Metavar("NAME")] = "",
    health_port: Annotated[int, Field(ge=0, le=65_535), Metavar("PORT")] = 0,
) -> int:
    """Run a worker of Prefect's until told to end, by SIGTERM or Ctrl-C; then end its runs first.

    Args:
        pool: The work pool that the worker takes runs from.
        limit: At most so many runs at the same time.
        name: Name on Prefect's pages. Without one, the machine's.
        health_port: Port of this machine at which GET /health answers 200 while the worker looks for runs. 0 for none.
    """
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--limit", str(limit)]
    command += ["--name", name or socket.gethostname()]
    environment = dict(os.environ)
    if health_port:
        command.append("--with-healthcheck")
        environment["PREFECT_WORKER_WEBSERVER_PORT"] = str(health_port)
        environment.setdefault("PREFECT_WORKER_WEBSERVER_HOST", "127.0.0.1")
    return run_worker(command, environment, say)


def main(arguments: list[str] | None = None) -> int:
    """Work until told to end.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return work(**parse_for(work, "python -m flows.worker", arguments))


if __name__ == "__main__":
    sys.exit(main())
