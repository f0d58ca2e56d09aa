"""Which recordings a sweep is about, and the lists that it asks the API for.

What the API's filters `expired`, `start_time` and `end_time` compare is documented nowhere. So the recordings of the
last nine days are listed without these filters, from the newest on, and older ones are only asked for besides.

Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/recordings/methods/get_recordings/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tasks.realtimekit import RETENTION, RecordingStatus

if TYPE_CHECKING:
    from tasks.realtimekit import Params

UNDER_WAY = (RecordingStatus.INVOKED, RecordingStatus.RECORDING, RecordingStatus.UPLOADING)
"""All that older versions of the API's list can be asked for besides UPLOADED."""
NOT_UPLOADED = (*UNDER_WAY, RecordingStatus.PAUSED, RecordingStatus.ERRORED)
LONGEST_RECORDING = timedelta(days=1)
STUCK = 2 * LONGEST_RECORDING
"""So long after it was begun, a recording that is still not uploaded is no longer only on its way."""


@dataclass(frozen=True)
class Look:
    """One list to ask the API for."""

    filters: Params
    since: datetime | None = None  # newest first, back to that time; None: all
    before: datetime | None = None  # oldest first, up to that time; None: all
    otherwise: Params | None = None  # the filters for an API that does not know all of these statuses

    @property
    def expired(self) -> bool:
        """Whether the API is asked for recordings that have left RealtimeKit's bucket."""
        return self.filters.get("expired") is True


@dataclass(frozen=True)
class Scope:
    """Which recordings a sweep is about."""

    now: datetime
    at_risk: timedelta = timedelta(days=1)  # what expires within that time is in danger
    unswept: timedelta = timedelta(0)  # since the last sweep told what it had found
    within: timedelta = timedelta(0)  # invoked within that time; 0: whenever
    meeting_id: str = ""  # empty: of any meeting
    told: frozenset[str] = field(
        default_factory=frozenset
    )  # ids of those that the last sweep told of as stuck, ERRORED or partial

    @property
    def loud(self) -> timedelta:
        """How long after its expiry a lost recording fails the sweep: as long as before it, and once in any case."""
        return self.at_risk + self.unswept

    def looks(self) -> list[Look]:
        """Return the lists to ask for: a recording that moves on meanwhile is still to come in a later one."""
        since = self.now - (self.within or RETENTION + 2 * LONGEST_RECORDING)
        looks = [
            Look(self._of(NOT_UPLOADED), since, otherwise=self._of(UNDER_WAY)),
            Look(self._of((RecordingStatus.UPLOADED,)), since),
        ]
        if not self.within:
            looks.append(Look(self._of((RecordingStatus.UPLOADED,), expired=False), before=since))
        if not self.within or self.within > RETENTION:
            expired = self.now - RETENTION - LONGEST_RECORDING - self.loud
            looks.append(
                Look(
                    self._of((RecordingStatus.UPLOADED,), expired=True), max(expired, since) if self.within else expired
                )
            )
        return looks

    def _of(self, statuses: tuple[str, ...], **asked: bool) -> Params:
        meeting = {"meeting_id": self.meeting_id} if self.meeting_id else {}
        return {"status": statuses, **asked, **meeting}
