"""The @task functions: each is one stage of a recording's way, and all logic is in the plain modules.

Prefect's server may be away: no transfer fails for that, and none waits for it.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import httpx
from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

from tasks.artifacts import ProgressArtifacts
from tasks.clients import Clients, payloads
from tasks.errors import ArchiverError, NotUploadedInTime, RecordingErrored, Unforeseen
from tasks.hangup import Stop
from tasks.heap import settle
from tasks.logs import conceal_logs
from tasks.partial_archive import can_be_completed
from tasks.progress import Bars, LogLines, Tally, shown
from tasks.realtimekit import require_media, require_some_media
from tasks.redaction import showable
from tasks.report import Transferred
from tasks.sweep import merged, plan_for
from tasks.units import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event

    from prefect.client.schemas.objects import State, TaskRun

    from tasks.archive import ArchivedRecording
    from tasks.details import Recording
    from tasks.logs import Log
    from tasks.progress import View
    from tasks.settings import ArchiveSettings, Settings
    from tasks.sweep import Brake, Plan
    from tasks.sweep_scope import Scope

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS_S = [5.0, 20.0, 60.0]
EVENT = "realtimekit.recording.archived"


@contextmanager
def connected(settings: Settings, beside: Clients | None = None) -> Iterator[Clients]:
    """Give the clients for one run, and close them after it.

    Args:
        settings: as loaded for this run.
        beside: see `Clients`.
    """
    settle_in()
    clients = Clients(settings, get_run_logger(), beside)
    try:
        with foreseen():
            yield clients
    finally:
        clients.close()


def settle_in() -> None:
    """Make a process ready for a run: its memory, and its logs: no traceback of our errors, no bytes of recordings."""
    settle()
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(without_traceback)
    logging.getLogger("botocore").setLevel(logging.INFO)  # at DEBUG it logs bodies
    conceal_logs()


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
def stoppable(clients: Clients) -> Iterator[Event]:
    """Give an event that all threads of a stage look at, set when the stage ends in whatever way.

    A stage that ends well leaves its connections to the next; after any other, a thread may still wait for bytes.
    """
    stop = Stop(clients.lines)
    try:
        yield stop
    except BaseException:
        stop.set()
        raise
    stop.end()


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


@stage("fetch details")
def fetch_details(clients: Clients, recording_id: str) -> Recording:
    """Fetch a recording's details from the API."""
    with stoppable(clients) as stop:
        recording = clients.api(stop).recording(recording_id)
    clients.log.info("Recording %s is %s, with %d media files.", recording.id, recording.status, len(recording.media))
    return recording


@stage("find archive")
def find_archive(clients: Clients, recording: Recording) -> ArchivedRecording | None:
    """Look whether the recording is archived, and whole."""
    with stoppable(clients) as stop:
        found = clients.archive(stop).find(recording)
        if found is not None:
            clients.log.info("Already archived, and whole: %s", found.archive_url)
        return found


@stage("wait until uploaded")
def wait_until_uploaded(clients: Clients, recording: Recording, timeout_s: float) -> Recording:
    """Wait until the recording is UPLOADED and can be downloaded."""
    with stoppable(clients) as stop:
        interval_s = clients.settings.poll_interval
        api = clients.api(stop)
        ready = api.wait_until_uploaded(recording, timeout_s=timeout_s, interval_s=interval_s, log=clients.log)
    require_some_media(ready)
    return ready


@stage("transfer media")
def transfer_media(
    clients: Clients, recording: Recording, *, overwrite: bool, accept_size: bool = False, partial: bool = False
) -> Transferred:
    """Bring every media file into the store; with `overwrite`, beside what is archived, which stays as it is.

    With `partial`, files without a usable URL may be missing, but none that the archive has that is replaced.
    """
    tally = Tally()
    with stoppable(clients) as stop, shown(tally, _views(clients, recording)):
        archive, transfer = clients.archive(stop), clients.transfer(recording, tally, stop)
        files = payloads(archive, recording, accept_size=accept_size)
        if overwrite:  # of what is archived, nothing is in danger
            if not partial:
                require_media(recording)
            archive.require_no_loss(recording, [file.path for file in files], by_name=partial)
        started = time.monotonic()
        moved = transfer.move_all(files, replace=overwrite)
    seconds, fetched = time.monotonic() - started, sum(file.done - file.already for file in tally.files())
    done = Transferred(moved, fetched, seconds, transfer.links.refreshes, transfer.resumes)
    clients.log.info("%s", done)
    return done


@stage("commit archive")
def commit_archive(
    clients: Clients, recording: Recording, transferred: Transferred, *, overwrite: bool, partial: bool = False
) -> ArchivedRecording:
    """Make the recording's archive visible, whole and at once."""
    with stoppable(clients) as stop:
        transfer = clients.transfer(recording, Tally(), stop)
        archive = clients.archive(stop)
        archived = transfer.commit(archive, recording, transferred.moved, overwrite=overwrite, partial=partial)
    clients.log.info(
        "Archived: %s (%d files, %s)", archived.archive_url, len(archived.files), human_size(archived.bytes)
    )
    return archived


@stage("find what is not archived")
def find_unarchived(clients: Clients, app_ids: Sequence[str], scope: Scope) -> Plan:
    """Look at all recordings of some apps, and at what is archived of them."""
    with stoppable(clients) as stop:
        plans = []
        for app_id in app_ids:
            of_app = clients_of_app(clients, app_id)
            plans.append(plan_for(of_app.api(stop), of_app.archive(stop), of_app.store(stop), app_id, scope))
    return merged(plans)


@stage("archive one recording", run_name="{recording_id}")
def archive_one(clients: Clients, recording_id: str, brake: Brake) -> ArchivedRecording:
    """Archive one of many recordings, all stages in one task; or find that another run has done it meanwhile.

    An archive that states that files are missing is replaced once the API hands out all files.

    Args:
        clients: no other recording's, as what ends one hangs up on all who use its connections.
        recording_id: also the name of the task run.
        brake: ends it from another thread.
    """
    with stoppable(clients) as stop:
        brake.reach(stop)
        api, archive = clients.api(stop), clients.archive(stop)
        recording = api.recording(recording_id)
        found = archive.find(recording)
        if found and not can_be_completed(found, recording):
            return found
        if recording.status == "ERRORED":
            raise RecordingErrored(recording_id)
        if recording.status != "UPLOADED":
            raise NotUploadedInTime(recording_id, recording.status, 0)
        require_some_media(recording)
        tally = Tally()
        transfer = clients.transfer(recording, tally, stop)
        files, overwrite = payloads(archive, recording), found is not None
        if overwrite:
            archive.require_no_loss(recording, [file.path for file in files], by_name=True)
        with shown(tally, [LogLines(clients.log)]):
            moved = transfer.move_all(files, replace=overwrite)
        archived = transfer.commit(archive, recording, moved, overwrite=overwrite)
    announce(archived, clients.log)
    return archived


def clients_of_app(clients: Clients, app_id: str) -> Clients:
    """Return clients for another app of the same account and archive, on the same connections."""
    if app_id == clients.settings.realtimekit_app_id:
        return clients
    clients.s3  # noqa: B018 - made before it is copied, so that there is one
    other = copy(clients)
    other.settings = clients.settings.model_copy(update={"realtimekit_app_id": app_id})
    return other


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


def _views(clients: Clients, recording: Recording) -> list[View]:
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    first: View = Bars() if on_terminal else LogLines(clients.log)
    return [first, ProgressArtifacts(recording.id, clients.log)]
