"""Runs that a webhook starts: one for each webhook, however often it is sent."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import httpx
from prefect.exceptions import ObjectNotFound

from tasks.orchestration.run_history import DEPLOYMENT, WEBHOOK
from tasks.retry import backoff

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

OVERLOADED = frozenset({429, 503})
"""Also what Prefect's server answers for a moment while its SQLite is locked."""
ASKED_AT_ONCE = 8
"""Requests to Prefect's server: it does more of them one after the other than all at once."""


class WebhookRuns:
    """Starts runs of the deployment, whose id is looked up once: `arun_deployment` would do so for each run.

    Args:
        prefect: client of its server.
    """

    def __init__(self, prefect: PrefectClient) -> None:
        self._prefect = prefect
        self._deployment_id: UUID | None = None
        self._turns = asyncio.Semaphore(ASKED_AT_ONCE)

    async def start(self, recording_id: str, body: bytes) -> FlowRun:
        """Have Prefect create the run of an announcement, or find it; a server that is overloaded is asked again.

        Prefect answers a key that it knows with the old run, for ever. What is part of it here is all that is signed,
        and nothing else: with a key of `rtk-uuid`, a header that nobody has signed, whoever has seen one body, be it
        about a recording of his own, could start runs without end. A repeat that differs is a run more; no harm done.

        Args:
            recording_id: whose run it is.
            body: the announcement, as it was signed.

        Raises:
            prefect.exceptions.ObjectNotFound: the deployment is not there.
            prefect.exceptions.PrefectException, httpx.HTTPError: the server does not take it.
        """
        key = f"{WEBHOOK}:{recording_id}:{hashlib.sha256(body).hexdigest()}"
        attempt = 0
        while True:
            try:
                async with self._turns:
                    return await self._create(recording_id, key)
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in OVERLOADED:
                    raise
            attempt += 1
            await asyncio.sleep(backoff(attempt))

    async def _create(self, recording_id: str, key: str) -> FlowRun:
        known = self._deployment_id
        deployment_id = known or await self._look_up()
        try:
            return await self._prefect.create_flow_run_from_deployment(
                deployment_id,
                parameters={"recording_id": recording_id},
                name=f"archive {recording_id}",
                tags=[WEBHOOK],
                idempotency_key=key,
            )
        except (ObjectNotFound, httpx.HTTPStatusError) as error:
            if isinstance(error, httpx.HTTPStatusError) and error.response.status_code != httpx.codes.NOT_FOUND:
                raise
            self._deployment_id = None
            if not known:
                raise
        return await self._create(recording_id, key)  # it was deleted, and there may be a new one of that name

    async def _look_up(self) -> UUID:
        self._deployment_id = (await self._prefect.read_deployment_by_name(DEPLOYMENT)).id
        return self._deployment_id
