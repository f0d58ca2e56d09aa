"""Serves the library: who may reach it, and how it begins and ends."""

from __future__ import annotations

import ipaddress
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any

import uvicorn

from tasks.cli import DONE, FAILED, WRONG_USAGE, say
from tasks.library.application import new_app
from tasks.text import quiet_http_logs, redact_logs, register_secrets

if TYPE_CHECKING:
    from tasks.library.request_filter import RequestFilter
    from tasks.library.settings import LibrarySettings

REQUESTS_AT_ONCE = 100
STOPPED_WITHIN_S = 5
"""Seconds for what is being sent when the page is told to stop."""


def serve(settings: LibrarySettings, host: str, port: int) -> int:
    """Serve the library until told to stop, and return the process's exit code.

    Args:
        settings: as loaded.
        host: the address to listen at.
        port: 0 for any that is free.

    Raises:
        StoreRefused: there are no credentials for the store.
    """
    register_secrets([settings.library_password.get_secret_value()])
    if not settings.asks_who and not is_loopback(host):
        say(
            f"--host {host} would show all recordings to anybody who reaches this machine: set LIBRARY_PASSWORD (at "
            "least 12 characters), or LIBRARY_TRUSTED_PROXY, and start it again."
        )
        return WRONG_USAGE
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    quiet_http_logs()
    logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells of each presigned URL, in its finer levels
    redact_logs()
    server = new_server(new_app(settings, host), host, port)
    # Once all is answered, uvicorn raises again the signal that stopped it; that is a good end.
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, lambda *_: sys.exit(DONE))
    server.run()
    return DONE if server.started else FAILED


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from its own machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def new_server(app: RequestFilter, host: str, port: int) -> uvicorn.Server:
    """Return the server of an application; it believes no header about where a request comes from."""
    asgi: Any = app
    config = uvicorn.Config(
        asgi, host=host, port=port, lifespan="on", ws="none", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, limit_concurrency=REQUESTS_AT_ONCE, timeout_graceful_shutdown=STOPPED_WITHIN_S,
    )  # fmt: skip
    return uvicorn.Server(config)
