"""Runs that a webhook starts: one for each webhook, however often it is sent; of a session, one for several of them.

The events of a session come minutes apart, and each of its runs looks for all that is there. So a session's run begins
a little later, and what comes before it has begun is left to it.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterTags,
)
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled

from tasks.orchestration.run_history import DEPLOYMENT, SESSION_DEPLOYMENT, WEBHOOK
from tasks.realtimekit.webhook_event import MEETING_ENDED
from tasks.retry import backoff

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from tasks.realtimekit.webhook_event import WebhookEvent

OVERLOADED = frozenset({429, 503})
"""Also what Prefect's server answers for a moment while its SQLite is locked."""
ASKED_AT_ONCE = 8
"""Requests to Prefect's server: it does more of them one after the other than all at once."""
AFTER_THE_END = timedelta(minutes=5)
"""From `meeting.ended` to the run: until then the API may still call the session LIVE, and the chat comes."""
AFTER_A_DOCUMENT = timedelta(minutes=1)
"""From the event of a document to the run: others of the session often come together with it."""
LATEST = 20
"""Runs of a session that are looked at: there is one of each app that it was announced for."""
NOT_BEGUN = ["Scheduled", "Late"]
"""States of a run that has looked at nothing yet; one that is to be retried has."""


@dataclass(frozen=True)
class WantedRun:
    """The run that an event asks for."""

    deployment: str
    name: str
    parameters: dict[str, str | bool]
    key: str  # Prefect answers a key that it knows with the old run, for ever
    later: timedelta = timedelta(0)
    joins: bool = False  # whether a run of the same name and app that has not begun takes its place


def wanted_run(announced: WebhookEvent, body: bytes, app_id: str = "") -> WantedRun:
    """Return the run that an event asks for.

    What is part of its key is all that is signed, and nothing else: with a key of `rtk-uuid`, a header that nobody has
    signed, or of the time, whoever has seen one body, be it about a recording of his own, could start runs without end.
    A repeat that differs is a run more; no harm done.

    Args:
        announced: what the body says.
        body: the webhook's, as it was signed.
        app_id: of the app that it is about; empty for that of the settings. Part of the key: it may stand in the URL
            alone, which nobody has signed, and a run for a wrong app must not take the place of the right one.
    """
    digest = ":".join([*([app_id] if app_id else []), hashlib.sha256(body).hexdigest()])
    of_app: dict[str, str | bool] = {"app_id": app_id} if app_id else {}
    if not (session_id := announced.session_id):
        recording_id = announced.recording_id
        key = f"{WEBHOOK}:{recording_id}:{digest}"
        return WantedRun(DEPLOYMENT, f"archive {recording_id}", {"recording_id": recording_id, **of_app}, key)
    return WantedRun(
        SESSION_DEPLOYMENT,
        f"archive session {session_id}",
        {"session_id": session_id, "recorded_only": True, **of_app},
        f"{WEBHOOK}:session:{session_id}:{digest}",
        AFTER_THE_END if announced.event == MEETING_ENDED else AFTER_A_DOCUMENT,
        joins=True,
    )


class WebhookRuns:
    """Starts runs of deployments, whose ids are looked up once: `arun_deployment` would do so for each run.

    Args:
        prefect: client of its server.
    """

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect
        self._deployment_ids: dict[str, UUID] = {}
        self._turns = asyncio.Semaphore(ASKED_AT_ONCE)

    async def start(self, wanted: WantedRun) -> FlowRun:
        """Have Prefect create a run, or find it; a server that is overloaded is asked again.

        Raises:
            prefect.exceptions.ObjectNotFound: the deployment is not there.
            prefect.exceptions.PrefectException, httpx.HTTPError: the server does not take it.
        """
        attempt = 0
        while True:
            try:
                async with self._turns:
                    return await self._find_or_create(wanted)
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in OVERLOADED:
                    raise
            attempt += 1
            await asyncio.sleep(backoff(attempt))

    async def _find_or_create(self, wanted: WantedRun) -> FlowRun:
        known = self._deployment_ids.get(wanted.deployment)
        deployment_id = known or await self._look_up(wanted.deployment)
        if wanted.joins and (waiting := await self._waiting(wanted, deployment_id)):
            return waiting
        try:
            return await self._prefect.create_flow_run_from_deployment(
                deployment_id,
                parameters=wanted.parameters,
                state=Scheduled(scheduled_time=datetime.now(UTC) + wanted.later) if wanted.later else None,
                name=wanted.name,
                tags=[WEBHOOK],
                idempotency_key=wanted.key,
            )
        except (ObjectNotFound, httpx.HTTPStatusError) as error:
            if isinstance(error, httpx.HTTPStatusError) and error.response.status_code != httpx.codes.NOT_FOUND:
                raise
            self._deployment_ids.pop(wanted.deployment, None)
            if not known:
                raise
        return await self._find_or_create(wanted)  # it was deleted, and there may be a new one of that name

    async def _waiting(self, wanted: WantedRun, deployment_id: UUID) -> FlowRun | None:
        """Return a run of a webhook's that will do the same, as it has not begun; None if there is none.

        Whatever an event announces is there before the event comes, so that such a run will see it.
        """
        runs = await self._prefect.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
            flow_run_filter=FlowRunFilter(
                name=FlowRunFilterName(any_=[wanted.name]),
                tags=FlowRunFilterTags(all_=[WEBHOOK]),
                state=FlowRunFilterState(name=FlowRunFilterStateName(any_=NOT_BEGUN)),
            ),
            limit=LATEST,
        )
        app_id = wanted.parameters.get("app_id", "")
        return next((run for run in runs if run.parameters.get("app_id", "") == app_id), None)

    async def _look_up(self, deployment: str) -> UUID:
        self._deployment_ids[deployment] = (await self._prefect.read_deployment_by_name(deployment)).id
        return self._deployment_ids[deployment]
