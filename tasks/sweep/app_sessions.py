"""The sessions of several apps in one sweep: they share its requests to the API, and its time for sessions."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from tasks.errors import ArchiverError, TransferStopped
from tasks.realtimekit import RETENTION
from tasks.sweep.report import SweptSession
from tasks.sweep.session_schedule import REQUESTS, REQUESTS_TO_ARCHIVE, SESSIONS_FOR, SeenSession
from tasks.sweep.sessions import PATIENCE_S, SessionSweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tasks.archive import ArchivedMeetingSession
    from tasks.session import Session
    from tasks.sweep.scope import Scope

SessionChoice: TypeAlias = Literal["recorded", "all", "none"]
LEAST_S = 30.0
"""Of an app's share of the time, as long as there is any: less is enough for no session."""


class _Budget:
    """What is left of a sweep's requests and time, of which each app gets a share of its own.

    What an app leaves goes to those after it. A share is enough for one session at least: where there are more apps
    than that, the later ones wait for the next sweep, when those before them have less to ask for.

    Args:
        apps: how many.
    """

    def __init__(self, apps: int) -> None:
        self._apps, self._requests = apps, REQUESTS
        self._end = time.monotonic() + SESSIONS_FOR.total_seconds()

    def requests(self) -> int:
        """Return how many requests the next app may send."""
        return max(self._requests // self._apps, min(self._requests, REQUESTS_TO_ARCHIVE))

    def seconds(self) -> float:
        """Return how long the next app may take."""
        left = max(0.0, self._end - time.monotonic())
        return max(left / self._apps, min(left, LEAST_S))

    def end_app(self, requests: int) -> None:
        """Note that an app has had its share, and took so many requests."""
        self._apps, self._requests = max(1, self._apps - 1), max(0, self._requests - requests)


def sweep_sessions(
    session: Session,
    seen: Iterable[SeenSession],
    app_ids: Sequence[str],
    scope: Scope,
    choice: SessionChoice,
    emit: Callable[[ArchivedMeetingSession], None],
    *,
    dry_run: bool,
) -> list[SessionSweep]:
    """Ask for what belongs to the sessions of some apps, and archive what is there.

    Args:
        session: the clients.
        seen: the sessions that the lists of recordings name.
        app_ids: whose sessions; they share the requests to the API.
        scope: of the sweep.
        choice: sessions with a recording, all of them, or none.
        emit: given each version that was written.
        dry_run: only say what is due.

    Returns:
        What became of each app's sessions.
    """
    if choice == "none":
        return []
    recorded, budget = list(seen), _Budget(len(app_ids))
    sweeps = [SessionSweep(session.for_app(app_id), scope, emit) for app_id in app_ids]
    for sweep in sweeps:
        requests = 0
        try:
            sessions = _find_sessions(sweep, recorded, budget.seconds(), choice)
            requests = sweep.run(sessions, budget.requests(), budget.seconds(), dry_run=dry_run)
        except TransferStopped:
            raise
        except ArchiverError as error:
            _note_failure(sweep, str(error))
        except Exception as error:  # the recordings of this sweep still have to be told of
            sweep.session.log.exception("The sessions of app %s.", sweep.session.app_id)
            _note_failure(sweep, f"{type(error).__name__}, which nobody foresaw. The log tells more.")
        budget.end_app(requests)
    return sweeps


def _find_sessions(
    sweep: SessionSweep, recorded: Iterable[SeenSession], seconds: float, choice: SessionChoice
) -> list[SeenSession]:
    """Return an app's sessions; if they cannot be listed, those with a recording all the same."""
    app_id = sweep.session.app_id
    sessions = {seen.id: seen for seen in recorded if seen.app_id == app_id}
    if choice == "all":
        try:
            with sweep.session.limited(seconds, PATIENCE_S) as limited:
                sessions |= {seen.id: seen for seen in _list_ended(limited, sweep.scope)}
        except TransferStopped:
            raise
        except ArchiverError as error:
            _note_failure(sweep, str(error))
    return list(sessions.values())


def _list_ended(session: Session, scope: Scope) -> list[SeenSession]:
    """Return an app's sessions that have ended within the time for which documents are kept."""
    since = scope.now - (scope.within or RETENTION + timedelta(days=2))
    with session.attempt() as attempt:
        meetings = attempt.meeting_sessions.ended_sessions(since, meeting_id=scope.meeting_id)
    return [SeenSession(meeting.id, session.app_id, meeting.ended_at or meeting.day) for meeting in meetings]


def _note_failure(sweep: SessionSweep, failure: str) -> None:
    app_id = sweep.session.app_id
    sweep.session.log.warning("The sessions of app %s could not be looked at. %s", app_id, failure)
    reason = f"The app's sessions could not be looked at. {failure}"[:500]
    sweep.overdue.append(SweptSession(session_id="", app_id=app_id, ended_at=None, expires_at=None, reason=reason))
