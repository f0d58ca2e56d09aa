"""Figures out of the events that Prefect's server keeps.

Runs are processes of workers on many machines. Their server's events are where all runs meet, and outlive all of them.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter
from pydantic import ValidationError

from tasks.engine import ARCHIVED, AUDITED, SWEPT
from tasks.figures import AuditFigures, RecordingFigures, SweepFigures, sum_up
from tasks.figures.exposition import Completed, audit_metrics, day_metrics, sweep_metrics
from tasks.text import ThrottledLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from prefect.client.orchestration import PrefectClient
    from prefect.events.schemas.events import ReceivedEvent

    from tasks.figures.exposition import Metrics

PAGE = 50
"""Prefect's server gives no more events at once."""
DAY = timedelta(days=1)
REPORTS_KEPT = timedelta(days=31)
"""How far back a last sweep and a last audit are looked for; the server forgets events after a week by default."""
OVERLAP = timedelta(hours=1)
"""How late an event may come to the server, or how far a worker's clock may be behind ours, without being missed."""
READ_WITHIN_S = 2.5
"""For each kind of event. What does not come within this time is left out, the oldest first."""

log = logging.getLogger("realtimekit-archiver.metrics")


class EventReader:
    """Reads the events of some names, newest first, and each time only those that are new.

    Args:
        prefect: the client of the server.
        names: of the events.
        kept: how far back the first reading goes.
    """

    def __init__(self, prefect: PrefectClient, names: Sequence[str], kept: timedelta) -> None:
        self._prefect = prefect
        self._names = list(names)
        self._kept = kept
        self._read_until: datetime | None = None
        self.complete_since = datetime.max.replace(tzinfo=UTC)
        """No event is missing since then."""

    async def read(self, now: datetime, note: Callable[[ReceivedEvent], None]) -> None:
        """Read the events that are new, and some that are known, newest first.

        Args:
            now: the time.
            note: given each event; no more than a page of events is in memory.

        Raises:
            PrefectException, HTTPError, ValueError: the server is away, or something else answers in its place.
        """
        since = now - self._kept if self._read_until is None else self._read_until - OVERLAP
        deadline, cut_at = time.monotonic() + READ_WITHIN_S, None
        async for page in self._pages(since, now):
            for event in page:
                note(event)
            if time.monotonic() > deadline and len(page) == PAGE:
                cut_at = page[-1].occurred
                break
        if cut_at or self._read_until is None:
            self.complete_since = cut_at or since
        self._read_until = now

    async def _pages(self, since: datetime, until: datetime) -> AsyncIterator[list[ReceivedEvent]]:
        while True:
            occurred = EventOccurredFilter(since=since, until=until)
            wanted = EventFilter(occurred=occurred, event=EventNameFilter(name=self._names))
            page = (await self._prefect.read_events(wanted, limit=PAGE)).events
            yield page
            if len(page) < PAGE or page[-1].occurred >= until:
                return
            until = page[-1].occurred  # inclusive: the same events come twice


class EventFigures:
    """What all runs have reported: the last sweeps and audits, and the recordings archived within a day.

    Args:
        prefect: the client of the server.
    """

    def __init__(self, prefect: PrefectClient) -> None:
        self._reports = EventReader(prefect, [SWEPT, AUDITED], REPORTS_KEPT)
        self._archived = EventReader(prefect, [ARCHIVED], DAY)
        self._sweeps: dict[str, Completed[SweepFigures]] = {}
        self._audits: dict[str, Completed[AuditFigures]] = {}
        self._recordings: dict[str, tuple[datetime, RecordingFigures]] = {}
        self._malformed = ThrottledLog(log, logging.WARNING)

    async def metrics(self, now: datetime) -> Metrics:
        """Return all metrics as of now.

        Raises:
            PrefectException, HTTPError, ValueError: the server is away, or something else answers in its place.
        """
        for reader in (self._reports, self._archived):
            await reader.read(now, self._note)
        return self._metrics(now)

    def _metrics(self, now: datetime) -> Metrics:
        since = max(now - DAY, self._archived.complete_since)
        self._recordings = {name: kept for name, kept in self._recordings.items() if kept[0] >= since}
        figures = [figures for _, figures in self._recordings.values()]
        apps = {one.app_id for one in figures} | self._sweeps.keys()  # 0 recordings of an app is a figure, too
        day = {app_id: sum_up([one for one in figures if one.app_id == app_id]) for app_id in apps}
        of_day = day_metrics(day, (now - since).total_seconds())
        return (*sweep_metrics(self._sweeps), *audit_metrics(self._audits), *of_day)

    def _note(self, event: ReceivedEvent) -> None:
        try:
            self._take(event.event, event.resource.id, event.occurred, event.payload)
        except ValidationError as invalid:
            self._malformed.note(f"{event.event} of {event.occurred:%Y-%m-%d %H:%M:%S} is left out: {invalid.title}")

    def _take(self, name: str, resource: str, at: datetime, payload: dict[str, Any]) -> None:
        if name == ARCHIVED:
            figures = RecordingFigures.model_validate(payload)
            known = self._recordings.get(figures.recording_id)
            if known is None or at < known[0]:  # of two runs of one recording, both may emit it
                self._recordings[figures.recording_id] = at, figures
        elif name == SWEPT:
            swept = Completed(at, SweepFigures.model_validate(payload))
            _keep_newest(self._sweeps, resource.removeprefix("realtimekit.sweep."), swept)
        else:
            audited = Completed(at, AuditFigures.model_validate(payload))
            _keep_newest(self._audits, resource.removeprefix("realtimekit.audit."), audited)


def _keep_newest(known: dict[str, Completed[Any]], name: str, completed: Completed[Any]) -> None:
    """Keep a report if it is about everything, and newer than the one that is known."""
    if completed.figures.looked_at_all and (name not in known or known[name].at < completed.at):
        known[name] = completed
