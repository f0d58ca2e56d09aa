"""Updates of the catalog for tests, without Prefect, and the catalog as it lies in the store."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Any

from tasks.audit import AuditLog
from tasks.catalog import CatalogContext, CatalogReport, Dataset, update_catalog
from tasks.catalog.dataset import Footer
from tasks.catalog.parquet import decode, decode_footer
from tasks.session import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.catalog import AuditRecord, Row
    from tasks.catalog.session_row import SessionRow
    from tests.support.archiving import Archiving, Run

LOG = logging.getLogger(__name__)


class Audits:
    """The records of an archive's audits, as production hands them to an update."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    def version(self) -> str:
        """Return another text whenever there are new records."""
        return self._log.version(datetime.now(UTC))

    def records(self) -> Mapping[str, AuditRecord]:
        """Return the last record of each bag."""
        return self._log.read(datetime.now(UTC))


def update(bench: Archiving, meddle: Callable[..., Any] | None = None, **options: Any) -> CatalogReport:
    """Update the catalog in a run of its own."""
    return updated_by(bench.run(meddle), **options)


def updated_by(run: Run, **options: Any) -> CatalogReport:
    """Update the catalog with a run's own clients."""
    root, session = f"{run.setup.prefix}/", run.attempt.session
    bucket, audits = run.store, Audits(AuditLog(run.store, root, LOG))
    context = CatalogContext(bucket, lambda: Attempt(session, Event()).store, Dataset(bucket, root), audits, LOG)
    return update_catalog(context, **options)


def files(bench: Archiving) -> dict[str, bytes]:
    """Return the files of the catalog by their keys."""
    keys = bench.stored_keys("archive/_catalog/")
    return {key: bench.s3.get_object(Bucket=bench.bucket, Key=key)["Body"].read() for key in keys}


def rows(bench: Archiving) -> dict[str, Row]:
    """Return the rows of the catalog by the recording's id; each is there once."""
    listed = [row for content in files(bench).values() for row in decode(content)]
    by_id = {row["recording_id"]: row for row in listed}
    assert len(by_id) == len(listed)
    return by_id


def sessions(bench: Archiving) -> list[SessionRow]:
    """Return the sessions without a recording, of all files of the catalog."""
    footers = [Footer.model_validate_json(decode_footer(content)) for content in files(bench).values()]
    return [session for footer in footers for session in footer.sessions]
