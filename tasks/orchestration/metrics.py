"""Serves the figures to Prometheus: `GET /metrics`, at a port of its own, as nobody signs what Prometheus asks for.

In a thread of its own, with a client of Prefect's of its own: a webhook never waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from threading import Thread
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from tasks.figures.exposition import encode
from tasks.orchestration.event_figures import EventFigures
from tasks.orchestration.run_history import AWAY
from tasks.text import ThrottledLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import Request
    from prefect.client.orchestration import PrefectClient

    from tasks.figures.exposition import Metrics

PATH = "/metrics"
CACHED_S = 15.0
"""However often it is asked for, Prefect's server is asked no more often."""
ANSWERED_WITHIN_S = 8.0
"""Prometheus waits for ten seconds by default."""
REQUESTS_AT_ONCE = 20
STOPPED_WITHIN_S = 2

log = logging.getLogger("realtimekit-archiver.metrics")


class MetricsEndpoint:
    """Answers Prometheus.

    Args:
        prefect: the client of Prefect's server.
    """

    def __init__(self, prefect: PrefectClient) -> None:
        self._figures = EventFigures(prefect)
        self._reading = asyncio.Lock()
        self._read_at = -CACHED_S
        self._metrics: Metrics = ()
        self._troubles = ThrottledLog(log, logging.WARNING)

    async def answer(self, request: Request) -> Response:
        """Answer one request, in bounded time."""
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S), self._reading:
                if time.monotonic() - self._read_at >= CACHED_S:
                    self._metrics = await self._figures.metrics(datetime.now(UTC))
                    self._read_at = time.monotonic()
                metrics = self._metrics
        except (TimeoutError, ValueError, *AWAY) as error:
            reason = f"Prefect's server does not tell its events, which the figures are in: {type(error).__name__}"
            self._troubles.note(reason)
            return PlainTextResponse(f"{reason}\n", 503)
        text, content_type = encode(metrics, request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})


def new_metrics_app() -> FastAPI:
    """Return the ASGI app; it talks with Prefect's server as Prefect's own settings say."""

    @asynccontextmanager
    async def serving(app: FastAPI) -> AsyncIterator[None]:
        async with get_client() as prefect:
            app.add_route(PATH, MetricsEndpoint(prefect).answer, methods=["GET"])
            yield

    return FastAPI(title="RealtimeKit archiver", lifespan=serving, openapi_url=None)


@contextmanager
def serving_metrics(host: str, port: int) -> Iterator[None]:
    """Serve the figures while the block runs; a port that is taken is told, and holds up nothing else.

    Args:
        host: the address to listen at.
        port: 0 to serve none.
    """
    listener = _listen(host, port) if port else None
    if listener is None:
        yield
        return
    config = uvicorn.Config(
        new_metrics_app(), lifespan="on", ws="none", log_config=None, access_log=False, server_header=False,
        limit_concurrency=REQUESTS_AT_ONCE,
    )  # fmt: skip
    server = uvicorn.Server(config)
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):  # Prometheus asks again
        run = copy_context().run  # Prefect knows its settings by context variables
    thread = Thread(target=run, args=(server.run, [listener]), name="metrics", daemon=True)
    thread.start()
    log.info("Figures for Prometheus: port %d, %s", port, PATH)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(STOPPED_WITHIN_S)  # a request that still waits for Prefect's server ends with the process


def _listen(host: str, port: int) -> socket.socket | None:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        log.error("No figures for Prometheus: %s, port %d: %s", host, port, error.strerror or error)  # noqa: TRY400
        return None
