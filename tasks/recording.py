"""The @task functions, and the wiring: settings become clients, clients become the plain code's collaborators.

The only module of `tasks/` that imports Prefect. Each task is one stage of a recording's way, and all logic is in the
plain modules.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import contextmanager
from functools import cached_property
from threading import Event
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import httpx
from prefect import Task, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.logging import get_run_logger

from tasks.archive import Archive, ArchivedRecording
from tasks.bag import human_size, payload_paths
from tasks.download import new_http_client, quiet_http_logs
from tasks.errors import ArchiverError
from tasks.links import Link, Links
from tasks.progress import Bars, LogLines, Tally, shown
from tasks.realtimekit import RealtimeKit, require_media
from tasks.store import Store, new_s3_client
from tasks.transfer import Limits, Moved, Payload, Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

    from botocore.client import BaseClient
    from prefect.client.schemas.objects import State, TaskRun

    from tasks.details import Recording
    from tasks.progress import Moving, View
    from tasks.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

EVENT = "realtimekit.recording.archived"
RETRY_DELAYS_S = [5.0, 20.0, 60.0]
ARTIFACT_INTERVAL_S = 5.0
API_TIMEOUT_S = 30.0
SPARE_CONNECTIONS = 8  # to the store, besides one per part in flight


class Clients:
    """What a run talks with, made once from the settings; see `connected`.

    Args:
        settings: as loaded for this run.
        log: the run's logger.
    """

    def __init__(self, settings: Settings, log: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self.settings = settings
        self.log = log
        quiet_http_logs()
        self.api_http = httpx.Client(timeout=API_TIMEOUT_S)
        self.source_http = new_http_client(settings.stall_timeout)

    @cached_property
    def s3(self) -> BaseClient:
        """The object store's client."""
        return new_s3_client(4 * self.settings.transfer_concurrency + SPARE_CONNECTIONS)

    def api(self, stop: Event) -> RealtimeKit:
        """Return the API, for as long as `stop` is not set."""
        its = self.settings
        token = its.cloudflare_api_token.get_secret_value()
        ids = (its.cloudflare_account_id, its.realtimekit_app_id)
        return RealtimeKit(self.api_http, its.cloudflare_base_url, *ids, token, stop=stop)

    def store(self, stop: Event) -> Store:
        """Return the archive's bucket, for as long as `stop` is not set."""
        return Store(self.s3, self.settings.bucket, self.settings.transfer_patience, stop)

    def archive(self, stop: Event) -> Archive:
        """Return the archive, for as long as `stop` is not set."""
        return Archive(self.store(stop), self.settings.prefix, self.settings.realtimekit_app_id)

    def transfer(self, recording: Recording, tally: Tally, stop: Event) -> Transfer:
        """Return what moves the recording's files, for as long as `stop` is not set."""
        api, archive, its = self.api(stop), self.archive(stop), self.settings
        links = Links(_links(recording), lambda: _links(api.recording(recording.id)), stop, self.log)
        limits = Limits(its.transfer_concurrency, its.transfer_part_size, its.transfer_patience)
        unfinished = lambda: archive.unfinished(recording)  # noqa: E731 - asked anew at every look
        return Transfer(self.store(stop), self.source_http, links, unfinished, limits, tally, stop, self.log)


@contextmanager
def connected(settings: Settings) -> Iterator[Clients]:
    """Give the clients for one run, and close them after it.

    Args:
        settings: as loaded for this run.
    """
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(without_traceback)
    clients = Clients(settings, get_run_logger())
    try:
        yield clients
    finally:
        clients.api_http.close()
        clients.source_http.close()


def without_traceback(record: logging.LogRecord) -> bool:
    """Take the traceback off a log record of one of our errors: its text says all that a person needs."""
    if record.exc_info and isinstance(record.exc_info[1], ArchiverError):
        record.exc_info = None
    return True


def worth_retrying(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Tell Prefect whether a failed task may be run again; what is not one of our errors may."""
    return getattr(state.result(raise_on_failure=False), "retryable", True)


def retried(stage: Task[P, R], settings: Settings) -> Task[P, R]:
    """Return a task with the retries that the settings ask for."""
    return stage.with_options(retries=settings.task_retries, retry_delay_seconds=RETRY_DELAYS_S)


@contextmanager
def stoppable() -> Iterator[Event]:
    """Give an event that all threads of a stage look at, set when the stage ends in whatever way."""
    stop = Event()
    try:
        yield stop
    finally:
        stop.set()


def stage(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a task of a function, as all stages of a recording's way are made.

    What goes through them holds presigned URLs and clients, so it is neither persisted nor made into a cache key.
    """
    return task(
        name=name, task_run_name=name, retry_condition_fn=worth_retrying, cache_policy=NO_CACHE, persist_result=False
    )


@stage("fetch details")
def fetch_details(clients: Clients, recording_id: str) -> Recording:
    """Fetch a recording's details from the API."""
    with stoppable() as stop:
        recording = clients.api(stop).recording(recording_id)
    clients.log.info("Recording %s is %s, with %d media files.", recording.id, recording.status, len(recording.media))
    return recording


@stage("find archive")
def find_archive(clients: Clients, recording: Recording) -> ArchivedRecording | None:
    """Look whether the recording is archived, and whole."""
    with stoppable() as stop:
        archive = clients.archive(stop)
        found = archive.find(recording)
        if found is not None:
            archive.unfinished(recording).clear()
            clients.log.info("Already archived, and whole: %s", found.archive_url)
        return found


@stage("wait until uploaded")
def wait_until_uploaded(clients: Clients, recording: Recording, timeout_s: float) -> Recording:
    """Wait until the recording is UPLOADED and can be downloaded."""
    with stoppable() as stop:
        interval_s = clients.settings.poll_interval
        api = clients.api(stop)
        ready = api.wait_until_uploaded(recording, timeout_s=timeout_s, interval_s=interval_s, log=clients.log)
    require_media(ready)
    return ready


@stage("transfer media")
def transfer_media(clients: Clients, recording: Recording, *, overwrite: bool) -> list[Moved]:
    """Bring every media file into the store; with `overwrite`, beside what is archived, which stays as it is."""
    tally = Tally()
    with stoppable() as stop, shown(tally, _views(clients, recording)):
        transfer = clients.transfer(recording, tally, stop)
        started = time.monotonic()
        moved = transfer.move_all(_payloads(clients.archive(stop), recording), replace=overwrite)
    elapsed = time.monotonic() - started
    fetched = sum(file.done - file.already for file in tally.files())
    clients.log.info(
        "Transferred %s in %.1f s (%s/s); %d fresh URLs, %d resumed reads.",
        human_size(fetched), elapsed, human_size(fetched / elapsed), transfer.links.refreshes, transfer.resumes,
    )  # fmt: skip
    return moved


@stage("commit archive")
def commit_archive(
    clients: Clients, recording: Recording, moved: Sequence[Moved], *, overwrite: bool
) -> ArchivedRecording:
    """Make the recording's archive visible, whole and at once."""
    with stoppable() as stop:
        archive, transfer = clients.archive(stop), clients.transfer(recording, Tally(), stop)
        if overwrite:
            archive.withdraw(recording)
        archived = archive.commit(recording, [transfer.finish(file) for file in moved])
    clients.log.info(
        "Archived: %s (%d files, %s)", archived.archive_url, len(archived.files), human_size(archived.bytes)
    )
    return archived


def announce(archived: ArchivedRecording, log: logging.Logger | logging.LoggerAdapter[Any]) -> None:
    """Emit the event that post-processing waits for; every key of the payload is always there.

    Prefect's event templates fail without a trace on a key that is missing.
    """
    resource = {
        "prefect.resource.id": f"realtimekit.recording.{archived.recording_id}",
        "prefect.resource.name": f"recording {archived.recording_id}",
    }
    payload = archived.model_dump(mode="json", exclude={"already_archived"})
    with decoration("event", log):
        emit_event(EVENT, resource, payload=payload)


def flush_events(timeout_s: float = 10.0) -> None:
    """Wait until emitted events are with the server: a process that ends at once may lose the last one."""
    EventsWorker.drain_all(timeout=timeout_s)


@contextmanager
def decoration(what: str, log: logging.Logger | logging.LoggerAdapter[Any]) -> Iterator[None]:
    """Let nothing that only decorates a run fail it: Prefect's server may be away while a transfer goes on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the recording comes first
        log.warning("No %s, as Prefect's server does not take it: %s", what, type(error).__name__)


def _links(recording: Recording) -> dict[str, Link]:
    return {media.label: Link(media.url, media.expires_at) for media in recording.media}


def _payloads(archive: Archive, recording: Recording) -> list[Payload]:
    metadata = {"recording-id": recording.id, "session-id": recording.session_id}
    paths, folder = payload_paths(recording), archive.folder(recording)
    return [Payload(media, paths[media.label], folder + paths[media.label], metadata) for media in recording.media]


def _views(clients: Clients, recording: Recording) -> list[View]:
    first: View = Bars() if sys.stderr.isatty() else LogLines(clients.log)
    return [first, ProgressArtifacts(recording.id, clients.log)]


class ProgressArtifacts:
    """A progress artifact for each kind of media in Prefect's UI.

    Args:
        recording_id: becomes part of the artifacts' keys.
        log: told once if the server takes none.
    """

    interval_s = ARTIFACT_INTERVAL_S

    def __init__(self, recording_id: str, log: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self._recording_id = recording_id
        self._log = log
        self._artifacts: dict[str, UUID] = {}

    def show(self, files: Sequence[Moving]) -> None:
        """Create or update the artifacts; a server that is away costs no more than them."""
        for kind in ("video", "audio", "tracks"):
            of_kind = [file for file in files if file.path.startswith(f"data/{kind}/")]
            if of_kind:
                with decoration("progress artifact", self._log):
                    self._show(kind, of_kind)

    def _show(self, kind: str, files: Sequence[Moving]) -> None:
        size = sum(file.size for file in files)
        percent = 100.0 * sum(file.done for file in files) / size if size else 100.0
        description = "\n".join(str(file) for file in files)
        if kind in self._artifacts:
            update_progress_artifact(self._artifacts[kind], percent, description)
        else:
            key = f"transfer-{kind}-{self._recording_id}"
            self._artifacts[kind] = cast("UUID", create_progress_artifact(percent, key, description))

    def close(self) -> None:
        """Leave the artifacts as they are."""
