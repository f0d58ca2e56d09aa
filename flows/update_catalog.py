"""Brings the catalog up to date with the archive: a table of all recordings, which anybody's tools read.

uv run python -m flows.update_catalog [--rebuild] [--archive-url URL] [--app-id ID …]
"""
# ruff: noqa: E402
# (a command has ended before Prefect is imported, unless it runs as a flow)

from __future__ import annotations

import sys
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Annotated

from tasks import command
from tasks.app_ids import AppId
from tasks.arguments import Metavar
from tasks.audit import AuditLog
from tasks.catalog import CatalogContext, CatalogReport, Dataset
from tasks.catalog import update_catalog as update_dataset
from tasks.engine import Engine
from tasks.s3 import MAX_BODIES, new_s3_client
from tasks.session import SPARE_CONNECTIONS, StoreAccess
from tasks.settings import ArchiveSettings, load_settings

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from botocore.client import BaseClient

    from tasks.catalog import AuditRecord
    from tasks.text import Log


class AuditRecords:
    """The records of an archive's audits.

    Args:
        log: where they are.
        now: the time of the update.
    """

    def __init__(self, log: AuditLog, now: datetime) -> None:
        self._log = log
        self._now = now

    def version(self) -> str:
        """Return another text whenever there are new records."""
        return self._log.version(self._now)

    def records(self) -> Mapping[str, AuditRecord]:
        """Return the last record of each bag, by its folder below the archive's root."""
        return self._log.read(self._now)


def update(
    engine: Engine,
    *,
    archive_url: Annotated[str, Metavar("URL")] = "",
    app_ids: tuple[AppId, ...] = (),
    rebuild: bool = False,
) -> CatalogReport:
    """Bring the catalog up to date: only bags that are new or changed are read, and no byte of the media.

    The catalog is derived from the bags alone. If it is lost, the next update makes it again.

    Args:
        archive_url: Where a recording is archived, as the event of its archiving says. Then only the month of that
            recording is looked at. Leave it empty for all recordings.
        app_ids: RealtimeKit apps whose recordings to look at. None for all that is in the archive.
        rebuild: Read all bags again.

    Raises:
        CatalogNewer: a newer version of this program has written the catalog.
        NotInArchive: the address is not one of a recording in this archive.
    """
    settings = load_settings(ArchiveSettings)
    engine.prepare_process()
    s3 = new_s3_client(SPARE_CONNECTIONS, keys=settings.store_keys)
    run = engine.with_retries(settings)
    report = run(write_catalog, settings, s3, engine.log, archive_url=archive_url, app_ids=app_ids, rebuild=rebuild)
    _log_report(report, engine.log)
    return report


def write_catalog(
    settings: ArchiveSettings, s3: BaseClient, log: Log, *, archive_url: str, app_ids: Collection[str], rebuild: bool
) -> CatalogReport:
    """Compare the catalog with the archive, and write what differs."""
    access, stop = StoreAccess(settings, s3, bodies=MAX_BODIES), Event()
    store = access.store(stop)
    audits = AuditRecords(AuditLog(store, settings.root, log), datetime.now(UTC))
    context = CatalogContext(store, lambda: access.store(stop), Dataset(store, settings.root), audits, log)
    try:
        return update_dataset(context, app_ids=app_ids, archive_url=archive_url, rebuild=rebuild)
    finally:
        stop.set()  # whoever is reading ends


def _log_report(report: CatalogReport, log: Log) -> None:
    for where in report.unreadable:
        log.warning("Not readable, tried again by the next update: %s", where)
    for key in report.foreign:
        log.warning("%s is none of the catalog's files: readers of the catalog take the object for rows.", key)
    if not report.settled:
        log.info("The archive changed all the time: the next update carries on.")
    log.info("%d recordings, %d read, %d removed, %d months written: %s", report.recordings, report.read,
             report.removed, report.months_written, report.catalog_url)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Update the catalog from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return command.main(update, "flows.update_catalog:update_catalog", ArchiveSettings, arguments)


if __name__ == "__main__":
    sys.exit(main())


from typing import Any

from tasks import cli
from tasks.orchestration.engine import PrefectEngine
from tasks.orchestration.flow import flow


@flow(name="update-catalog", persist_result=False)
@command.with_signature_of(update)
def update_catalog(**parameters: Any) -> CatalogReport:
    """Update the catalog."""
    return cli.achieved(update(PrefectEngine(), **parameters))
