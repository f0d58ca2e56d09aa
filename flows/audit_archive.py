"""Proves that what was archived is still what was archived: reads a share of the archive again, another each time.

uv run python -m flows.audit_archive [--no-deep] [--max-gigabytes N] [--max-minutes N] …
"""
# ruff: noqa: E402
# (a command has ended before Prefect is imported, unless it runs as a flow)

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks import command
from tasks.app_ids import AppId
from tasks.audit import (
    Audit,
    AuditReport,
    AuditSession,
    Budget,
    DamagedSession,
    describe_damage,
    describe_unfinished,
    figures_of,
    report,
    reread_recordings,
    rows,
    summarize_damage,
    summary,
    survey_archive,
)
from tasks.copy_settings import CopySettings
from tasks.engine import ALARM_LABEL, AUDITED, DAMAGED, Engine
from tasks.errors import ArchiverError, AuditUnfinished, DamageFound
from tasks.s3 import MAX_BODIES, new_s3_client
from tasks.session import SPARE_CONNECTIONS, StoreAccess
from tasks.settings import ArchiveSettings, AuditSettings, load_settings

if TYPE_CHECKING:
    from tasks.audit import Damage, DamagedRecording
    from tasks.figures import AuditFigures

MAX_GIGABYTES, MAX_MINUTES, WITHIN_DAYS = 50.0, 60, 31
MOST_GIGABYTES, MOST_MINUTES, MOST_DAYS = 1_000_000.0, 20 * 60, 3660
GB = 1_000_000_000
MOST_ALARMS = 10

Gigabytes = Annotated[float, Field(ge=0, le=MOST_GIGABYTES)]
Minutes = Annotated[int, Field(ge=1, le=MOST_MINUTES)]
Days = Annotated[int, Field(ge=1, le=MOST_DAYS)]


def audit(
    engine: Engine,
    *,
    deep: bool = True,
    max_gigabytes: Gigabytes = MAX_GIGABYTES,
    max_minutes: Minutes = MAX_MINUTES,
    within_days: Days = WITHIN_DAYS,
    app_ids: tuple[AppId, ...] = (),
    of_copy: bool = False,
) -> AuditReport:
    """Prove that what was archived is still what was archived: read a share of it again, another share each time.

    The run fails, once all is done that can be, if a recording or the newest version of a session is damaged. Nothing
    is repaired, and nothing deleted.

    Args:
        deep: Read recordings and sessions again, and compare their checksums. Without it, only listings and sizes are
            compared, of the whole archive.
        max_gigabytes: Begin no further recording or session once so many gigabytes are read. 0 for any number.
        max_minutes: Begin no further recording or session after so many minutes. What is begun is finished.
        within_days: The report says how many recordings and sessions were read again within so many days.
        app_ids: RealtimeKit apps whose recordings and sessions to look at. None for all that is in the archive.
        of_copy: Look at the second copy (ARCHIVE_COPY_URL) in place of the archive; its audits are recorded there.

    Raises:
        DamageFound: recordings or sessions are no longer what was archived; the result is in it.
        AuditUnfinished: the store did not answer; what was found until then is in it.
    """
    settings = load_settings(CopySettings).of_copy() if of_copy else load_settings(AuditSettings)
    engine.prepare_process()
    s3 = new_s3_client(2 * settings.transfer_concurrency + SPARE_CONNECTIONS, **settings.store_access)
    session = AuditSession(settings, StoreAccess(settings, s3, bodies=MAX_BODIES), engine.log)
    url, app_id = settings.archive_url, getattr(settings, "realtimekit_app_id", "")
    budget = Budget(max_gigabytes * GB, max_minutes * 60)

    numbers = count(1)

    def note(damage: Damage) -> None:
        emit_damaged(engine, describe_damage(damage, url, datetime.now(UTC), app_id, copy=of_copy), next(numbers))

    findings, unfinished = Audit(datetime.now(UTC), note), ""
    engine.with_retries(settings)(survey_archive, session, findings, app_ids)
    if deep:
        try:
            engine.with_retries(settings)(reread_recordings, session, findings, budget)
        except ArchiverError as error:
            unfinished = str(error)
    result = report(
        findings.findings, url, datetime.now(UTC), within_days, app_id, deep=deep, unfinished=unfinished, copy=of_copy
    )
    publish_table(engine, result)
    publish_figures(engine, settings, figures_of(result, looked_at_all=not app_ids))
    _require_all_well(result)
    return result


def emit_damaged(engine: Engine, recording: DamagedRecording, number: int = 1) -> None:
    """Report a damaged recording, or a damaged version of a session, in the log and with an event.

    Args:
        engine: of the run.
        recording: what is damaged.
        number: of the damage in this audit, from 1 on. Only the first ones ask for a person each: the run's failure
            counts them all.
    """
    superseded = isinstance(recording, DamagedSession) and recording.superseded
    if superseded:
        engine.log.warning("Damaged: %s", recording)
    else:
        engine.log.error("DAMAGED: %s", recording)
    labels = {ALARM_LABEL: "no" if superseded or number > MOST_ALARMS else "yes"}
    engine.emit(DAMAGED, recording.recording_id, recording.model_dump(mode="json"), labels=labels)


def publish_table(engine: Engine, result: AuditReport) -> None:
    """Log what there is to say, and leave a table in Prefect's UI."""
    for notice in result.notices:
        engine.log.warning("%s: %s: %s", notice.what, notice.where, notice.detail)
    description = f"{summary(result)}."
    engine.log.info("%s", description)
    engine.publish_table("audit-archive", rows(result), description)


def publish_figures(engine: Engine, settings: ArchiveSettings, figures: AuditFigures) -> None:
    """Emit the event of an audit that has come to its end, and write its figures for Prometheus where that is wanted.

    An audit of some apps replaces no figures of the whole archive in the file.
    """
    archive = settings.archive_url.removeprefix("s3://")
    engine.emit(AUDITED, archive, figures.model_dump(mode="json"), "audit")
    if settings.metrics_folder and figures.looked_at_all:
        from tasks.figures import exposition, textfile  # noqa: PLC0415 - Prometheus' library takes a while

        completed = {archive: exposition.Completed(datetime.now(UTC), figures)}
        metrics = exposition.audit_metrics(completed)
        textfile.write_metrics(settings.metrics_folder, f"realtimekit_audit_{archive}", metrics, engine.log)


def _require_all_well(result: AuditReport) -> None:
    damage, missing = summarize_damage(result), describe_unfinished(result)
    if not damage and not missing:
        return
    error: ArchiverError = DamageFound(f"{damage}. {missing}".strip()) if damage else AuditUnfinished(missing)
    error.result = result
    raise error


def main(arguments: list[str] | None = None) -> int:
    """Audit from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return command.main(audit, "flows.audit_archive:audit_archive", AuditSettings, arguments)


if __name__ == "__main__":
    sys.exit(main())


from typing import Any

from tasks import cli
from tasks.orchestration.engine import PrefectEngine
from tasks.orchestration.flow import flow


def _run_name() -> str:
    return f"audit of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


@flow(name="audit-archive", flow_run_name=_run_name, persist_result=False)
@command.with_signature_of(audit)
def audit_archive(**parameters: Any) -> AuditReport:
    """Audit the archive."""
    return cli.achieved(audit(PrefectEngine(), **parameters))
