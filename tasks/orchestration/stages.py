"""A recording's stages as tasks of Prefect's, and a run's session; all logic is in the plain modules.

Prefect's server may be away: no transfer fails for that, and none waits for it.
"""

from __future__ import annotations

import logging
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import httpx
from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

from tasks import pipeline
from tasks.errors import ArchiverError, Unforeseen
from tasks.orchestration.artifacts import ProgressArtifacts
from tasks.pipeline import RETRY_DELAYS_S
from tasks.process_tuning import settle
from tasks.session import Session, show_on_terminal_or_in_log
from tasks.sweep import merge_plans, plan_sweep
from tasks.text import conceal_logs, showable
from tasks.transfer import LogLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prefect.client.schemas.objects import State, TaskRun

    from tasks.archive import ArchivedRecording
    from tasks.cancellation import CancellationGroup
    from tasks.pipeline import RunStage
    from tasks.realtimekit import Recording
    from tasks.session import StoreAccess
    from tasks.settings import ArchiveSettings, Settings
    from tasks.sweep import Plan, Scope
    from tasks.text import Log
    from tasks.transfer import View

P = ParamSpec("P")
R = TypeVar("R")

EVENT = "realtimekit.recording.archived"


@contextmanager
def open_session(
    settings: Settings,
    *,
    store_access: StoreAccess | None = None,
    cancellation: CancellationGroup | None = None,
    views: Callable[[Recording, Log], Sequence[View]] | None = None,
) -> Iterator[Session]:
    """Give the session of a flow's run, and close it after the run.

    Args:
        settings: as loaded for this run.
        store_access: see `Session`.
        cancellation: see `Session`.
        views: see `Session`; by default what a person sees, here and in Prefect's UI.
    """
    prepare_process()
    session = Session(
        settings,
        get_run_logger(),
        store_access=store_access,
        views=views or _show_here_and_in_prefect,
        cancellation=cancellation,
    )
    try:
        with foreseen():
            yield session
    finally:
        session.close()


def prepare_process() -> None:
    """Make a process ready for a run: its memory, and its logs: no traceback of our errors, no bytes of recordings."""
    settle()
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(without_traceback)
    logging.getLogger("botocore").setLevel(logging.INFO)  # at DEBUG it logs bodies
    conceal_logs()


def _show_here_and_in_prefect(recording: Recording, log: Log) -> list[View]:
    return [*show_on_terminal_or_in_log(recording, log), ProgressArtifacts(recording.id, log)]


def show_in_log(_recording: Recording, log: Log) -> list[View]:
    """Return the view of the progress of one recording of many."""
    return [LogLines(log)]


def without_traceback(record: logging.LogRecord) -> bool:
    """Take the traceback off a log record of one of our errors, or of Prefect's server being away: the text says all.

    Errors of httpx are Prefect's here, as ours never leave their modules.
    """
    if record.exc_info and isinstance(record.exc_info[1], ArchiverError | httpx.HTTPError):
        record.exc_info = None
    return True


def worth_retrying(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Tell Prefect whether a failed task may be run again; what is not one of our errors may."""
    return getattr(state.result(raise_on_failure=False), "retryable", True)


def retried(stage: Task[P, R], settings: ArchiveSettings) -> Task[P, R]:
    """Return a task with the retries that the settings ask for."""
    return stage.with_options(retries=settings.task_retries, retry_delay_seconds=RETRY_DELAYS_S)


@contextmanager
def foreseen() -> Iterator[None]:
    """Make an error of ours of any other, for Prefect keeps the text of what a run or a stage fails with, as it is.

    Its traceback goes into the log, without secrets. What Prefect itself raises, it raises as before.
    """
    try:
        yield
    except (ArchiverError, PrefectException, httpx.HTTPError):
        raise
    except Exception as error:  # noqa: BLE001 - that is what it is for
        get_run_logger().error("%s", showable("".join(traceback.format_exception(error))))
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(showable(str(error)).split())[:300].rstrip(".")
        failure = Unforeseen(type(error).__name__, text, f"line {place.lineno} of {Path(place.filename).name}")
    else:
        return
    raise failure


def stage(name: str, run_name: str = "") -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a task of a function, as all stages of a recording's way are made.

    What goes through them holds presigned URLs and clients, so it is neither persisted nor made into a cache key.
    """
    make = task(
        name=name,
        task_run_name=run_name or name,
        retry_condition_fn=worth_retrying,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return lambda function: make(foreseen()(function))


fetch_details = stage("fetch details")(pipeline.fetch_details)
find_archive = stage("find archive")(pipeline.find_archive)
wait_until_uploaded = stage("wait until uploaded")(pipeline.wait_until_uploaded)
transfer_media = stage("transfer media")(pipeline.transfer_media)
commit_archive = stage("commit archive")(pipeline.commit_archive)

_TASKS: dict[object, Any] = {
    pipeline.fetch_details: fetch_details,
    pipeline.find_archive: find_archive,
    pipeline.wait_until_uploaded: wait_until_uploaded,
    pipeline.transfer_media: transfer_media,
    pipeline.commit_archive: commit_archive,
}


def as_tasks(settings: ArchiveSettings) -> RunStage:
    """Return what runs each stage of the pipeline as a task of its own, with the retries that the settings ask for."""

    def run(stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        as_task: Any = retried(_TASKS[stage], settings)
        result: R = as_task(*args, **kwargs)
        return result

    return run


@stage("find what is not archived")
def find_unarchived(session: Session, app_ids: Sequence[str], scope: Scope) -> Plan:
    """Look at all recordings of some apps, and at what is archived of them."""
    plans = []
    for app_id in app_ids:
        with session.for_app(app_id).attempt() as attempt:
            plans.append(plan_sweep(attempt.api, attempt.archive, attempt.store, app_id, scope))
    return merge_plans(plans)


@stage("archive one recording", run_name="{recording_id}")
def archive_one(session: Session, recording_id: str) -> ArchivedRecording:
    """Archive one of many recordings, all stages in one task; or find that another run has done it meanwhile.

    Args:
        session: of no other recording that is archived at the same time, as a failure shuts its connections down.
        recording_id: also the name of the task run.
    """
    outcome = pipeline.archive_recording(session, recording_id)
    if outcome.transferred is not None:
        announce(outcome.archived, session.log)
    return outcome.archived


def announce(archived: ArchivedRecording, log: Log) -> None:
    """Emit the event that post-processing waits for."""
    payload = archived.model_dump(mode="json", exclude={"already_archived"})
    emit_of_recording(EVENT, archived.recording_id, payload, log)


def emit_of_recording(event: str, recording_id: str, payload: dict[str, Any], log: Log) -> None:
    """Emit an event about a recording; a server that does not take it is no failure.

    Args:
        event: its name.
        recording_id: whose event it is; becomes its resource.
        payload: with every key, always: Prefect's event templates fail without a trace on one that is missing.
        log: told if the event could not be emitted.
    """
    resource = {
        "prefect.resource.id": f"realtimekit.recording.{recording_id}",
        "prefect.resource.name": f"recording {recording_id}",
    }
    try:
        emit_event(event, resource, payload=payload)
    except Exception as error:  # noqa: BLE001 - whatever it is, what was done is done
        log.warning("No event: Prefect's server does not take it: %s", type(error).__name__)
