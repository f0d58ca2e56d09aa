"""The scheduled catch-up: archives what is uploaded and not archived yet, soonest expiry first.

uv run python -m flows.sweep_recordings [--dry-run] [--limit N] [--at-once N] [--hand-out] …
"""
# ruff: noqa: E402
# (a command has ended before Prefect is imported, unless it runs as a flow)

from __future__ import annotations

import sys
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks import command
from tasks.app_ids import AppIdOrAll
from tasks.arguments import Metavar
from tasks.engine import SWEPT, WHOLE_LABEL, Engine
from tasks.errors import SweepIncomplete
from tasks.run_history import SWEEP_TABLE
from tasks.settings import Settings, load_settings
from tasks.sweep import (
    Ledger,
    Scope,
    SessionChoice,
    Sweep,
    archive_all,
    emit_events,
    figures_of,
    findings,
    hand_out_all,
    plan_apps,
    rows,
    summary,
    sweep_sessions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.figures import SweepFigures
    from tasks.sweep import AppPlans, Plan

AT_RISK_H, AT_ONCE, RETRY_MIN = 24, 4, 60
LONGEST_H, MOST_AT_ONCE, LONGEST_RETRY_MIN, LARGEST_LIMIT = 366 * 24, 16, 7 * 24 * 60, 1_000_000
MEETING_ID = r"^[A-Za-z0-9_-]{0,64}$"
"""A UUID; meetings that were made years ago have names such as abcdef-ghijkl."""

Hours = Annotated[int, Field(ge=0, le=LONGEST_H), Metavar("HOURS")]
Count = Annotated[int, Field(ge=0, le=LARGEST_LIMIT)]
AtOnce = Annotated[int, Field(ge=1, le=MOST_AT_ONCE)]
Minutes = Annotated[int, Field(ge=1, le=LONGEST_RETRY_MIN), Metavar("MINUTES")]
Sessions = Annotated[SessionChoice, Metavar("WHICH")]
MeetingId = Annotated[str, Field(pattern=MEETING_ID), Metavar("ID")]


def sweep(
    engine: Engine,
    *,
    dry_run: bool = False,
    limit: Count = 0,
    at_risk_hours: Hours = AT_RISK_H,
    invoked_within_hours: Hours = 0,
    meeting_id: MeetingId = "",
    app_ids: tuple[AppIdOrAll, ...] = (),
    at_once: AtOnce = AT_ONCE,
    hand_out: bool = False,
    retry_minutes: Minutes = RETRY_MIN,
    sessions: Sessions = "recorded",
) -> Sweep:
    """Find the recordings that are uploaded and not archived yet, and archive them, soonest expiry first.

    After that, ask for what belongs to their sessions, such as transcripts: soon after the end, then ever more seldom.

    The run fails, once all is done that can be, if a recording failed, expires soon, or expired without being archived.
    Of one deployment, one run sweeps: another one that begins meanwhile ends at once, as Left.

    Args:
        dry_run: Only show what would be done.
        limit: Archive at most so many recordings now, those that expire soonest. 0 for all.
        at_risk_hours: A recording that is not archived and expires within so many hours is at risk, and makes the run
            fail. One that expired without being archived makes it fail for as many hours.
        invoked_within_hours: Look only at recordings that were begun within the last so many hours. 0 for all.
        meeting_id: Look only at the recordings of this meeting, a UUID. Empty for all.
        app_ids: RealtimeKit apps of the same account to look at. None for that of the settings; * for all there are.
        at_once: How many recordings to archive at once. They share the connections that the settings allow one.
        hand_out: Start a run of archive-recording/on-demand for each recording, so that many workers share them,
            instead of archiving them here.
        retry_minutes: With hand_out, start a new run for the same recording at most once in so many minutes.
        sessions: Archive transcript, chat, summary and participants of the sessions with a recording (recorded), of all
            sessions (all), or of none (none).

    Raises:
        SweepIncomplete: somebody has to look at something; the result is in it.
    """
    settings = load_settings(Settings)
    now, at_risk, within = datetime.now(UTC), timedelta(hours=at_risk_hours), timedelta(hours=invoked_within_hours)
    starter = engine.history.run_starter(retry_minutes, now) if hand_out and not dry_run else nullcontext()
    with engine.open_session(settings) as session, starter as start:
        last = engine.history.last_sweep(now)
        scope = Scope(now, at_risk, last.ago, within, meeting_id.lower(), last.reported)
        apps = plan_apps(engine, session, app_ids, scope)
        ledger = Ledger(apps.plan, scope, _started_by_webhook(engine, apps.plan, now), engine.log)
        in_progress = engine.history.recordings_in_progress(now) if apps.plan.to_archive else ()
        todo = ledger.todo(0 if dry_run else limit, in_progress)
        if dry_run:
            ledger.leave(todo)
        elif start:
            hand_out_all(todo, start, settings.realtimekit_app_id, ledger.note)
        else:
            archive_all(engine, todo, session, at_once, ledger.note)
        emit = engine.emit_session_archived
        swept = sweep_sessions(session, apps.plan.sessions, apps.app_ids, scope, sessions, emit, dry_run=dry_run)
        result = ledger.result(swept, apps.failed, dry_run=dry_run, retries=engine.retries)
        publish_table(engine, result)
        if not dry_run:
            emit_events(engine, result, scope)
    return result if dry_run else _complete(engine, settings, scope, apps, result)


def _complete(engine: Engine, settings: Settings, scope: Scope, apps: AppPlans, result: Sweep) -> Sweep:
    """Publish the figures of a sweep, and return its result.

    Raises:
        SweepIncomplete: somebody has to look at something; the result is in it.
    """
    # With an app that nobody could look at, the figures would say that all is well.
    of_all = settings.realtimekit_app_id in apps.app_ids and not (apps.failed or scope.within or scope.meeting_id)
    publish_figures(engine, settings, figures_of(result, apps.app_ids, looked_at_all=of_all))
    if reasons := findings(result, scope):
        incomplete = SweepIncomplete(reasons)
        incomplete.result = result
        raise incomplete
    return result


def _started_by_webhook(engine: Engine, plan: Plan, now: datetime) -> Mapping[str, bool]:
    """Return for which of the recordings that are not archived a webhook had started a run, as far as that is known."""
    unarchived = [*plan.to_archive, *plan.not_downloadable, *plan.lost]
    since = min((listed.invoked for listed in unarchived if listed.invoked), default=now)
    return engine.history.started_by_webhook({listed.id for listed in unarchived}, since)


def publish_table(engine: Engine, result: Sweep) -> None:
    """Log a summary, and leave a table in Prefect's UI."""
    key = "sweep-plan" if result.dry_run else SWEEP_TABLE
    description = f"{'Nothing was done. ' if result.dry_run else ''}{summary(result)}."
    engine.log.info("%s", description)
    engine.publish_table(key, rows(result), description)


def publish_figures(engine: Engine, settings: Settings, figures: SweepFigures) -> None:
    """Emit the event of a sweep that has come to its end, and write its figures for Prometheus where that is wanted.

    A sweep of some recordings replaces no figures of all of them in the file.
    """
    app_id = settings.realtimekit_app_id
    labels = {WHOLE_LABEL: "yes" if figures.looked_at_all else "no"}
    engine.emit(SWEPT, app_id, figures.model_dump(mode="json"), "sweep", labels)
    if settings.metrics_folder and figures.looked_at_all:
        from tasks.figures import exposition, textfile  # noqa: PLC0415 - Prometheus' library takes a while

        completed = {app_id: exposition.Completed(datetime.now(UTC), figures)}
        metrics = exposition.sweep_metrics(completed)
        textfile.write_metrics(settings.metrics_folder, f"realtimekit_sweep_{app_id}", metrics, engine.log)


def main(arguments: list[str] | None = None) -> int:
    """Sweep from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return command.main(sweep, "flows.sweep_recordings:sweep_recordings", Settings, arguments)


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
    return f"sweep of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


@flow(name="sweep-recordings", flow_run_name=_run_name, persist_result=False)
@command.with_signature_of(sweep)
def sweep_recordings(**parameters: Any) -> Sweep | State[None]:
    """Sweep, unless an earlier run of the same deployment is still at work: then end as Left."""
    engine = PrefectEngine()
    if not parameters.get("dry_run") and (earlier := find_earlier_run(datetime.now(UTC), engine.log)):
        return Completed(name="Left", message=f"{earlier.name} is still at work: it is left to that.")
    return cli.achieved(sweep(engine, **parameters))
