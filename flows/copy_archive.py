"""Copies the archive to a second bucket, bag by bag, verified; or compares the two.

uv run python -m flows.copy_archive [--max-bags N] [--max-deletions N] [--replace ID …] [--app-id ID …]
uv run python -m flows.copy_archive --compare
"""
# ruff: noqa: E402
# (a command has ended before Prefect is imported, unless it runs as a flow)

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from tasks import command
from tasks.app_ids import AppId
from tasks.copy_settings import CopySettings, CopyStoreSettings
from tasks.copying import (
    CopyFindings,
    CopyOptions,
    CopyReport,
    CopySession,
    copy_bags,
    describe_problems,
    figures_of,
    make_report,
    summarize,
    table_rows,
)
from tasks.engine import COPIED, Engine
from tasks.errors import ArchiverError, CopyIncomplete, CopyUnusable, StoreRefused
from tasks.realtimekit import RecordingId  # noqa: TC001 - the command line and the form come from it
from tasks.restore import SPARE_CONNECTIONS
from tasks.s3 import MAX_BODIES, new_s3_client
from tasks.session import StoreAccess
from tasks.settings import load_settings

MOST = 10_000_000

Count = Annotated[int, Field(ge=0, le=MOST)]


def copy(
    engine: Engine,
    *,
    compare: bool = False,
    max_bags: Count = 0,
    max_deletions: Count = 0,
    replace: tuple[RecordingId, ...] = (),
    app_ids: tuple[AppId, ...] = (),
) -> CopyReport:
    """Copy to a second bucket what is not there yet: recordings, sessions, and what was made from them.

    Each file is verified while it moves, and a bag's marker comes last. What is there is not read again. Nothing in the
    copy is written over or deleted, unless one of the options says so. The run fails at its end, once all else is
    copied, if something is damaged in the archive, or is another in the copy.

    Args:
        compare: Copy and delete nothing: read the manifests of all bags in both, and report what is missing in the
            copy, or differs. For stores that replicate by themselves, too.
        max_bags: Copy at most so many recordings and versions of sessions, newest months first. 0 for any number.
        max_deletions: Delete at most so many bags from the copy that were deleted from the archive on purpose. 0 to
            delete none, and report them.
        replace: Ids of recordings and sessions whose copies are replaced: the archive's is read first, and has to be
            whole.
        app_ids: RealtimeKit apps whose recordings and sessions to copy. None for all that is in the archive.

    Raises:
        CopyUnusable: the copy is not another place than the archive.
        CopyIncomplete: something could not be copied, or is not the same in both; the result is in it.
    """
    began = time.monotonic()
    settings = load_settings(CopySettings)
    engine.prepare_process()
    session = open_session(settings, engine)
    findings, unfinished = CopyFindings(), ""
    options = CopyOptions(app_ids, compare, max_bags, max_deletions, frozenset(replace))
    try:
        engine.with_retries(settings)(copy_bags, session, findings, options)
    except ArchiverError as error:
        unfinished = str(error)
    result = make_report(session, findings, options, time.monotonic() - began, unfinished)
    publish_table(engine, result)
    emit_copied(engine, result)
    if problems := describe_problems(result):
        incomplete = CopyIncomplete(problems)
        incomplete.result = result
        raise incomplete
    return result


def open_session(settings: CopySettings, engine: Engine) -> CopySession:
    """Return what all stages of a copy share.

    Raises:
        CopyUnusable: the copy is not another place than the archive.
    """
    connections = settings.transfer_concurrency + SPARE_CONNECTIONS
    first, of_copy = new_s3_client(connections, **settings.store_access), settings.of_copy()
    try:
        second = new_s3_client(connections, **of_copy.store_access)
    except StoreRefused as refused:
        raise CopyUnusable(of_copy.archive_url, refused.message, "Correct the settings ARCHIVE_COPY_….") from None
    accesses = StoreAccess(settings, first, bodies=MAX_BODIES), StoreAccess(of_copy, second, bodies=MAX_BODIES)
    return CopySession(settings, of_copy, *accesses, engine.log)


def publish_table(engine: Engine, result: CopyReport) -> None:
    """Log what there is to say, and leave a table in Prefect's UI."""
    description = f"{summarize(result)}."
    engine.log.info("%s", description)
    engine.publish_table("copy-archive", table_rows(result), description)


def emit_copied(engine: Engine, result: CopyReport) -> None:
    """Emit the event of a copy, or of a comparison, that has come to its end."""
    engine.emit(COPIED, result.copy_url.removeprefix("s3://"), figures_of(result).model_dump(mode="json"), "copy")


def main(arguments: list[str] | None = None) -> int:
    """Copy from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return command.main(copy, "flows.copy_archive:copy_archive", CopySettings, arguments)


if __name__ == "__main__":
    sys.exit(main())


from typing import Any

from prefect import State
from prefect.states import Completed

from tasks import cli
from tasks.orchestration.engine import PrefectEngine
from tasks.orchestration.flow import flow
from tasks.orchestration.run_history import find_earlier_run


def _run_name() -> str:
    return f"copy of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


@flow(name="copy-archive", flow_run_name=_run_name, persist_result=False)
@command.with_signature_of(copy)
def copy_archive(**parameters: Any) -> CopyReport | State[None]:
    """Copy, if a target is set, and unless an earlier run of the same deployment is still at work."""
    engine = PrefectEngine()
    if not load_settings(CopyStoreSettings).archive_copy_url:
        return Completed(name="Off", message="There is no second copy: ARCHIVE_COPY_URL is not set.")
    if earlier := find_earlier_run(datetime.now(UTC), engine.log):
        return Completed(name="Left", message=f"{earlier.name} is still at work: it is left to that.")
    return cli.achieved(copy(engine, **parameters))
