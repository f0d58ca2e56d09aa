"""What runs a command's stages: this process alone, or, in `tasks.orchestration.engine`, a flow's run of Prefect's.

A command without a Prefect server has the same stages, retries and log lines; only nobody else hears of it.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from contextlib import contextmanager
from functools import wraps
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tasks import prefect_settings
from tasks.archive import NOT_IN_THE_EVENT
from tasks.errors import ArchiverError, SettingsInvalid, Unforeseen
from tasks.pipeline import RETRY_DELAYS_S
from tasks.process_tuning import settle
from tasks.run_history import RunHistory
from tasks.session import Session, show_on_terminal_or_in_log
from tasks.session_report import report_session
from tasks.text import redact, redact_logs, safe_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tasks.archive import ArchivedMeetingSession, ArchivedRecording
    from tasks.cancellation import CancellationGroup
    from tasks.pipeline import RunStage
    from tasks.realtimekit import Recording
    from tasks.session import StoreAccess
    from tasks.settings import ArchiveSettings, Settings
    from tasks.text import Log
    from tasks.transfer import View

P = ParamSpec("P")
R = TypeVar("R")

ARCHIVED = "realtimekit.recording.archived"
SESSION_ARCHIVED = "realtimekit.session.archived"
DAMAGED = "realtimekit.archive.damaged"
AT_RISK = "realtimekit.recording.at-risk"
LOST = "realtimekit.recording.lost"
SWEPT = "realtimekit.sweep.completed"
AUDITED = "realtimekit.audit.completed"
DELETED = "realtimekit.recording.deleted"
SESSION_DELETED = "realtimekit.session.deleted"
EXPIRED = "realtimekit.expiry.completed"
COPIED = "realtimekit.copy.completed"
ALARM_LABEL = "realtimekit.alarm"
"""A label of the resources of events that not always ask for a person: `yes` or `no`."""
WHOLE_LABEL = "realtimekit.looked-at-all"
"""A label of the resource of a sweep's event: whether all recordings were looked at, `yes` or `no`."""
NO_LABELS: Mapping[str, str] = MappingProxyType({})
LOG = logging.getLogger("realtimekit-archiver")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Engine:
    """Runs stages in this process alone, and publishes nothing.

    Args:
        log: of the run.
    """

    own_errors: tuple[type[Exception], ...] = (ArchiverError,)
    """Errors that leave a stage as they are."""

    def __init__(self, log: Log = LOG) -> None:
        self.log = log
        self.history = RunHistory()
        self.retries = 0
        """Stages that were run again."""

    def prepare_process(self) -> None:
        """Make the process ready for a run: its memory and its logs, which hold no secret and no recording's bytes."""
        settle()
        botocore = logging.getLogger("botocore")
        if botocore.getEffectiveLevel() < logging.INFO:  # at DEBUG it logs bodies
            botocore.setLevel(logging.INFO)
        redact_logs()

    def views(self, recording: Recording, log: Log) -> Sequence[View]:
        """Return what shows the progress of the only recording of a run."""
        return show_on_terminal_or_in_log(recording, log)

    @contextmanager
    def open_session(
        self,
        settings: Settings,
        *,
        store_access: StoreAccess | None = None,
        cancellation: CancellationGroup | None = None,
        views: Callable[[Recording, Log], Sequence[View]] | None = None,
    ) -> Iterator[Session]:
        """Give a session of the run, and close it after the block.

        Args:
            settings: as loaded for this run.
            store_access: see `Session`.
            cancellation: see `Session`.
            views: see `Session`; by default those of this engine.
        """
        self.prepare_process()
        session = Session(
            settings, self.log, store_access=store_access, views=views or self.views, cancellation=cancellation
        )
        try:
            with self.no_foreign_errors():
                yield session
        finally:
            session.close()

    @contextmanager
    def no_foreign_errors(self) -> Iterator[None]:
        """Raise `Unforeseen` in place of an error that is none of ours, whose text may quote a header or a URL.

        The traceback goes into the log, without secrets.
        """
        try:
            yield
        except self.own_errors:
            raise
        except Exception as error:  # noqa: BLE001 - that is what it is for
            self.log.error("%s", redact("".join(traceback.format_exception(error))))  # noqa: TRY400
            place = traceback.extract_tb(error.__traceback__)[-1]
            text = safe_line(str(error))
            failure = Unforeseen(type(error).__name__, text, f"line {place.lineno} of {Path(place.filename).name}")
        else:
            return
        raise failure

    def run_once(self, stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a stage, and return its result."""
        with self.no_foreign_errors():
            return stage(*args, **kwargs)

    def with_retries(self, settings: ArchiveSettings) -> RunStage:
        """Return what runs a stage, and runs it again after errors that are worth it.

        Args:
            settings: say how often.
        """

        def run(stage: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
            stage = self.counting_retries(stage)
            for retry in range(settings.task_retries):
                try:
                    return self.run_once(stage, *args, **kwargs)
                except ArchiverError as error:
                    if not error.retryable:
                        raise
                    delay_s = RETRY_DELAYS_S[min(retry, len(RETRY_DELAYS_S) - 1)]
                    retries = f"retry {retry + 1} of {settings.task_retries} in {delay_s:g} s"
                    self.log.warning("Stage %r failed: %s: %s", stage_name(stage), retries, error)
                time.sleep(delay_s)
            return self.run_once(stage, *args, **kwargs)

        return run

    def counting_retries(self, stage: Callable[P, R]) -> Callable[P, R]:
        """Return a stage that counts each of its runs but the first."""
        attempts = count()

        @wraps(stage)
        def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
            if next(attempts):
                self.retries += 1
            return stage(*args, **kwargs)

        return attempt

    def emit(
        self,
        event: str,
        its_id: str,
        payload: dict[str, Any],
        kind: str = "recording",
        labels: Mapping[str, str] = NO_LABELS,
    ) -> None:
        """Emit an event about something, for whoever listens; without a server nobody does.

        Args:
            event: the event's name.
            its_id: whose event it is; becomes the event's resource.
            payload: with every key, always: Prefect's event templates fail without a trace on one that is missing.
            kind: `recording`, `session`, `sweep`, `audit`, `copy` or `expiry`.
            labels: more labels of the resource, by which an automation selects events.
        """

    def emit_archived(self, archived: ArchivedRecording) -> None:
        """Emit the event that starts what follows an archive."""
        self.emit(ARCHIVED, archived.recording_id, archived.model_dump(mode="json", exclude=set(NOT_IN_THE_EVENT)))

    def emit_session_archived(self, archived: ArchivedMeetingSession) -> None:
        """Emit the event of a new version of a session's bag."""
        payload = archived.model_dump(mode="json", exclude={"changed"})
        self.emit(SESSION_ARCHIVED, archived.session_id, payload, "session")

    def publish_markdown(self, what: str, key: str, markdown: str, description: str) -> None:
        """Publish a text for people; without a server there is no place for it.

        Args:
            what: the word for it in the log, should the server not take it.
            key: the artifact's key.
            markdown: the text.
            description: a line about it.
        """

    def publish_session(self, archived: ArchivedMeetingSession) -> None:
        """Publish a report of what was archived of a session."""
        key, description = f"archived-session-{archived.session_id}", "What was archived of a session, and where"
        self.publish_markdown("report", key, report_session(archived), description)

    def publish_table(self, key: str, rows: list[dict[str, str]], description: str) -> None:
        """Publish a table for people; without a server there is no place for it.

        Args:
            key: the artifact's key.
            rows: each with the same columns.
            description: a line about it.
        """


def stage_name(stage: Callable[..., object]) -> str:
    """Return the name of a stage as people see it."""
    return stage.__name__.replace("_", " ")


@contextmanager
def logging_on_stderr() -> Iterator[None]:
    """Write log lines to stderr in Prefect's format and at its levels.

    Raises:
        SettingsInvalid: a level is none.
    """
    level, root_level = (
        _level(prefect_settings.LOGGING_LEVEL, "INFO"),
        _level(prefect_settings.LOGGING_ROOT_LEVEL, "WARNING"),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d | %(levelname)-7s | %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    before = root.level, LOG.level
    root.addHandler(handler)
    root.setLevel(root_level)
    LOG.setLevel(level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        LOG.setLevel(before[1])


def _level(setting: tuple[str, str], default: str) -> str:
    level = prefect_settings.first_value(setting).upper() or default
    if level not in LEVELS:
        raise SettingsInvalid((f"PREFECT_{'_'.join(setting).upper()}: must be one of {', '.join(LEVELS)}",))
    return level
