"""The stages of an audit, and what they work with."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from tasks.audit.context import AuditContext
from tasks.audit.log import AuditLog
from tasks.s3 import open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.audit.auditor import Audit
    from tasks.audit.schedule import Budget
    from tasks.s3 import Store
    from tasks.session import StoreAccess
    from tasks.settings import ArchiveSettings
    from tasks.text import Log


@dataclass(frozen=True)
class AuditSession:
    """What all stages of an audit share."""

    settings: ArchiveSettings
    store_access: StoreAccess  # with connections for twice as many as the settings let read at once
    log: Log

    @contextmanager
    def attempt(self) -> Iterator[AuditContext]:
        """Give what one attempt at a stage works with; all of it ends with the block."""
        root, at_once, stop = self.settings.root, self.settings.transfer_concurrency, Event()

        def new_store() -> Store:
            return self.store_access.store(stop)

        # What was found out is written down even when all else was told to stop.
        audit_log = AuditLog(self.store_access.store(Event()), root, self.log)
        with open_reader(at_once) as reader:
            try:
                yield AuditContext(new_store(), new_store, root, audit_log, reader, at_once, stop, self.log)
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
