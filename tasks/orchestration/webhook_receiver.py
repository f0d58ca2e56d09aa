"""Receives RealtimeKit's webhook: what is signed becomes a run of archive-recording/on-demand, or of archive-session.

The answer decides what RealtimeKit does: 2xx once Prefect has the run, or if none is needed; 5xx to have the webhook
sent again, as long as anything of ours is away; 4xx, which is never sent again, for what never was RealtimeKit's.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings

from tasks.app_ids import same_app
from tasks.cli import DONE, FAILED
from tasks.errors import KeyUnavailable, SettingsInvalid, WebhookMalformed
from tasks.orchestration.metrics import serving_metrics
from tasks.orchestration.run_history import AWAY, DEPLOYMENT, SESSION_DEPLOYMENT
from tasks.orchestration.server import settings_of
from tasks.orchestration.webhook_runs import WebhookRuns, wanted_run
from tasks.realtimekit.webhook_event import parse_event
from tasks.realtimekit.webhook_signature import PublishedKey
from tasks.settings import WebhookSettings
from tasks.text import ThrottledLog, quiet_http_logs, redact_logs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from fastapi import Request

    from tasks.realtimekit.webhook_event import WebhookEvent

PATH = "/webhook"
LARGEST_BODY = 4 * 1024 * 1024
"""Bytes: what RealtimeKit sends has a few thousand, and of a track recording 750 more for each file."""
USUAL_BODY = 128 * 1024
LARGE_AT_ONCE = 8
"""Bodies larger than usual that are in memory at once, as anybody can send some; others are to be sent again."""
ANSWERED_WITHIN_S = 25.0
"""For everything. RealtimeKit does not tell how long it waits; where it gives up first, what it sends again finds the
run that was created meanwhile."""
READY_WITHIN_S = 5.0
STOPPED_WITHIN_S = 30
REQUESTS_AT_ONCE = 1000
RETRY_AFTER = {"Retry-After": "10"}

log = logging.getLogger("realtimekit-archiver.webhook")


class Receiver:
    """Answers webhooks.

    Args:
        app_ids: the apps whose recordings and sessions are archived; that of the settings is the first.
        key: what they have to be signed with.
        prefect: its server.
    """

    def __init__(self, app_ids: Sequence[str], key: PublishedKey, prefect: PrefectClient) -> None:
        self._app_ids = app_ids
        self._key = key
        self._prefect = prefect
        self._runs = WebhookRuns(prefect)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._refusals = ThrottledLog(log, logging.WARNING)
        self._postponed = ThrottledLog(log, logging.ERROR)

    async def receive(self, request: Request) -> JSONResponse:
        """Answer one webhook, in bounded time."""
        body = None
        try:
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                async with AsyncExitStack() as places:  # held until it is answered
                    body = await self._read(request, places)
                    if body is None:
                        return self._refuse(413, "it is too large")
                    return await self._answer(body, request)
        except _NoRoom:
            return self._postpone("too many large ones at once")
        except TimeoutError:
            if body is None:  # nobody can tell whose it is: it may be RealtimeKit's
                return self._refuse(503, "its body does not arrive")
            return self._postpone(f"it takes more than {ANSWERED_WITHIN_S:.0f} s")

    async def ready(self, _: Request) -> JSONResponse:
        """Tell whether a webhook would start a run now: Prefect's server answers and has the deployments."""
        name = DEPLOYMENT
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                for name in (DEPLOYMENT, SESSION_DEPLOYMENT):
                    await self._prefect.read_deployment_by_name(name)
        except ObjectNotFound:
            return _again(f"no deployment {name}")
        except (TimeoutError, *AWAY) as error:
            return _again(f"Prefect's server does not answer: {_named(error)}")
        return JSONResponse({"status": "ready"})

    async def _read(self, request: Request, places: AsyncExitStack) -> bytes | None:
        """Return the body, or None if it is too large: then the rest of it has not been read.

        Raises:
            _NoRoom: it is larger than usual, and so are all that are in memory.
        """
        declared = request.headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and (len(declared) > 9 or int(declared) > LARGEST_BODY):
            return None
        body = bytearray()
        more, is_large = True, False
        while more:
            # Not `request.stream`, whose exception for a client that went away would end in the log with a traceback.
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise TimeoutError
            body += message.get("body", b"")
            if len(body) > LARGEST_BODY:
                return None
            if len(body) > USUAL_BODY and not is_large:
                if self._large.locked():
                    raise _NoRoom
                await places.enter_async_context(self._large)
                is_large = True
            more = message.get("more_body", False)
        return bytes(body)

    async def _answer(self, body: bytes, request: Request) -> JSONResponse:
        try:
            if not await self._key.has_signed(body, request.headers.get("rtk-signature")):
                return self._refuse(403, "the signature is missing or wrong")
            announced = parse_event(body)
        except KeyUnavailable as unavailable:
            return self._postpone("the signature cannot be verified now", str(unavailable))
        except WebhookMalformed as malformed:
            log.error("%s", malformed)  # noqa: TRY400 - it says all
            return JSONResponse({"status": "refused", "reason": malformed.finding}, 400)
        app_id = self._app_of(announced, request.path_params.get("app_id", ""))
        if reason := self._needs_nothing(announced, app_id):
            return JSONResponse({"status": "ignored", "reason": reason})
        return await self._start(announced, body, "" if app_id == self._app_ids[0] else app_id)

    def _app_of(self, announced: WebhookEvent, in_url: str) -> str:
        """Return the app that an event is about, as it is written here; empty if it is none of those that are archived.

        A name in the body is signed. The URL is where the app's webhook is registered; nobody has signed it, but a
        wrong one leads to a run that finds no such recording, and no further. An organization is a hint.
        """
        named = announced.app_id or in_url or self._known(announced.organization_id)
        return self._known(named) if named else self._app_ids[0]

    def _known(self, app_id: str) -> str:
        return next((known for known in self._app_ids if same_app(known, app_id)), "")

    def _needs_nothing(self, announced: WebhookEvent, app_id: str) -> str:
        """Return why an announcement starts no run; empty if it does."""
        if not app_id:
            log.warning("Ignored: it is of another app, %s", announced.app_id or "as its URL says")
            return "another app"
        if announced.is_of_unknown_status:
            log.warning("Ignored: recording %s has the unknown status %s", announced.recording_id, announced.status)
        return "" if announced.is_to_archive else announced.status or announced.event or "no event"

    async def _start(self, announced: WebhookEvent, body: bytes, app_id: str) -> JSONResponse:
        wanted = wanted_run(announced, body, app_id)
        try:
            run = await self._runs.start(wanted)
        except ObjectNotFound:
            return self._postpone(f"no deployment {wanted.deployment}", "`prefect --no-prompt deploy --all` makes it.")
        except AWAY as error:
            return self._postpone("Prefect's server does not take it", _named(error))
        if announced.session_id:
            log.info("Session %s, %s: run %s", announced.session_id, announced.event, run.id)
        else:
            log.info("Recording %s is %s: run %s", announced.recording_id, announced.status, run.id)
        ids = {name: value for name, value in wanted.parameters.items() if name.endswith("_id")}
        return JSONResponse({"status": "accepted", **ids, "flow_run_id": str(run.id)}, 202)

    def _postpone(self, reason: str, more: str = "") -> JSONResponse:
        self._postponed.note(f"Not accepted, to be sent again: {reason}. {more}".rstrip())
        return _again(reason)

    def _refuse(self, status: int, reason: str) -> JSONResponse:
        self._refusals.note(f"Refused: {reason}")
        # What is still to come of its body is not read.
        headers = {"Connection": "close"} if status != 403 else {}
        return JSONResponse({"status": "refused", "reason": reason}, status, headers)


class _NoRoom(Exception):
    """As many large bodies as are allowed are in memory."""


def _again(reason: str) -> JSONResponse:
    return JSONResponse({"status": "unavailable", "reason": reason}, 503, RETRY_AFTER)


def _named(error: BaseException) -> str:
    """Return what kind of error it is: its text may quote a URL."""
    status = f" {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else ""
    return f"{type(error).__name__}{status}"


async def _healthy(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def new_app(settings: WebhookSettings, app_ids: Sequence[str] = ()) -> FastAPI:
    """Return the ASGI app; it talks with Prefect's server as Prefect's own settings say.

    Args:
        settings: as loaded.
        app_ids: apps that are served besides that of the settings.
    """
    own = settings.realtimekit_app_id
    served = [own, *(app_id for app_id in app_ids if not same_app(app_id, own))]
    quiet_http_logs()

    @asynccontextmanager
    async def serving(app: FastAPI) -> AsyncIterator[None]:
        async with get_client() as prefect, httpx.AsyncClient() as http:
            key = PublishedKey(http, settings.realtimekit_webhook_key_url)
            receiver = Receiver(served, key, prefect)
            for path in (PATH, f"{PATH}/{{app_id}}"):
                app.add_route(path, receiver.receive, methods=["POST"])
            app.add_route("/ready", receiver.ready, methods=["GET"])
            fetching = asyncio.create_task(key.fetch_ahead())
            yield
            fetching.cancel()

    app = FastAPI(title="RealtimeKit webhook", lifespan=serving, openapi_url=None)
    app.add_route("/health", _healthy, methods=["GET"])
    return app


def serve(
    host: str, port: int, metrics_host: str = "127.0.0.1", metrics_port: int = 0, app_ids: Sequence[str] = ()
) -> int:
    """Serve until told to stop, and return the process's exit code.

    Args:
        host: the address to listen at.
        port: 0 for any that is free.
        metrics_host: the address to offer the figures at.
        metrics_port: 0 to offer none.
        app_ids: apps that are served besides that of the settings.

    Raises:
        SettingsInvalid: something is missing or malformed.
    """
    settings = _settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    redact_logs()
    with temporary_settings(_impatience()), serving_metrics(metrics_host, metrics_port):
        return _serve(new_app(settings, app_ids), host, port)


def _settings() -> WebhookSettings:
    problems: tuple[str, ...] = ()
    try:
        settings = settings_of(WebhookSettings)
    except SettingsInvalid as invalid:
        problems = invalid.problems
    if not PREFECT_API_URL.value():
        problems += ("PREFECT_API_URL: is missing; runs need a server that workers look at",)
    if problems:
        raise SettingsInvalid(problems)
    return settings


def _impatience() -> dict[Any, Any]:
    """Return that Prefect's client does not wait for a server that is away, unless somebody chose that."""
    chosen = "max_retries" in get_current_settings().client.model_fields_set
    return {} if chosen else {PREFECT_CLIENT_MAX_RETRIES: 0}


def _serve(app: FastAPI, host: str, port: int) -> int:
    config = uvicorn.Config(
        app, host=host, port=port, lifespan="on", ws="none", log_config=None, access_log=False, server_header=False,
        limit_concurrency=REQUESTS_AT_ONCE, timeout_graceful_shutdown=STOPPED_WITHIN_S,
    )  # fmt: skip
    server = uvicorn.Server(config)
    # Once all is answered, uvicorn raises again the signal that stopped it; that is a good end.
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, lambda *_: sys.exit(DONE))
    server.run()
    return DONE if server.started else FAILED
