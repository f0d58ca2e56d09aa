"""Other runs as Prefect's server has them: started by a webhook, in progress, sweeping; and how to start one.

A recording is handed out as a run of the deployment, once in a while and not once for ever.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    DeploymentFilter,
    DeploymentFilterId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort
from prefect.context import FlowRunContext
from prefect.events.filters import EventFilter, EventOccurredFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound, PrefectException

from tasks.errors import ArchiverError, CannotHandOut, PrefectUnavailable
from tasks.run_history import SWEEP_TABLE, LastSweep, RunHistory
from tasks.sweep import read_told

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

    from tasks.run_history import StartRun
    from tasks.text import Log

FLOW = "archive-recording"
DEPLOYMENT = f"{FLOW}/on-demand"
SESSION_DEPLOYMENT = "archive-session/on-demand"
WEBHOOK = "webhook"
PAGE = 200
"""Prefect's server gives no more at once."""
PAGES = 10
IN_PROGRESS = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
BELIEVED = timedelta(hours=12)
"""For how long a run counts as under way: the server never learns the end of one whose machine died."""
SILENT = timedelta(minutes=10)
"""After which a run that was not heard of is not believed to be at work: by default, heartbeats come every three."""
LONGEST_OUTAGE = timedelta(days=30)
AWAY = (PrefectException, httpx.HTTPError)


class PrefectRunHistory(RunHistory):
    """What Prefect's server knows of other runs; nothing, while it cannot be asked.

    Args:
        log: told if the server cannot be asked.
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    def recordings_in_progress(self, now: datetime) -> set[str]:
        """Return the ids of the recordings that runs archive now, or will."""
        states = FlowRunFilterState(type=FlowRunFilterStateType(any_=IN_PROGRESS))
        wanted = FlowRunFilter(state=states, expected_start_time=FlowRunFilterExpectedStartTime(after_=now - BELIEVED))
        ids: set[str] = set()
        try:
            for page in _pages(wanted):
                ids |= {_recording_of(run) for run in page}
        except AWAY as error:
            self._log.warning("Prefect cannot tell what other runs are at work on: %s", type(error).__name__)
        return ids - {""}

    def started_by_webhook(self, recording_ids: Collection[str], since: datetime) -> dict[str, bool]:
        """Return for which recordings a webhook started a run; what the server cannot tell is missing.

        Args:
            recording_ids: to ask about.
            since: when the first of them began.
        """
        if not recording_ids:
            return {}
        after = FlowRunFilterExpectedStartTime(after_=since)
        wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[WEBHOOK]), expected_start_time=after)
        missing, pages, full = set(recording_ids), 0, False
        try:
            for page in _pages(wanted):
                missing -= {_recording_of(run) for run in page}
                pages, full = pages + 1, len(page) == PAGE
                if not missing:
                    break
        except AWAY as error:
            self._log.warning("Prefect cannot tell what webhooks announced: %s", type(error).__name__)
            return {}
        started = dict.fromkeys(set(recording_ids) - missing, True)
        return started if pages == PAGES and full else started | dict.fromkeys(missing, False)

    def last_sweep(self, now: datetime) -> LastSweep:
        """Return when the last sweep left its table, and what of that need not be reported again."""
        swept = ArtifactFilter(key=ArtifactFilterKey(any_=[SWEEP_TABLE]))
        try:
            with get_client(sync_client=True) as client:
                last = client.read_artifacts(artifact_filter=swept, sort=ArtifactSort.UPDATED_DESC, limit=1)
        except AWAY as error:
            self._log.warning("Prefect cannot tell when the last sweep was: %s", type(error).__name__)
            last = []
        if not last or last[0].updated is None:
            return LastSweep()
        ago = min(max(now - last[0].updated, timedelta(0)), LONGEST_OUTAGE)
        return LastSweep(ago, read_told(str(last[0].data)))

    @contextmanager
    def run_starter(self, retry_minutes: int, now: datetime) -> Iterator[StartRun]:
        """Give what starts a run of the deployment for a recording, and returns the run's name and state.

        Args:
            retry_minutes: see `RunStarter`.
            now: the time.

        Raises:
            CannotHandOut: the deployment is not there.
            PrefectUnavailable: the server does not answer.
        """
        with get_client(sync_client=True) as client:
            yield RunStarter(client, retry_minutes, now).start


def find_earlier_run(now: datetime, log: Log) -> FlowRun | None:
    """Return a run of the same deployment as this one's that began before it, and is still at work.

    It takes the place of a concurrency limit of Prefect's. That is a lease in its server's memory: a machine that dies
    with a run and the server takes it along, and no run of the deployment would ever begin again.

    Args:
        now: the time.
        log: told of a run that looks as if it were at work, but was not heard of.

    Returns:
        None if there is none, if this is no deployment's run, or if the server cannot be asked.
    """
    context = FlowRunContext.get()
    ours = context.flow_run if context else None
    if ours is None or ours.deployment_id is None:
        return None
    try:
        with get_client(sync_client=True) as client:
            running = client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[ours.deployment_id])),
                flow_run_filter=FlowRunFilter(
                    state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING]))
                ),
                sort=FlowRunSort.START_TIME_DESC,
            )
            # As the server has them, ours as well: else each of two that begin at once might leave it to the other.
            running.sort(key=lambda run: (run.start_time or now, run.id))
            for other in takewhile(lambda run: run.id != ours.id, running):
                if _was_heard_of(client, other, now):
                    return other
                log.warning("Run %s seems to be at work, but was not heard of for %s: it has died.", other.id, SILENT)
    except AWAY as error:
        log.warning("Prefect cannot tell whether another run is at work: %s", type(error).__name__)
    return None


def _was_heard_of(client: SyncPrefectClient, run: FlowRun, now: datetime) -> bool:
    """Tell whether there was any event of a run lately, such as its start or a heartbeat."""
    about = EventResourceFilter(id=[f"prefect.flow-run.{run.id}"])
    lately = EventOccurredFilter(since=now - SILENT, until=now + SILENT)
    return bool(client.read_events(EventFilter(occurred=lately, resource=about), limit=1).events)


def _pages(wanted: FlowRunFilter) -> Iterator[list[FlowRun]]:
    """Yield runs of archive-recording by the page, latest first, up to a number that is worth the time."""
    flow = FlowFilter(name=FlowFilterName(any_=[FLOW]))
    with get_client(sync_client=True) as client:
        for number in range(PAGES):
            page = client.read_flow_runs(
                flow_filter=flow,
                flow_run_filter=wanted,
                sort=FlowRunSort.EXPECTED_START_TIME_DESC,
                limit=PAGE,
                offset=number * PAGE,
            )
            yield page
            if len(page) < PAGE:
                return


def _recording_of(run: FlowRun) -> str:
    named = run.parameters.get("recording_id")
    return named.strip().lower() if isinstance(named, str) else ""


class RunStarter:
    """Starts runs of the deployment, at most one for each recording in so many minutes, whoever asks.

    Prefect answers a key that it knows with the old run, for ever, even if that failed. So the time is part of it.

    Args:
        client: of Prefect's server.
        retry_minutes: after which a recording is handed out again.
        now: the time.

    Raises:
        CannotHandOut: the deployment is not there.
        PrefectUnavailable: its server does not answer.
    """

    def __init__(self, client: SyncPrefectClient, retry_minutes: int, now: datetime) -> None:
        self._client = client
        bucket = 60 * retry_minutes
        begun = int(now.timestamp()) // bucket * bucket
        self._began = datetime.fromtimestamp(begun, UTC)
        self._next = self._began + timedelta(seconds=bucket)
        self._deployment_id = self._deployment()

    def start(self, recording_id: str, app_id: str = "") -> str:
        """Have a recording archived by a run of its own, and return that run's name and state.

        Args:
            recording_id: of the recording; a UUID, so that its key needs no app.
            app_id: of its app; empty for that of the settings.

        Raises:
            CannotHandOut: the run of this while has failed already; it says when there will be another one.
            PrefectUnavailable: the server does not take it.
        """
        failure = ""
        try:
            run = self._client.create_flow_run_from_deployment(
                self._deployment_id,
                parameters={"recording_id": recording_id} | ({"app_id": app_id} if app_id else {}),
                name=f"archive {recording_id}",
                tags=["sweep"],
                idempotency_key=f"{recording_id}:{self._began:%Y-%m-%dT%H:%MZ}",
            )
        except AWAY as error:
            failure = type(error).__name__
        if failure:
            raise PrefectUnavailable(str(self._client.api_url.netloc.decode()), failure)
        state = run.state
        if state is not None and (state.is_failed() or state.is_crashed() or state.is_cancelled()):
            reason = f"its run {run.id} is {state.name}, and there will be another one from {self._next:%H:%M} UTC on"
            raise CannotHandOut(reason)
        return f"run {run.id}: {state.name if state else 'unknown'}"

    def _deployment(self) -> UUID:
        failure: ArchiverError
        try:
            return self._client.read_deployment_by_name(DEPLOYMENT).id
        except ObjectNotFound:
            failure = CannotHandOut(f"there is no deployment {DEPLOYMENT}, so make it with `prefect deploy --all`")
        except AWAY as error:
            failure = PrefectUnavailable(str(self._client.api_url.netloc.decode()), type(error).__name__)
        raise failure
