"""The stages of an audit, and what they work with."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from tasks.audit.auditor import AuditContext
from tasks.audit.log import AuditLog
from tasks.s3 import MAX_BODIES, Store, StoreCapabilities, Throttle, open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from botocore.client import BaseClient

    from tasks.audit.auditor import Audit
    from tasks.audit.schedule import Budget
    from tasks.settings import AuditSettings
    from tasks.text import Log


@dataclass(frozen=True)
class AuditSession:
    """The client of the store for all stages of an audit, and what is known of the store."""

    settings: AuditSettings
    s3: BaseClient  # with connections for twice as many as the settings let read at once
    log: Log
    throttle: Throttle = field(default_factory=lambda: Throttle(MAX_BODIES))
    capabilities: StoreCapabilities = field(default_factory=StoreCapabilities)

    @property
    def root(self) -> str:
        """The archive's key prefix, with a slash at its end, or empty."""
        return f"{self.settings.prefix}/" if self.settings.prefix else ""

    @contextmanager
    def attempt(self) -> Iterator[AuditContext]:
        """Give what one attempt at a stage works with; all of it ends with the block."""
        settings, stop = self.settings, Event()

        def new_store(stop: Event = stop) -> Store:
            return Store(self.s3, settings.bucket, settings.transfer_patience, stop, self.throttle, self.capabilities)

        # What was found out is written down even when all else was told to stop.
        audit_log = AuditLog(new_store(Event()), self.root, self.log)
        at_once = settings.transfer_concurrency
        with open_reader(at_once) as reader:
            try:
                yield AuditContext(new_store(), new_store, self.root, audit_log, reader, at_once, stop, self.log)
            finally:
                stop.set()


def survey_archive(session: AuditSession, audit: Audit, app_ids: Sequence[str]) -> None:
    """List the archive, and look closer at what is not as it was."""
    with session.attempt() as context:
        audit.survey(context, app_ids)


def reread_recordings(session: AuditSession, audit: Audit, budget: Budget) -> None:
    """Read recordings again, those first that were not read for longest."""
    with session.attempt() as context:
        audit.reread(context, budget)
