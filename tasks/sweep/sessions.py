"""What belongs to the sessions of one app: asked for by age, archived as soon as it is there, after the recordings.

No failure here stops a recording, or another session. What fails is tried again by the next sweeps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.archive import SESSION_DETAILS, MissingPiece, SessionContents
from tasks.errors import (
    ApiRefused,
    ApiUnavailable,
    ArchiverError,
    DeletedOnPurpose,
    SessionLive,
    SessionNotFound,
    TookTooLong,
    TransferStopped,
)
from tasks.realtimekit import DOCUMENT_KINDS, MeetingSession, parse_session
from tasks.session_contents import NEVER_CAME
from tasks.session_pipeline import MeetingSessionOptions, archive_ended_session, fetch_meeting_session
from tasks.sweep.report import SweptSession
from tasks.sweep.session_looks import read_looks, write_looks
from tasks.sweep.session_schedule import (
    REQUESTS_TO_ADD,
    DueSession,
    SeenSession,
    SessionLook,
    Step,
    due_sessions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tasks.archive import ArchivedMeetingSession
    from tasks.session import Attempt, Session
    from tasks.sweep.scope import Scope

ORDERED = ("transcript", "summary")
"""What a meeting's settings order; of the chat, they say only how long it is kept, and not that anybody wrote."""
PATIENCE_S = 20.0
"""How long one request is tried for: the next sweep tries again."""
MOST_AWAY = 3
"""Sessions in a row for which the API was away: then the others are left to the next sweep."""
_UNAUTHORIZED = (401, 403)


@dataclass
class SessionSweep:
    """What a sweep found and did about the sessions of an app.

    Args:
        session: the clients, for the app.
        scope: of the sweep.
        emit: given each version that was written.
    """

    session: Session
    scope: Scope
    emit: Callable[[ArchivedMeetingSession], None]
    archived: list[SweptSession] = field(default_factory=list)
    failed: list[SweptSession] = field(default_factory=list)
    overdue: list[SweptSession] = field(default_factory=list)
    left: list[SweptSession] = field(default_factory=list)
    _looks: dict[str, SessionLook] = field(default_factory=dict)
    _refused: bool = False  # the token may read no session
    _away: int = 0  # sessions in a row for which the API was away
    _requests: int = 0

    def run(self, seen: Sequence[SeenSession], requests: int, seconds: float, *, dry_run: bool) -> int:
        """Ask for what is due, note what came of it, and return how many requests to the API that took.

        Args:
            seen: the sessions that the lists name.
            requests: to the API, at the most.
            seconds: at the most.
            dry_run: only note what is due.
        """
        settings, app_id = self.session.settings, self.session.app_id
        with self.session.attempt() as attempt:
            self._looks = read_looks(attempt.store, settings.root, app_id, self.scope.now)
        before = dict(self._looks)
        due = due_sessions(seen, self._looks, self.scope.now)
        self._requests = requests
        if dry_run:
            self.left = [_swept(item, "It is time to ask for what belongs to it.") for item in due]
            return 0
        everything = self.session
        try:
            with everything.limited(seconds, PATIENCE_S) as self.session:
                self._try_all(due if seconds >= 1 else ())
        except TookTooLong as late:
            everything.log.warning("Some sessions are left to the next sweep. %s", late)
        finally:
            self.session = everything
        self._find_overdue(seen)
        if self._looks != before:
            with self.session.attempt() as attempt:
                write_looks(attempt.store, settings.root, app_id, self._looks, self.scope.now)
        return requests - self._requests

    def _try_all(self, due: Iterable[DueSession]) -> None:
        for due_session in due:  # one after the other: a failure shuts down the connections that all share
            if self._refused or self._away >= MOST_AWAY or self._requests < due_session.requests:
                break
            self._requests -= due_session.requests
            try:
                self._looks[due_session.session.id] = self._try(due_session)
            except TransferStopped:  # the time is over: another time, the others come first
                self._looks[due_session.session.id] = self._after_failure(due_session)
                raise

    def _try(self, due: DueSession) -> SessionLook:
        """Do what a session is due for; neither a refused token nor an API that is away is tried with each of them."""
        try:
            look = self._look(due)
        except TransferStopped:
            raise
        except SessionNotFound as unknown:
            return self._note_unknown(due, unknown)
        except DeletedOnPurpose as deleted:
            self.session.log.info("%s", deleted)
            return SessionLook(self.scope.now, due.ended, archived=True)
        except ArchiverError as error:
            self._refused = isinstance(error, ApiRefused) and error.status in _UNAUTHORIZED
            self._away = self._away + 1 if isinstance(error, ApiUnavailable) else 0
            reason = str(error)
        except Exception as error:
            self.session.log.exception("Session %s.", due.session.id)
            reason = f"{type(error).__name__}, which nobody foresaw. The log tells more."
        else:
            self._away = 0
            return look
        self.failed.append(_swept(due, reason))
        return self._after_failure(due)

    def _note_unknown(self, due: DueSession, unknown: SessionNotFound) -> SessionLook:
        """Tell once of a session that the API does not know; it is asked for again as long as it may have documents."""
        if not (due.look and due.look.told):
            self.failed.append(_swept(due, str(unknown)))
        if due.expires is not None and due.expires <= self.scope.now:
            return SessionLook(self.scope.now, due.ended, archived=True)
        return replace(self._after_failure(due), told=True)

    def _after_failure(self, due: DueSession) -> SessionLook:
        last = due.look or SessionLook(self.scope.now, awaited=DOCUMENT_KINDS)
        return replace(last, failures=last.failures + 1, looked_at=self.scope.now, told=last.told and last.archived)

    def _look(self, due: DueSession) -> SessionLook:
        now, known = self.scope.now, due.look
        if due.step is Step.CLOSE and known is not None and self._close(due, known):
            return replace(known, looked_at=now, awaited=())
        if due.step is Step.ASK and known is not None and not self._has_come(due, known):
            return replace(known, looked_at=now)
        if due.step is Step.ASK:
            self._requests -= REQUESTS_TO_ADD
        is_known = known is not None and known.archived and "participants" not in known.awaited
        options = MeetingSessionOptions(participants=not is_known)
        try:
            meeting = fetch_meeting_session(self.session, due.session.id)
        except SessionLive:
            return SessionLook(now, awaited=DOCUMENT_KINDS, archived=bool(known and known.archived))
        archived = archive_ended_session(self.session, meeting, options)
        self._note(due, archived)
        may_come = [piece for piece in archived.missing if piece.may_come]
        return SessionLook(
            looked_at=now,
            ended=meeting.ended_at or due.session.ended or meeting.day,
            day=f"{meeting.day:%Y-%m-%d}" if meeting.day else "",
            awaited=tuple(piece.name for piece in may_come),
            expected=tuple(piece.name for piece in may_come if piece.expected and piece.name in ORDERED),
            archived=True,
            told=bool(known and known.told),
        )

    def _has_come(self, due: DueSession, known: SessionLook) -> bool:
        """Tell whether any of the documents that are awaited is there."""
        with self.session.attempt() as attempt:
            urls = (
                attempt.meeting_sessions.document_url(due.session.id, kind)
                for kind in DOCUMENT_KINDS
                if kind in known.awaited
            )
            return any(url is not None for url in urls)

    def _close(self, due: DueSession, known: SessionLook) -> bool:
        """State in the newest version what never came; return False if there is no version to go by."""
        with self.session.attempt() as attempt:
            meeting = _archived_details(attempt, due.session.id, known.day)
            if meeting is None:
                return False
            missing = tuple(MissingPiece(name=name, reason=NEVER_CAME, may_come=False) for name in known.awaited)
            archived = attempt.session_archive.commit(SessionContents(meeting, None, (), missing))
        self._note(due, archived)
        return True

    def _note(self, due: DueSession, archived: ArchivedMeetingSession) -> None:
        if archived.changed:
            self.emit(archived)
            self.archived.append(_swept(due, _gist(archived), archived.archive_url))

    def _find_overdue(self, seen: Iterable[SeenSession]) -> None:
        """Note the sessions that lack what the meeting's settings ask for, with a day left or less; each is told once.

        A session that could not be archived at all is told by each sweep.
        """
        now = self.scope.now
        for session in seen:
            look = self._looks.get(session.id)
            due = DueSession(session, look, Step.ASK)
            if look is None or due.expires is None or not timedelta(0) < due.expires - now <= self.scope.at_risk:
                continue
            if look.expected and not look.told:
                self._looks[session.id] = replace(look, told=True)
                names = " and ".join(look.expected)
                self.overdue.append(_swept(due, f"The meeting's settings ask for {names}, and nothing has come."))
            elif look.failures and not look.archived and not look.told:
                self.overdue.append(_swept(due, "Nothing of it could be archived yet."))


def _archived_details(attempt: Attempt, session_id: str, day: str) -> MeetingSession | None:
    """Return a session's details as its newest version has them; None if there is none."""
    try:
        started = datetime.fromisoformat(day).replace(tzinfo=UTC)
    except ValueError:
        return None
    by_place = MeetingSession(session_id, "ENDED", "", "", started, None, None, {})
    version = attempt.session_archive.newest(by_place)
    details = json.loads(version.tags[SESSION_DETAILS]) if version else None
    return parse_session(details) if isinstance(details, dict) else None


def _gist(archived: ArchivedMeetingSession) -> str:
    names = ", ".join(file.path.removeprefix("data/") for file in archived.files)
    return " ".join([f"Version {archived.version}: {names}.", *archived.findings])


def _swept(due: DueSession, reason: str, archive_url: str = "") -> SweptSession:
    return SweptSession(
        session_id=due.session.id,
        app_id=due.session.app_id,
        ended_at=due.ended,
        expires_at=due.expires,
        reason=reason[:500],
        archive_url=archive_url,
    )
