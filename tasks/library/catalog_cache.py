"""The catalog in memory: all rows, read again when a file of the catalog has another ETag."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

from tasks.catalog import Query, search
from tasks.errors import CatalogMissing, StoreRefused, StoreUnavailable
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tasks.archive import Month
    from tasks.catalog import Dataset, Row

LOOK_EVERY_S = 5.0
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Snapshot:
    """The catalog as it was at a look."""

    rows: Sequence[Row]  # newest first
    seen_at: datetime
    is_current: bool = True  # the last look went well
    recordings: Mapping[str, Row] = field(default_factory=dict)  # by id; of two bags, what was archived last
    sessions: Mapping[str, Sequence[Row]] = field(default_factory=dict)  # newest first, by the session's id
    unrecorded: Mapping[str, Row] = field(default_factory=dict)  # sessions without a recording, by the session's id

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Snapshot:
        """Return the rows of a look just now, newest first.

        Args:
            rows: recordings, and sessions that had no recording in their month: they may have one in another.
        """
        by_age = sorted(rows, key=lambda row: row["archived_at"] or LONG_AGO)
        recordings = {row["recording_id"]: row for row in by_age if row["recording_id"]}
        sessions: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row["recording_id"] and row["session_id"]:
                sessions[row["session_id"].lower()].append(row)
        unrecorded = {
            row["session_id"]: row
            for row in by_age
            if not row["recording_id"] and row["session_id"] and row["session_id"] not in sessions
        }
        shown = [row for row in rows if row["recording_id"] or row is unrecorded.get(row["session_id"])]
        return cls(shown, datetime.now(UTC), recordings=recordings, sessions=sessions, unrecorded=unrecorded)

    def found(self, query: Query) -> Sequence[Row]:
        """Return the rows that are meant, newest first."""
        return self.rows if query == Query() else search(self.rows, query)


class CatalogCache:
    """The catalog, as its files were a few seconds ago at most.

    Args:
        new_dataset: returns the catalog, with a patience that begins anew.
        now: a clock in seconds.
    """

    def __init__(self, new_dataset: Callable[[], Dataset], now: Callable[[], float] = time.monotonic) -> None:
        self._new_dataset = new_dataset
        self._now = now
        self._lock = Lock()
        self._looked_at = float("-inf")
        self._months: dict[Month, tuple[str, list[Row]]] = {}  # with the ETag of the file
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """Return the catalog; an older one while the store does not answer, or another thread reads the newer one.

        Raises:
            CatalogMissing: there is no catalog.
            StoreUnavailable, StoreRefused: the catalog cannot be read, and never was.
        """
        last = self._snapshot
        if last is not None and self._now() - self._looked_at < LOOK_EVERY_S:
            return last
        if not self._lock.acquire(blocking=last is None) and last is not None:
            return last
        try:
            return self._look()
        finally:
            self._lock.release()

    def _look(self) -> Snapshot:
        last = self._snapshot
        if last is not None and self._now() - self._looked_at < LOOK_EVERY_S:
            return last  # another thread has just looked
        try:
            self._snapshot = self._read(last)
        except (StoreUnavailable, StoreRefused):
            if last is None:
                raise
            self._snapshot = replace(last, is_current=False)
        self._looked_at = self._now()
        return self._snapshot

    def _read(self, last: Snapshot | None) -> Snapshot:
        dataset = self._new_dataset()
        listed = {month: stored.etag for month, stored in dataset.files().listed.items()}
        if not listed:
            self._months, self._snapshot = {}, None
            raise CatalogMissing(dataset.url)
        stale = [month for month, etag in listed.items() if self._months.get(month, ("",))[0] != etag]
        if last is not None and not stale and listed.keys() == self._months.keys():
            return replace(last, seen_at=datetime.now(UTC), is_current=True)

        read_now = dict(zip(stale, a_few_at_a_time(dataset.whole_rows_and_sessions, stale), strict=True))
        self._months = {
            month: (etag, read_now[month] if month in read_now else self._months[month][1])
            for month, etag in listed.items()
        }
        return Snapshot.of(search((row for _, rows in self._months.values() for row in rows), Query()))
