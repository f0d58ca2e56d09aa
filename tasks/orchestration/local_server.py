"""A Prefect server for the demo, in one process that ends with whoever started it: `… local_server`.

It prints its port. The process ends as soon as its stdin does, so that it outlives its parent in no case, not even
after kill -9. What it knows goes to PREFECT_HOME.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENDS_WITHIN_S = 10.0


@contextmanager
def local_server(environment: Mapping[str, str]) -> Iterator[str]:
    """Give the API's URL of a server that runs during the block; its first answer takes some seconds.

    Args:
        environment: of the server's process; its PREFECT_HOME is a folder of this server alone.
    """
    # In a session of its own: Ctrl-C is for the flow, which tells the server how it ended.
    with subprocess.Popen(  # noqa: S603 - this module
        [sys.executable, "-W", "ignore", "-m", __name__], env=dict(environment), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, encoding="utf-8", start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None  # noqa: S101 - as asked for
        assert process.stdout is not None  # noqa: S101
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/api"
        finally:
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDS_WITHIN_S)
            process.kill()


def _serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    Thread(target=_end_with_stdin, daemon=True).start()

    import uvicorn  # noqa: PLC0415 - the port is told before these seconds
    from prefect.server.api.server import create_app  # noqa: PLC0415

    app = create_app(ephemeral=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on")).run([listener])


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    _serve()
