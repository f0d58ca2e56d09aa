"""A flow's run as the engine of a command: each stage is a task, and the server gets events, tables and progress.

The server may be away: no transfer fails for that, and none waits for it.
"""

from __future__ import annotations

import logging
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import httpx
from prefect import Task, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger

from tasks.engine import NO_LABELS, Engine, stage_name
from tasks.errors import ArchiverError
from tasks.orchestration.artifacts import Decoration, ProgressArtifacts
from tasks.orchestration.run_history import PrefectRunHistory
from tasks.pipeline import RETRY_DELAYS_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from prefect.client.schemas.objects import State, TaskRun

    from tasks.pipeline import RunStage
    from tasks.realtimekit import Recording
    from tasks.settings import ArchiveSettings
    from tasks.text import Log
    from tasks.transfer import View

P = ParamSpec("P")
R = TypeVar("R")

TASK_NAMES = {"find unarchived": "find what is not archived", "reread recordings": "re-read recordings"}
"""Those that are not the names of the stages."""
ARCHIVE_ONE = "archive one recording"
RUN_NAMES = {ARCHIVE_ONE: "{recording_id}"}


class PrefectEngine(Engine):
    """Runs stages as tasks of the flow's run that is under way, and publishes on its server.

    Args:
        log: of the run; by default the logger that Prefect has for it.
    """

    own_errors = (ArchiverError, PrefectException, httpx.HTTPError)
    """Errors of httpx are Prefect's here, as ours never leave their modules."""

    def __init__(self, log: Log | None = None) -> None:
        super().__init__(log or get_run_logger())
        self.history = PrefectRunHistory(self.log)
        self._decoration = Decoration(self.log)

    def prepare_process(self) -> None:
        """Make the process ready for a run; take repetitions, and our errors' tracebacks, out of Prefect's logs."""
        for name in ("prefect.flow_runs", "prefect.task_runs"):
            logging.getLogger(name).addFilter(without_traceback)
        logging.getLogger("prefect.task_runs").addFilter(is_news)
        super().prepare_process()

    def views(self, recording: Recording, log: Log) -> Sequence[View]:
        """Return what shows a recording's progress, here and in Prefect's UI."""
        return [*super().views(recording, log), ProgressArtifacts(recording.id, log)]

    def run_once(self, stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a stage as a task."""
        return self._task(stage)(*args, **kwargs)

    def with_retries(self, settings: ArchiveSettings) -> RunStage:
        """Return what runs a stage as a task with the retries that the settings ask for."""

        def run(stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
            counted = self._task(self.counting_retries(stage))
            retried = counted.with_options(retries=settings.task_retries, retry_delay_seconds=RETRY_DELAYS_S)
            return retried(*args, **kwargs)

        return run

    def _task(self, stage: Callable[P, R]) -> Task[P, R]:
        """Return the task of a stage.

        What goes through it holds presigned URLs and clients, so it is neither persisted nor made into a cache key.
        """

        @wraps(stage)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.no_foreign_errors():
                return stage(*args, **kwargs)

        name = TASK_NAMES.get(stage_name(stage), stage_name(stage))
        make_task = task(
            name=name,
            task_run_name=RUN_NAMES.get(name, name),
            retry_condition_fn=is_worth_retrying,
            cache_policy=NO_CACHE,
            persist_result=False,
        )
        return make_task(run)

    def emit(
        self,
        event: str,
        its_id: str,
        payload: dict[str, Any],
        kind: str = "recording",
        labels: Mapping[str, str] = NO_LABELS,
    ) -> None:
        """Emit an event about something; a server that does not take it is no failure."""
        resource = {
            **labels,
            "prefect.resource.id": f"realtimekit.{kind}.{its_id}",
            "prefect.resource.name": f"{kind} {its_id}",
        }
        try:
            emit_event(event, resource, payload=payload)
        except Exception as error:  # noqa: BLE001 - whatever it is, what was done is done
            self.log.warning("No event: Prefect's server does not take it: %s", type(error).__name__)

    def publish_markdown(self, what: str, key: str, markdown: str, description: str) -> None:
        """Leave a text in Prefect's UI; a server that does not take it is no failure."""
        self._decoration.attempt(what, lambda: create_markdown_artifact(markdown, key, description))

    def publish_table(self, key: str, rows: list[dict[str, str]], description: str) -> None:
        """Leave a table in Prefect's UI; a server that does not take it is no failure."""
        self._decoration.attempt("table", lambda: create_table_artifact(rows, key, description))


def without_traceback(record: logging.LogRecord) -> bool:
    """Take the traceback off a log record of one of our errors, or of Prefect's server being away: the text says all.

    Errors of httpx are Prefect's here, as ours never leave their modules.
    """
    if record.exc_info and isinstance(record.exc_info[1], ArchiverError | httpx.HTTPError):
        record.exc_info = None
    return True


def is_news(record: logging.LogRecord) -> bool:
    """Tell whether a log record says what no other does, or steps are logged.

    Of each recording that a sweep archives, the log of the flow has a line. One more, that its task has finished, is as
    much work for Prefect, and twice as much to read.
    """
    is_of_sweep = getattr(record, "task_name", "") == ARCHIVE_ONE
    is_repeated = is_of_sweep and record.getMessage().startswith("Finished in state Completed")
    return not is_repeated or logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


def is_worth_retrying(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Tell Prefect whether a failed task may be run again; what is not one of our errors may."""
    return getattr(state.result(raise_on_failure=False), "retryable", True)
