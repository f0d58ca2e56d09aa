"""When a sweep asks for a session's documents: soon after the session's end, then ever more seldom. Pure.

Nobody can tell "not yet" from "never", so each session is asked about until RealtimeKit deletes its documents. What
sweeps know of a session is one line in an object of the archive. Without it, all sessions of the last days are asked
about once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from tasks.realtimekit import DOCUMENT_KINDS, RETENTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FIRST_LOOK = timedelta(minutes=10)
"""After the end of a session: what comes soon has come by then."""
LOOKS = (timedelta(hours=1), timedelta(hours=6))
"""Ages at which documents are asked for again, which may never come."""
LOOKS_FOR_EXPECTED = (timedelta(minutes=25), timedelta(hours=1), timedelta(hours=3), timedelta(hours=6),
                      timedelta(days=1), timedelta(days=3))  # fmt: skip
"""The same for documents that the meeting's settings ask for."""
LAST_DAY, LAST_LOOK = timedelta(days=1), timedelta(hours=3)
"""Before RealtimeKit deletes the documents: when a person can still do something, and when nothing comes any more."""
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=15), timedelta(hours=6)
"""After a failure, and after many."""
WHILE_LIVE = timedelta(hours=1)
"""Between looks at a session that goes on after its recordings."""
FORGOTTEN = RETENTION + timedelta(days=4)
"""Age at which no list of a sweep names a session any more."""
REQUESTS = 250
"""Requests to the API of one sweep for sessions, at the most. With 100 for a list of 10,000 recordings, and a sweep
every 15 minutes, that is less than a tenth of what Cloudflare allows a token: 1,200 in 5 minutes.
"""
REQUESTS_TO_ARCHIVE, REQUESTS_TO_ADD = 7, 6
"""Of one session: details, meeting, three documents, recordings, and participants, which are asked for once."""
SESSIONS_FOR = timedelta(minutes=5)
"""After so long, a sweep begins no other session: the next sweep is about to start."""


class Step(Enum):
    """What a sweep does about a session."""

    ARCHIVE = "archive"  # all that is there
    ASK = "ask"  # whether one of the documents that are awaited is there; if so, archive it
    CLOSE = "close"  # state in the archive what never came; the API is not asked


@dataclass(frozen=True)
class SeenSession:
    """A session that the API's lists name."""

    id: str
    app_id: str
    ended: datetime | None  # as far as the lists tell: when its last recording stopped, or its own end


@dataclass(frozen=True)
class SessionLook:
    """What sweeps know of a session from the last time they asked."""

    looked_at: datetime
    ended: datetime | None = None
    day: str = ""  # on which it started, which names its folder: YYYY-MM-DD
    awaited: tuple[str, ...] = ()  # what may still come
    expected: tuple[str, ...] = ()  # of these, what the meeting's settings ask for
    archived: bool = False
    failures: int = 0  # in a row
    told: bool = False  # a person was told of what is expected and did not come


class DueSession(NamedTuple):
    """A session that it is time for."""

    session: SeenSession
    look: SessionLook | None
    step: Step

    @property
    def ended(self) -> datetime | None:
        """When the session ended, as far as that is known."""
        return _ended(self.session, self.look)

    @property
    def expires(self) -> datetime | None:
        """When RealtimeKit deletes the session's documents, as far as that is known."""
        return self.ended + RETENTION if self.ended else None

    @property
    def requests(self) -> int:
        """How many requests to the API it takes; more if something has come that was awaited."""
        awaited = self.look.awaited if self.look else ()
        return {Step.ARCHIVE: REQUESTS_TO_ARCHIVE, Step.ASK: len(awaited), Step.CLOSE: 0}[self.step]


def _ended(session: SeenSession, look: SessionLook | None) -> datetime | None:
    return look.ended if look and look.ended else session.ended


def next_step(session: SeenSession, look: SessionLook | None, now: datetime) -> Step | None:
    """Return what it is time for; None if for nothing.

    Args:
        session: as the lists of this sweep name it.
        look: what earlier sweeps know of it; None for nothing.
        now: the time of the sweep.
    """
    ended = _ended(session, look)
    if look is None:
        return Step.ARCHIVE if ended is None or now - ended >= FIRST_LOOK else None
    if look.failures:
        wait = min(FIRST_RETRY * 2 ** min(look.failures - 1, 10), LONGEST_RETRY)
        return Step.ARCHIVE if now - look.looked_at >= wait else None
    if look.archived and not look.awaited:
        return None
    if not look.archived and look.ended is None:  # it was still live: its end is only guessed from its recordings
        return Step.ARCHIVE if now - look.looked_at >= WHILE_LIVE else None
    if ended is None:
        return Step.ARCHIVE if now - look.looked_at >= LONGEST_RETRY else None
    over = ended + RETENTION
    ages = LOOKS_FOR_EXPECTED if look.expected else LOOKS
    times = (*(ended + age for age in ages), over - LAST_DAY, over - LAST_LOOK, over)
    if not any(look.looked_at < time <= now for time in times):
        return None
    if not look.archived:
        return Step.ARCHIVE
    if now >= over and look.looked_at >= over - LAST_LOOK:  # else nobody has looked in time to say what never came
        return Step.CLOSE
    if now >= over:
        return Step.ARCHIVE
    return Step.ASK if set(look.awaited) <= set(DOCUMENT_KINDS) else Step.ARCHIVE


def due_sessions(sessions: Iterable[SeenSession], looks: Mapping[str, SessionLook], now: datetime) -> list[DueSession]:
    """Return the sessions that it is time for, those first whose documents are deleted soonest.

    Those that failed come last: they are not to keep others waiting.

    Args:
        sessions: as the lists of this sweep name them.
        looks: what earlier sweeps know, by the session's id.
        now: the time of the sweep.
    """
    due = []
    for session in sessions:
        look = looks.get(session.id)
        step = next_step(session, look, now)
        if step is not None:
            due.append(DueSession(session, look, step))
    return sorted(
        due, key=lambda entry: (bool(entry.look and entry.look.failures), entry.expires or now, entry.session.id)
    )
