"""The scheduled catch-up: archives what is uploaded and not archived yet, soonest expiry first.

uv run python -m flows.sweep_recordings [--dry-run] [--limit N] [--at-once N] [--hand-out] …
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, cast

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.states import Completed
from pydantic import Field

from tasks import cli
from tasks.archive import missing_labels
from tasks.cancellation import CancellationGroup
from tasks.errors import (
    ArchiverError,
    CannotHandOut,
    NothingToDownload,
    NotUploadedInTime,
    SourceGone,
    SweepIncomplete,
)
from tasks.orchestration.artifacts import Decoration
from tasks.orchestration.run_history import SWEPT, HandingOut, announced, at_work_before, last_sweep, under_way
from tasks.orchestration.server import prefect_at_hand, settings_of
from tasks.orchestration.stages import archive_one, find_unarchived, open_session, retried, show_in_log
from tasks.session import Session
from tasks.settings import APP_ID_PATTERN, Settings, load_settings
from tasks.sweep import Ledger, Scope, Sweep, findings, rows, summary
from tasks.text import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from prefect.client.schemas.objects import State

    from tasks.archive import ArchivedRecording
    from tasks.sweep import ListedRecording, Outcome, Plan
    from tasks.text import Log

AT_RISK_H, AT_ONCE, RETRY_MIN = 24, 4, 60
LONGEST_H, MOST_AT_ONCE, LONGEST_RETRY_MIN, LARGEST_LIMIT = 366 * 24, 16, 7 * 24 * 60, 1_000_000
MEETING_ID = r"^[A-Za-z0-9_-]{0,64}$"
"""A UUID; meetings that were made years ago have names such as abcdef-ghijkl."""

Hours = Annotated[int, Field(ge=0, le=LONGEST_H)]
Count = Annotated[int, Field(ge=0, le=LARGEST_LIMIT)]
AtOnce = Annotated[int, Field(ge=1, le=MOST_AT_ONCE)]
Minutes = Annotated[int, Field(ge=1, le=LONGEST_RETRY_MIN)]
MeetingId = Annotated[str, Field(pattern=MEETING_ID)]
AppId = Annotated[str, Field(pattern=APP_ID_PATTERN)]


def _run_name() -> str:
    return f"sweep of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


@flow(name="sweep-recordings", flow_run_name=_run_name, persist_result=False)
def sweep_recordings(
    *,
    dry_run: bool = False,
    limit: Count = 0,
    at_risk_hours: Hours = AT_RISK_H,
    invoked_within_hours: Hours = 0,
    meeting_id: MeetingId = "",
    app_ids: tuple[AppId, ...] = (),
    at_once: AtOnce = AT_ONCE,
    hand_out: bool = False,
    retry_minutes: Minutes = RETRY_MIN,
) -> Sweep:
    """Find the recordings that are uploaded and not archived yet, and archive them, soonest expiry first.

    The run fails, once all is done that can be, if a recording failed, expires soon, or expired without being archived.
    Of one deployment, one run sweeps: another one that begins meanwhile ends at once, as Left.

    Args:
        dry_run: Only show what would be done.
        limit: Archive at most so many recordings now, those that expire soonest. 0 for all.
        at_risk_hours: A recording that is not archived and expires within so many hours is at risk, and makes the run
            fail. One that expired without being archived makes it fail for as many hours.
        invoked_within_hours: Look only at recordings that were begun within the last so many hours. 0 for all.
        meeting_id: Look only at the recordings of this meeting, a UUID. Empty for all.
        app_ids: RealtimeKit apps of the same account to look at. None for the app of the settings.
        at_once: How many recordings to archive at once. They share the connections that the settings allow one.
        hand_out: Start a run of archive-recording/on-demand for each recording, so that many workers share them,
            instead of archiving them here.
        retry_minutes: With hand_out, start a new run for the same recording at most once in so many minutes.

    Raises:
        SweepIncomplete: somebody has to look at something; the result is in it.
    """
    settings = load_settings(Settings)
    apps = tuple(dict.fromkeys(app_ids)) or (settings.realtimekit_app_id,)
    if hand_out and apps != (settings.realtimekit_app_id,):
        raise CannotHandOut("its runs archive the recordings of the app in their own settings only")
    now, at_risk, within = datetime.now(UTC), timedelta(hours=at_risk_hours), timedelta(hours=invoked_within_hours)
    with open_session(settings) as session:
        if not dry_run and (other := at_work_before(now, session.log)):
            left: State[None] = Completed(name="Left", message=f"{other.name} is still at work: it is left to that.")
            return cast("Sweep", left)  # a deployment's run has no caller, only the engine
        last = last_sweep(now, session.log)
        scope = Scope(now, at_risk, last.ago, within, meeting_id.lower(), last.told)
        plan = retried(find_unarchived, settings)(session, apps, scope)
        ledger = Ledger(plan, scope, _announced(plan, scope, session.log), session.log)
        todo = ledger.todo(0 if dry_run else limit, under_way(scope.now, session.log) if plan.to_archive else ())
        if dry_run:
            ledger.leave(todo)
        elif hand_out:
            _hand_out(todo, retry_minutes, scope.now, ledger.note)
        else:
            _archive(todo, session, at_once, ledger.note)
        result = ledger.result(dry_run=dry_run)
        _publish(result, session.log)
    if not dry_run and (told := findings(result, scope)):
        incomplete = SweepIncomplete(told)
        incomplete.result = result
        raise incomplete
    return cli.achieved(result)


def _announced(plan: Plan, scope: Scope, log: Log) -> Mapping[str, bool]:
    """Return which of the recordings that are not archived a webhook had announced, as far as Prefect can tell."""
    asked = [*plan.to_archive, *plan.not_downloadable, *plan.lost]
    since = min((one.invoked for one in asked if one.invoked), default=scope.now)
    return announced({one.id for one in asked}, since, log)


def _archive(
    todo: Sequence[ListedRecording], session: Session, at_once: int, note: Callable[[ListedRecording, Outcome], None]
) -> None:
    """Archive recordings in this run, a few at a time; none that fails stops another."""
    if not todo:
        return
    at_once, cancellation = min(at_once, len(todo)), CancellationGroup()
    with _sessions(session, at_once, cancellation) as idle, ThreadPoolExecutor(at_once) as threads:

        def bring_home(one: ListedRecording) -> ArchivedRecording:
            own = idle.get()
            try:
                return archive_one(own.for_app(one.app_id), one.id)
            finally:
                idle.put(own)

        # Prefect knows by context variables to which run a task belongs.
        futures = {threads.submit(copy_context().run, bring_home, one): one for one in todo}
        try:
            for future in as_completed(futures):
                error = future.exception()
                note(futures[future], _failed(error) if error else _archived(future.result()))
        finally:
            cancellation.cancel()  # a run that is cancelled does not wait for what is under way
            threads.shutdown(cancel_futures=True)


@contextmanager
def _sessions(session: Session, at_once: int, cancellation: CancellationGroup) -> Iterator[SimpleQueue[Session]]:
    """Give sessions for so many recordings at once, which together take as many connections as one would."""
    concurrency = max(1, session.settings.transfer_concurrency // at_once)
    settings = session.settings.model_copy(update={"transfer_concurrency": concurrency})
    access, idle = session.store_access, SimpleQueue[Session]()
    with ExitStack() as stack:
        for _ in range(at_once):
            own = open_session(settings, store_access=access, cancellation=cancellation, views=show_in_log)
            idle.put(stack.enter_context(own))
        yield idle


def _archived(archived: ArchivedRecording) -> Outcome:
    if archived.already_archived and missing_labels(archived.findings):
        return "left", "The API hands out all files in its list, but not in the recording's details."
    if archived.already_archived:
        return "archived", "Another run was faster."
    count = len(archived.files)
    size = f"{human_size(archived.bytes)} in {'1 file' if count == 1 else f'{count} files'}."
    return "archived", " ".join([size, *archived.findings])


def _failed(error: BaseException) -> Outcome:
    match error:
        case SourceGone():
            return "lost", str(error)
        case NothingToDownload():
            return "not_downloadable", error.reason
        case NotUploadedInTime():
            return "still_to_come", error.status
        case ArchiverError():
            return "failed", str(error)
        case _:  # the text of what nobody foresaw may hold anything
            return "failed", f"{type(error).__name__}, which nobody foresaw. The log of its task run tells more."


def _hand_out(
    todo: Sequence[ListedRecording], retry_minutes: int, now: datetime, note: Callable[[ListedRecording, Outcome], None]
) -> None:
    """Have recordings archived by runs of their own, begun in this order."""
    with get_client(sync_client=True) as client:
        runs = HandingOut(client, retry_minutes, now)
        for one in todo:
            try:
                note(one, ("handed_out", runs.hand_out(one.id)))
            except ArchiverError as error:
                note(one, ("failed", str(error)))


def _publish(sweep: Sweep, log: Log) -> None:
    """Leave a table in Prefect's UI; without its server there is none."""
    key = "sweep-plan" if sweep.dry_run else SWEPT
    described = f"{'Nothing was done. ' if sweep.dry_run else ''}{summary(sweep)}."
    log.info("%s", described)
    Decoration(log).attempt("table", lambda: create_table_artifact(rows(sweep), key, described))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.sweep_recordings",
        description="Archive what is uploaded and not archived yet, soonest expiry first.",
    )
    add, hours = parser.add_argument, cli.number_between(0, LONGEST_H)
    add("--dry-run", action="store_true", help="only show what would be done")
    add(
        "--limit",
        type=cli.number_between(0, LARGEST_LIMIT),
        default=0,
        metavar="N",
        help="archive at most so many; 0 for all",
    )
    add("--at-risk-hours", type=hours, default=AT_RISK_H, metavar="HOURS", help="what expires within them makes the "
        "sweep fail; default: %(default)s")  # fmt: skip
    add("--invoked-within-hours", type=hours, default=0, metavar="HOURS", help="only what was begun within them")
    add(
        "--meeting-id",
        type=cli.matching(MEETING_ID),
        default="",
        metavar="ID",
        help="only this meeting's recordings",
    )
    add("--app-id", type=cli.matching(APP_ID_PATTERN), action="append", default=[], dest="app_ids", metavar="ID",
        help="another app than that of the settings; may be repeated")  # fmt: skip
    add(
        "--at-once",
        type=cli.number_between(1, MOST_AT_ONCE),
        default=AT_ONCE,
        metavar="N",
        help="default: %(default)s",
    )
    add("--hand-out", action="store_true", help="start a run of archive-recording/on-demand for each, on workers")
    add("--retry-minutes", type=cli.number_between(1, LONGEST_RETRY_MIN), default=RETRY_MIN, metavar="MINUTES",
        help="with --hand-out: at most one run for a recording in so many; default: %(default)s")  # fmt: skip
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Sweep from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    given = vars(_parser().parse_args(arguments))

    def sweep() -> Sweep:
        settings_of(Settings)  # what is wrong with them is told before Prefect starts anything
        with prefect_at_hand():
            result: Sweep = sweep_recordings(**given)
            return result

    return cli.run(sweep)


if __name__ == "__main__":
    sys.exit(main())
