"""Audits for tests, without Prefect."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

from tasks.archive import held_at
from tasks.audit.auditor import Audit
from tasks.audit.context import AuditContext
from tasks.audit.findings import Damage
from tasks.audit.log import AuditLog
from tasks.audit.report import report
from tasks.audit.schedule import Budget
from tasks.s3.read_ahead import open_reader
from tasks.session import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.audit.models import AuditReport
    from tests.support.archiving import Archiving, Run

LOG = logging.getLogger(__name__)


@dataclass
class Audited:
    """An audit that has ended."""

    audit: Audit
    report: AuditReport
    told: list[Damage] = field(default_factory=list)

    @property
    def findings(self) -> dict[str, list[tuple[str, str]]]:
        """What is damaged, and how, by the recording's id, or by the session's folder and version."""
        damages = [*self.report.damaged, *self.report.damaged_sessions]
        return {one.recording_id: [(f.kind, f.path) for f in one.findings] for one in damages}

    @property
    def reread(self) -> set[str]:
        """The ids of the recordings that were read, and the folders and versions of sessions."""
        return {held_at(folder).recording_id for folder in self.audit.findings.reread}

    @property
    def notices(self) -> set[str]:
        """What else there is to tell."""
        return {notice.what for notice in self.report.notices}


def audited(bench: Archiving, meddle: Callable[..., Any] | None = None, *, at_once: int = 1, **options: Any) -> Audited:
    """Audit an archive, with one reader unless more are wanted: then all comes in its order."""
    return audited_by(bench.run(meddle), at_once=at_once, **options)


def audited_by(
    run: Run,
    *,
    at_once: int = 1,
    size: float = 0,
    deep: bool = True,
    later: timedelta = timedelta(0),
    app_ids: tuple[str, ...] = (),
) -> Audited:
    """Audit an archive with a run's own clients.

    Args:
        size: bytes to read; 0 for all.
        later: how much later than now it is to be.
    """
    now, told = datetime.now(UTC) + later, list[Damage]()
    audit, root, stop = Audit(now, told.append), f"{run.setup.prefix}/", Event()

    def new_store(stop: Event = stop) -> Any:
        return Attempt(run.attempt.session, stop).store

    with open_reader(at_once) as reader:
        context = AuditContext(
            new_store(), new_store, root, AuditLog(new_store(Event()), root, LOG), reader, at_once, stop, LOG
        )
        audit.survey(context, app_ids)
        if deep:
            audit.reread(context, Budget(size, 600))
    url = f"s3://{run.setup.bucket}/{run.setup.prefix}"
    return Audited(audit, report(audit.findings, url, now, 31, run.setup.app_id, deep=deep), told)


def records(bench: Archiving) -> list[dict[str, Any]]:
    """Return all that audits have written down."""
    keys = bench.stored_keys("archive/_audit/")
    bodies = [bench.s3.get_object(Bucket=bench.bucket, Key=key)["Body"].read() for key in keys]
    return [json.loads(line) for body in bodies for line in body.splitlines()]
