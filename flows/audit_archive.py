"""Proves that what was archived is still what was archived: reads a share of the archive again, another each time.

uv run python -m flows.audit_archive [--no-deep] [--max-gigabytes N] [--max-minutes N] …
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.logging import get_run_logger
from pydantic import Field

from tasks import cli
from tasks.audit import (
    Audit,
    AuditReport,
    Budget,
    describe_damage,
    describe_unfinished,
    report,
    rows,
    summarize_damage,
    summary,
)
from tasks.errors import ArchiverError, AuditUnfinished, DamageFound
from tasks.orchestration.artifacts import Decoration
from tasks.orchestration.audit_stages import AuditSession, announce_damage, reread_recordings, survey_archive
from tasks.orchestration.server import prefect_at_hand, settings_of
from tasks.orchestration.stages import prepare_process, retried
from tasks.s3 import new_s3_client
from tasks.session import SPARE_CONNECTIONS
from tasks.settings import APP_ID_PATTERN, AuditSettings, load_settings

if TYPE_CHECKING:
    from tasks.audit import Damage
    from tasks.text import Log

MAX_GIGABYTES, MAX_MINUTES, WITHIN_DAYS = 50.0, 60, 31
MOST_GIGABYTES, MOST_MINUTES, MOST_DAYS = 1_000_000.0, 20 * 60, 3660
GB = 1_000_000_000

Gigabytes = Annotated[float, Field(ge=0, le=MOST_GIGABYTES)]
Minutes = Annotated[int, Field(ge=1, le=MOST_MINUTES)]
Days = Annotated[int, Field(ge=1, le=MOST_DAYS)]
AppId = Annotated[str, Field(pattern=APP_ID_PATTERN)]


def _run_name() -> str:
    return f"audit of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


@flow(name="audit-archive", flow_run_name=_run_name, persist_result=False)
def audit_archive(
    *,
    deep: bool = True,
    max_gigabytes: Gigabytes = MAX_GIGABYTES,
    max_minutes: Minutes = MAX_MINUTES,
    within_days: Days = WITHIN_DAYS,
    app_ids: tuple[AppId, ...] = (),
) -> AuditReport:
    """Prove that what was archived is still what was archived: read a share of it again, another share each time.

    The run fails, once all is done that can be, if a recording is damaged. Nothing is repaired, and nothing deleted.

    Args:
        deep: Read recordings again, and compare their checksums. Without it, only listings and sizes are compared, of
            the whole archive.
        max_gigabytes: Begin no further recording once so many gigabytes are read. 0 for any number.
        max_minutes: Begin no further recording after so many minutes. What is begun is finished.
        within_days: The report says how many recordings were read again within so many days.
        app_ids: RealtimeKit apps whose recordings to look at. None for all that is in the archive.

    Raises:
        DamageFound: recordings are no longer what was archived; the result is in it.
        AuditUnfinished: the store did not answer; what was found until then is in it.
    """
    settings = load_settings(AuditSettings)
    prepare_process()
    log = get_run_logger()
    s3 = new_s3_client(2 * settings.transfer_concurrency + SPARE_CONNECTIONS)
    session, url, app_id = AuditSession(settings, s3, log), settings.archive_url, settings.realtimekit_app_id
    budget = Budget(max_gigabytes * GB, max_minutes * 60)

    def tell(damage: Damage) -> None:
        announce_damage(describe_damage(damage, url, datetime.now(UTC), app_id), log)

    audit, unfinished = Audit(datetime.now(UTC), tell), ""
    retried(survey_archive, settings)(session, audit, app_ids)
    if deep:
        try:
            retried(reread_recordings, settings)(session, audit, budget)
        except ArchiverError as error:
            unfinished = str(error)
    result = report(audit.findings, url, datetime.now(UTC), within_days, app_id, deep=deep, unfinished=unfinished)
    _publish(result, log)
    _require_all_well(result)
    return cli.achieved(result)


def _publish(audit: AuditReport, log: Log) -> None:
    """Leave a table in Prefect's UI; without its server there is none."""
    for notice in audit.notices:
        log.warning("%s: %s: %s", notice.what, notice.where, notice.detail)
    told = f"{summary(audit)}."
    log.info("%s", told)
    Decoration(log).attempt("table", lambda: create_table_artifact(rows(audit), "audit-archive", told))


def _require_all_well(audit: AuditReport) -> None:
    told, missing = summarize_damage(audit), describe_unfinished(audit)
    if not told and not missing:
        return
    error: ArchiverError = DamageFound(f"{told}. {missing}".strip()) if told else AuditUnfinished(missing)
    error.result = audit
    raise error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.audit_archive",
        description="Prove that what was archived is still what was archived.",
    )
    add = parser.add_argument
    add("--deep", action=argparse.BooleanOptionalAction, default=True, help="read recordings again; without it, "
        "listings and sizes are compared, of the whole archive")  # fmt: skip
    add("--max-gigabytes", type=cli.number_between(0.0, MOST_GIGABYTES), default=MAX_GIGABYTES, metavar="N",
        help="begin no further recording once so many are read; 0 for any number; default: %(default)s")  # fmt: skip
    add("--max-minutes", type=cli.number_between(1, MOST_MINUTES), default=MAX_MINUTES, metavar="N",
        help="begin no further recording after so many; default: %(default)s")  # fmt: skip
    add("--within-days", type=cli.number_between(1, MOST_DAYS), default=WITHIN_DAYS, metavar="N",
        help="report how many recordings were read again within so many; default: %(default)s")  # fmt: skip
    add("--app-id", type=cli.matching(APP_ID_PATTERN), action="append", default=[], dest="app_ids", metavar="ID",
        help="only this app's recordings; may be repeated")  # fmt: skip
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Audit from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    given = vars(_parser().parse_args(arguments))

    def audit() -> AuditReport:
        settings_of(AuditSettings)  # what is wrong with them is told before Prefect starts anything
        with prefect_at_hand():
            result: AuditReport = audit_archive(**given)
            return result

    return cli.run(audit)


if __name__ == "__main__":
    sys.exit(main())
