"""The Prefect server of a command: whether one is configured, whether it answers, and what it is still to be sent."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from prefect.client.base import ServerType
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.events.worker import EventsWorker
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.settings import (
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)
from pydantic_settings import BaseSettings

from tasks.environment import of_certificates
from tasks.errors import ArchiverError, ConnectionInsecure, PrefectRefused, PrefectUnavailable, SettingsInvalid
from tasks.orchestration.certificates import share_certificates
from tasks.prefect_settings import CLIENT_RETRIES
from tasks.process_tuning import settle
from tasks.settings import load_settings
from tasks.tls import explain_distrust

if TYPE_CHECKING:
    from collections.abc import Iterator

S = TypeVar("S", bound=BaseSettings)

REFUSALS = frozenset({401, 403})
FLUSH_TIMEOUT_S = 5.0


def is_configured() -> bool:
    """Return whether Prefect's settings name a server, or Cloud."""
    return bool(PREFECT_API_URL.value())


@contextmanager
def prefect_at_hand() -> Iterator[None]:
    """Run flows of this process with the server that is configured, once it has answered.

    On leaving, what is still to be sent to it is sent: a process that ends at once may lose the last event.

    Raises:
        PrefectRefused: the server does not take our credentials.
        PrefectUnavailable: it does not answer.
    """
    settle()  # before there are threads, which get heaps of their own
    share_certificates()
    settings = _client_settings()
    with temporary_settings(settings) if settings else nullcontext():
        _reach_server()
        try:
            yield
        finally:
            EventsWorker.drain_all(timeout=FLUSH_TIMEOUT_S)


def _client_settings() -> dict[Any, Any]:
    """Return the settings of the client that suit a person who waits, unless others were chosen."""
    chosen = "max_retries" in get_current_settings().client.model_fields_set
    return {} if chosen else {PREFECT_CLIENT_MAX_RETRIES: CLIENT_RETRIES}


def settings_of(kind: type[S]) -> S:
    """Return settings as `load_settings` does, once Prefect's own are usable, too.

    Raises:
        SettingsInvalid: something is missing or malformed; names every problem of both, and no values.
    """
    problems: tuple[str, ...] = ()
    try:
        settings = load_settings(kind)
    except SettingsInvalid as invalid:
        problems = invalid.problems
    if PREFECT_API_URL.value() and not server_host():
        problems += ("PREFECT_API_URL: must be an http(s) URL, such as http://127.0.0.1:4200/api",)
    certificates = PREFECT_API_SSL_CERT_FILE.value() or ""
    if certificates not in {"", os.environ.get("SSL_CERT_FILE")} and (wrong := of_certificates(certificates)):
        problems += (f"PREFECT_API_SSL_CERT_FILE: {wrong}",)
    if problems:
        raise SettingsInvalid(problems)
    return settings


def read_block(kind: str, name: str) -> dict[str, Any] | None:
    """Return what a block holds, secrets as they are; None if there is none of that name.

    Args:
        kind: the block's type, as its address has it, such as `secret`.
        name: the block's.

    Raises:
        PrefectUnavailable: the server does not answer.
        PrefectRefused: it does not take our credentials.
    """
    failure: ArchiverError
    # A run waits for a server that restarts; a person who waits for a command gets an answer soon.
    patience = {} if FlowRunContext.get() else _client_settings()
    try:
        with temporary_settings(patience), get_client(sync_client=True) as client:
            return client.read_block_document_by_name(name, kind).data
    except ObjectNotFound:
        return None
    except (httpx.HTTPError, httpx.InvalidURL, RuntimeError, PrefectException, ValueError, TypeError) as error:
        failure = _failure(error)
    raise failure


def server_host() -> str:
    """Return the host and port of the server that is configured; empty if its URL is none."""
    try:
        url = httpx.URL(str(PREFECT_API_URL.value() or ""))
    except (httpx.InvalidURL, ValueError):
        return ""
    return url.netloc.decode() if url.scheme in {"http", "https"} and url.host and (url.port or 1) <= 65_535 else ""


def _reach_server() -> None:
    failure: ArchiverError
    try:
        with get_client(sync_client=True) as client:
            if client.server_type == ServerType.CLOUD:
                client.read_work_pools(limit=1)  # its version says nothing
            client.raise_for_api_version_mismatch()
    except (httpx.HTTPError, RuntimeError, PrefectException, ValueError, TypeError) as error:
        failure = _failure(error)
    else:
        return
    raise failure


def _failure(error: Exception) -> ArchiverError:
    """Return our error for what a server, or somebody in its place, answered to the first question."""
    cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
    if isinstance(cause, httpx.HTTPStatusError):
        status = cause.response.status_code
        if status in REFUSALS:
            return PrefectRefused(server_host(), status)
        return PrefectUnavailable(server_host(), f"HTTP {status}")
    if isinstance(cause, ValueError | TypeError):  # no JSON, or no version
        return PrefectUnavailable(server_host(), "something else does; the URL of a server of your own ends with /api")
    if reason := explain_distrust(cause):
        return ConnectionInsecure(server_host(), reason)
    return PrefectUnavailable(server_host(), type(cause).__name__)
