"""The @task functions of an audit: each is one of its stages, and all logic is in the plain modules."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from tasks.audit import AuditContext, AuditLog
from tasks.orchestration.stages import emit_of_recording, stage
from tasks.s3 import MOST_BODIES, Dialect, Pace, Store, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from botocore.client import BaseClient

    from tasks.audit import Audit, Budget, DamagedRecording
    from tasks.settings import AuditSettings
    from tasks.text import Log

EVENT = "realtimekit.archive.damaged"


@dataclass(frozen=True)
class Desk:
    """Where an audit is done."""

    settings: AuditSettings
    s3: BaseClient  # with connections for twice as many as the settings let read at once
    log: Log
    pace: Pace = field(default_factory=lambda: Pace(MOST_BODIES))
    dialect: Dialect = field(default_factory=Dialect)

    @property
    def root(self) -> str:
        """The archive's key prefix, with a slash at its end, or empty."""
        return f"{self.settings.prefix}/" if self.settings.prefix else ""

    @contextmanager
    def means(self) -> Iterator[AuditContext]:
        """Give what a stage works with; all of it ends with the stage."""
        its, stop = self.settings, Event()

        def new_store(stop: Event = stop) -> Store:
            return Store(self.s3, its.bucket, its.transfer_patience, stop, self.pace, self.dialect)

        # What was found out is written down even when all else was told to stop.
        audit_log = AuditLog(new_store(Event()), self.root, self.log)
        at_once = its.transfer_concurrency
        with reading(at_once) as reader:
            try:
                yield AuditContext(new_store(), new_store, self.root, audit_log, reader, at_once, stop, self.log)
            finally:
                stop.set()


@stage("survey archive")
def survey_archive(desk: Desk, audit: Audit, app_ids: Sequence[str]) -> None:
    """List the archive, and look closer at what is not as it was."""
    with desk.means() as context:
        audit.survey(context, app_ids)


@stage("re-read recordings")
def reread_recordings(desk: Desk, audit: Audit, budget: Budget) -> None:
    """Read recordings again, those first that were not read for longest."""
    with desk.means() as context:
        audit.reread(context, budget)


def announce_damage(damaged: DamagedRecording, log: Log) -> None:
    """Tell of a damaged recording, in the log and with an event."""
    log.error("DAMAGED: %s", damaged)
    emit_of_recording(EVENT, damaged.recording_id, damaged.model_dump(mode="json"), log)
