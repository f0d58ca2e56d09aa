"""The report of a sweep: a typed result for other flows, a table for people, and what somebody has to look after."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from tasks.figures import SweepFigures, TransferFigures
from tasks.text import cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.sweep.scope import Scope

NAMED = 5
"""How many recordings of a kind a message names; the others are counted."""
ROWS = 500
"""Of the table in Prefect's UI."""
OUTCOME_WIDTH, REASON_WIDTH = 24, 40
"""Characters in a line of the table, so that a laptop shows what somebody has to look after without scrolling."""


class Swept(BaseModel):
    """One recording, as a sweep left it."""

    model_config = ConfigDict(frozen=True)

    recording_id: str
    app_id: str
    invoked_time: datetime | None
    expires_at: datetime | None  # or a little later; None if nobody can know
    reason: str = ""  # of the failure, or what else there is to say
    announced: bool | None = None  # whether a webhook had started a run of it; None if Prefect could not tell


class SweptSession(BaseModel):
    """What belongs to one session of a meeting, as a sweep left it."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    app_id: str
    ended_at: datetime | None
    expires_at: datetime | None  # when RealtimeKit deletes transcript, chat and summary; None if nobody can know
    reason: str = ""  # of the failure, or what else there is to say
    archive_url: str = ""  # of the version that was written


class SweptApp(BaseModel):
    """An app that a sweep could not look at."""

    model_config = ConfigDict(frozen=True)

    app_id: str  # * if the apps of the account could not be listed
    reason: str


class Sweep(BaseModel):
    """What a sweep found and did; every recording but those that were archived already is in one of the lists.

    Those at risk are in another list as well, and those that gained files are archived. Those that are partial are
    archived, but for some files; where the API hands out all files by now, they are in another list as well.
    """

    model_config = ConfigDict(frozen=True)

    dry_run: bool
    already_archived: int
    archived: tuple[Swept, ...] = ()
    failed: tuple[Swept, ...] = ()
    at_risk: tuple[Swept, ...] = ()  # not archived, and expires soon
    lost: tuple[Swept, ...] = ()  # expired, and never archived
    not_downloadable: tuple[Swept, ...] = ()
    still_to_come: tuple[Swept, ...] = ()  # being recorded, or uploaded
    stuck: tuple[Swept, ...] = ()  # not uploaded two days after they were begun, or later
    errored: tuple[Swept, ...] = ()  # RealtimeKit failed: no file will ever come
    handed_out: tuple[Swept, ...] = ()  # to runs of their own
    under_way: tuple[Swept, ...] = ()  # another run is at work on them
    left: tuple[Swept, ...] = ()  # for the next sweep: beyond the limit, or a dry run
    gained_files: tuple[Swept, ...] = ()  # archived, but the API has more files by now
    partial: tuple[Swept, ...] = ()  # archived without some files, as a person wanted, and still so
    sessions_archived: tuple[SweptSession, ...] = ()  # something new came, and is archived
    sessions_failed: tuple[SweptSession, ...] = ()  # could not be looked at, or archived; later sweeps try again
    sessions_overdue: tuple[SweptSession, ...] = ()  # what is to be there is not, and expires soon
    sessions_left: tuple[SweptSession, ...] = ()  # in a dry run: those that are due
    figures: TransferFigures = TransferFigures()  # of the recordings that this sweep has transferred
    seconds: float = 0.0  # that the sweep took
    apps_failed: tuple[SweptApp, ...] = ()  # could not be looked at: nothing is known of their recordings
    deleted: tuple[Swept, ...] = ()  # deleted from the archive on purpose: not archived again


COLUMNS = {
    "failed": "failed",
    "lost": "LOST: expired, and never archived",
    "handed_out": "handed out to a run of its own",
    "under_way": "another run is at work on it",
    "left": "left for the next sweep",
    "not_downloadable": "not downloadable",
    "stuck": "STUCK: not uploaded for two days",
    "errored": "ERRORED: no file will come",
    "partial": "PARTIAL: archived without some files",
    "gained_files": "gained files: run archive-recording with overwrite",
    "archived": "archived",
    "still_to_come": "still to come",
    "deleted": "deleted on purpose",
}
SESSION_COLUMNS = {
    "sessions_overdue": "OVERDUE: not all of the session has come",
    "sessions_failed": "session failed",
    "sessions_archived": "session archived",
    "sessions_left": "session left for the next sweep",
}
NOT_ARCHIVED = ("failed", "not_downloadable", "handed_out", "under_way", "left")


def find_recently_lost(sweep: Sweep, scope: Scope) -> list[Swept]:
    """Return the lost recordings that still fail the sweep, soonest expiry first; see `findings`."""
    return [swept for swept in sweep.lost if swept.expires_at is None or scope.now - swept.expires_at <= scope.loud]


def findings(sweep: Sweep, scope: Scope) -> str:
    """Return what somebody has to look after, bounded in length; empty if there is nothing.

    A lost recording fails the sweep for as long after its expiry as before it, and is only listed after that: a sweep
    that failed for ever would hide what is at risk next, and nothing brings the recording back. What is stuck or
    ERRORED fails one sweep, and is only listed by all that follow. What a partial archive lacks counts as a loss once
    its time is over; before that, the person knows who wanted the archive all the same.

    Args:
        sweep: the result.
        scope: what it was about.
    """
    lost = find_recently_lost(sweep, scope)
    late = [
        swept
        for swept in sweep.partial
        if swept.expires_at and timedelta(0) <= scope.now - swept.expires_at <= scope.loud
    ]
    groups = {
        "at risk, as they expire soon and are not archived": [
            f"{swept.recording_id} ({_when(swept.expires_at)})" for swept in sweep.at_risk
        ],
        "failed": [f"{swept.recording_id} ({_first_sentence(swept.reason)})" for swept in sweep.failed],
        "lost, as they expired before they were archived": [swept.recording_id for swept in lost],
        "archived without files that expired before the API handed them out": [
            f"{swept.recording_id} ({_first_sentence(swept.reason)})" for swept in late
        ],
        "stuck, as RealtimeKit does not upload them (ask its support before they are gone)": [
            f"{swept.recording_id} ({swept.reason})" for swept in sweep.stuck if swept.recording_id not in scope.told
        ],
        "ERRORED, of which no file will ever come": [
            swept.recording_id for swept in sweep.errored if swept.recording_id not in scope.told
        ],
        "archived without files that came later and expire soon (archive them again with --overwrite)": [
            f"{swept.recording_id} ({swept.reason})"
            for swept in sweep.gained_files
            if swept.expires_at is not None and timedelta(0) <= swept.expires_at - scope.now <= scope.at_risk
        ],
        "sessions without what is to be there, which expires soon": [
            f"{swept.session_id} ({_first_sentence(swept.reason)})" for swept in sweep.sessions_overdue
        ],
        "apps that could not be looked at (* is the list of all)": [
            f"{swept.app_id} ({_first_sentence(swept.reason)})" for swept in sweep.apps_failed
        ],
    }
    return "; ".join(f"{len(names)} {what}: {_named(names)}" for what, names in groups.items() if names)


def figures_of(sweep: Sweep, app_ids: Sequence[str], *, looked_at_all: bool) -> SweepFigures:
    """Return what an operator plots of a sweep: how many there are of everything, and what the transfers took.

    Args:
        sweep: the result.
        app_ids: of the apps that it looked at.
        looked_at_all: see `SweepFigures`.
    """
    counted = (name for name in COLUMNS if name != "deleted")
    lists = ("at_risk", *counted, "sessions_archived", "sessions_failed", "sessions_overdue")
    return SweepFigures(
        **sweep.figures.model_dump(),
        **{name: len(getattr(sweep, name)) for name in lists},
        looked_at_all=looked_at_all,
        app_ids=tuple(app_ids),
        seconds=sweep.seconds,
        already_archived=sweep.already_archived,
    )


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _first_sentence(reason: str) -> str:
    return reason.partition(". ")[0].rstrip(".")[:160]


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "unknown"


def summary(sweep: Sweep) -> str:
    """Return how many there are of everything, in a line."""
    counted = [(getattr(sweep, name), name.replace("_", " ")) for name in ("at_risk", *COLUMNS)]
    sessions = [(getattr(sweep, name), name.replace("_", " ")) for name in SESSION_COLUMNS]
    of_recordings = [f"{len(entries)} {name}" for entries, name in counted if entries]
    of_sessions = [f"{len(entries)} {name}" for entries, name in sessions if entries]
    of_apps = [f"{len(sweep.apps_failed)} apps failed"] if sweep.apps_failed else []
    return ", ".join([*of_recordings, f"{sweep.already_archived} archived already", *of_sessions, *of_apps])


def rows(sweep: Sweep) -> list[dict[str, str]]:
    """Return the table for people: what somebody has to look after first, soonest expiry first, bounded in length."""
    at_risk = {swept.recording_id for swept in sweep.at_risk}
    table = [
        _row(swept, column, at_risk=swept.recording_id in at_risk)
        for name, column in COLUMNS.items()
        for swept in getattr(sweep, name)
    ]
    table += [_session_row(swept, column) for name, column in SESSION_COLUMNS.items() for swept in getattr(sweep, name)]
    table += [_app_row(swept) for swept in sweep.apps_failed]
    table.sort(key=lambda row: not row["outcome"].startswith(("AT RISK", "OVERDUE", "APP")))
    if len(table) > ROWS:
        table = [*table[:ROWS], dict.fromkeys(table[0], "") | {"outcome": f"and {len(table) - ROWS} more"}]
    return table


def read_told(table: str) -> frozenset[str]:
    """Return the ids of the recordings that a sweep's table told of as stuck, ERRORED or partial.

    Args:
        table: as Prefect keeps it.
    """
    try:
        table_rows = json.loads(table)
    except ValueError:
        return frozenset()
    names = [
        str(row.get("recording"))
        for row in (table_rows if isinstance(table_rows, list) else ())
        if isinstance(row, dict) and str(row.get("outcome")).startswith(("STUCK", "ERRORED", "PARTIAL"))
    ]
    return frozenset("".join(name.split()) for name in names)


def _row(swept: Swept, column: str, *, at_risk: bool) -> dict[str, str]:
    return {
        "outcome": cell(f"AT RISK: {column}" if at_risk else column, OUTCOME_WIDTH),
        "recording": cell(swept.recording_id),
        "reason": cell(swept.reason, REASON_WIDTH),
        "expires": _when(swept.expires_at),
        "announced by a webhook": {True: "yes", False: "no", None: ""}[swept.announced],
        "app": cell(swept.app_id),
        "session": "",
    }


def _session_row(swept: SweptSession, column: str) -> dict[str, str]:
    return {
        "outcome": cell(column, OUTCOME_WIDTH),
        "recording": "",
        "reason": cell(swept.reason, REASON_WIDTH),
        "expires": _when(swept.expires_at),
        "announced by a webhook": "",
        "app": cell(swept.app_id),
        "session": cell(swept.session_id),
    }


def _app_row(swept: SweptApp) -> dict[str, str]:
    return {
        "outcome": cell("APP NOT LOOKED AT", OUTCOME_WIDTH),
        "recording": "",
        "reason": cell(swept.reason, REASON_WIDTH),
        "expires": "",
        "announced by a webhook": "",
        "app": cell(swept.app_id),
        "session": "",
    }
