"""Knows how a flow's module on a terminal comes by a Prefect server that answers, and leaves it informed."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    get_current_settings,
    temporary_settings,
)

from tasks.errors import PrefectUnavailable
from tasks.heap import settle

if TYPE_CHECKING:
    from collections.abc import Iterator

FLUSH_TIMEOUT_S = 5.0
CLIENT_RETRIES = 3
"""After 2, 4 and 8 s. Prefect's own five take a minute, and it asks twice; the archive needs none of it."""
SERVER_START_TIMEOUT_S = 120
"""For the temporary server, which takes 10 s on a fast machine; Prefect's own patience is 20 s."""


@contextmanager
def prefect_at_hand() -> Iterator[None]:
    """Run flows of this process with a server that answers, a temporary one if none is configured.

    On leaving, what is still to be sent to it is sent: a process that ends at once may lose the last event.

    Raises:
        PrefectUnavailable: the server that is configured does not answer, or none could be started.
    """
    settle()  # before there are threads, which get heaps of their own
    with temporary_settings(_patience()):
        _reach_server()
        try:
            yield
        finally:
            EventsWorker.drain_all(timeout=FLUSH_TIMEOUT_S)


def _patience() -> dict[Any, Any]:
    """Return the settings that suit a person who waits, unless they chose otherwise."""
    current = get_current_settings()
    wanted: list[tuple[Any, str, Any, int | None]] = [
        (current.client, "max_retries", PREFECT_CLIENT_MAX_RETRIES, CLIENT_RETRIES),
        (current.server.ephemeral, "startup_timeout_seconds", PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
         SERVER_START_TIMEOUT_S),
    ]  # fmt: skip
    if not PREFECT_API_URL.value():
        # A run waits up to a second for their thread to end, and a temporary server ends before it misses any.
        wanted.append((current.flows, "heartbeat_frequency", PREFECT_FLOWS_HEARTBEAT_FREQUENCY, None))
    return {setting: value for group, name, setting, value in wanted if name not in group.model_fields_set}


def _reach_server() -> None:
    configured = PREFECT_API_URL.value()
    try:
        with _interrupts_held_back():
            client = get_client(sync_client=True)  # starts the temporary server
        with client:
            client.raise_for_api_version_mismatch()
    except (httpx.HTTPError, RuntimeError) as error:
        server = httpx.URL(configured or "")
        raise PrefectUnavailable(server.netloc.decode(), type(error.__cause__ or error).__name__) from error


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Keep Ctrl-C from this process for a moment, and for good from the processes that it starts meanwhile.

    The terminal sends it to them as well, and a temporary server that ends first cannot be told how the run ended.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
