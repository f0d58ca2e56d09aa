"""Waits of hours: a run of a deployment starts the same deployment again, later, and ends.

The run to come is in the server's database: nothing is held meanwhile, and whatever is restarted, it comes. A run that
sleeps, or one to be retried after hours, would hold a worker's slot and die with its process.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
from prefect.context import FlowRunContext
from prefect.deployments import run_deployment
from prefect.exceptions import PrefectException
from prefect.states import Completed

if TYPE_CHECKING:
    from prefect import State

    from tasks.errors import NotUploadedInTime
    from tasks.text import Log

LONGEST_PAUSE = timedelta(hours=1)
POLLS_AT_LEAST = 30
"""How many poll intervals a pause is worth at the least."""
GIVE_UP_AFTER = timedelta(days=2)
"""RealtimeKit records for a day at the most: what is not uploaded after two is a person's business."""


def pause_before(begun: datetime | None, now: datetime, poll_interval_s: float) -> timedelta | None:
    """Return after which time to look at a recording again that is not uploaded yet: a quarter of its age, or an hour.

    Args:
        begun: when the recording was begun; None if nobody knows.
        now: the time.
        poll_interval_s: seconds; a pause is thirty times as long at the least.

    Returns:
        None if it should have been uploaded long ago, or if nobody knows when it began.
    """
    if begun is None or now - begun > GIVE_UP_AFTER:
        return None
    return min(max((now - begun) / 4, POLLS_AT_LEAST * timedelta(seconds=poll_interval_s)), LONGEST_PAUSE)


def reschedule(too_early: NotUploadedInTime, poll_interval_s: float, log: Log) -> State[None] | None:
    """Start this run's deployment once more, later, with the same parameters.

    Args:
        too_early: why.
        poll_interval_s: see `pause_before`.
        log: told when it will be.

    Returns:
        The state for this run to end in; None if it is no deployment's run, if there is no hope, or without the server.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    pause = pause_before(too_early.begun, datetime.now(UTC), poll_interval_s)
    if run is None or run.deployment_id is None or pause is None:
        return None
    begins = datetime.now(UTC) + pause
    try:
        run_deployment(
            run.deployment_id,
            parameters=run.parameters,
            scheduled_time=begins,
            flow_run_name=run.name,
            timeout=0,
            as_subflow=False,
            tags=run.tags,
            idempotency_key=f"{run.id}-later",
        )
    except (PrefectException, httpx.HTTPError) as error:
        log.warning("It cannot be scheduled for later: Prefect's server does not take it: %s", type(error).__name__)
        return None
    when = f"{begins:%Y-%m-%d %H:%M} UTC"
    message = f"Recording {too_early.recording_id} is still {too_early.status}; a new run looks again at {when}."
    log.info("%s", message)
    return Completed(name="Postponed", message=message)
