"""What a search of the catalog is given and gives: texts of a command line, rows of the store, lines of a table."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.catalog.search import could_match, matches, newest_first, recorded_at
from tasks.errors import CatalogMissing
from tasks.text import clock, human_size, safe_line
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from tasks.archive import Month
    from tasks.catalog.dataset import Dataset
    from tasks.catalog.schema import Row
    from tasks.catalog.search import Query

_DURATION = re.compile(r"(?:(?P<h>[0-9]{1,6})h)?(?:(?P<m>[0-9]{1,6})m)?(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,6})?)s?)?")
_UNITS = {"h": 3600, "m": 60, "s": 1}
_NOT_A_TIME = "must be a day, a month or a time, such as 2026-11-20, 2026-11 or 2026-11-20T09:30"
_NOT_A_DURATION = "must be a duration, such as 90, 90s, 15m or 1h30m"


def find_rows(dataset: Dataset, query: Query) -> list[Row]:
    """Return the rows that are meant, newest first, each with the columns that stand in paths alone.

    Raises:
        CatalogMissing: there is no catalog.
        StoreUnavailable, StoreRefused: the catalog cannot be read.
    """
    files = dataset.files().listed
    if not files:
        raise CatalogMissing(dataset.url)

    def read(month: Month) -> list[Row]:
        return [row for row in dataset.whole_rows(month) if matches(row, query)]

    months = [month for month in files if could_match(month, query)]
    return newest_first(row for rows in a_few_at_a_time(read, months) for row in rows)


def parse_time(text: str, *, end: bool = False) -> datetime:
    """Return the time that a text means, in UTC if it names no other zone.

    Args:
        text: a day, a month or a time.
        end: of a day or a month, return when it is over.

    Raises:
        ValueError: it means none.
    """
    try:
        if re.fullmatch("[0-9]{4}-[0-9]{2}", text):
            first = datetime.fromisoformat(f"{text}-01").replace(tzinfo=UTC)
            return (first + timedelta(days=31)).replace(day=1) if end else first
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        return time + timedelta(days=1) if end and len(text) == len("2026-11-20") else time
    except (ValueError, OverflowError):
        raise ValueError(_NOT_A_TIME) from None


def require_time(text: str) -> str:
    """Return a text that means a time, or is empty; for the type of a parameter.

    Raises:
        ValueError: it means none.
    """
    if text:
        parse_time(text, end=True)
    return text


def parse_duration(text: str) -> float:
    """Return the seconds that a text means.

    Raises:
        ValueError: it means none.
    """
    parts = _DURATION.fullmatch(text)
    if not text or parts is None:
        raise ValueError(_NOT_A_DURATION)
    return sum(float(parts[unit] or 0) * seconds for unit, seconds in _UNITS.items())


def json_line(row: Row) -> str:
    """Return a row as JSON, on one line, that any terminal and any file can take."""
    return json.dumps(row, default=lambda value: value.isoformat(), separators=(",", ":"))


def table_line(row: Row) -> tuple[str, ...]:
    """Return a row as a person looks at it: when, how long, how large, what, in which condition, its id."""
    time, fixity = recorded_at(row), row["fixity_outcome"]
    condition = row["condition"] or ""
    if fixity in {"damaged", "unread"} and condition != "damaged":
        condition = f"{condition}, {fixity} at the last audit"
    return tuple(
        safe_line(text)
        for text in (
            f"{time:%Y-%m-%d %H:%M}" if time else "",
            clock(row["duration_s"]) if row["duration_s"] is not None else "",
            human_size(row["bytes"] or 0),
            row["title"] or row["meeting_id"] or row["session_id"] or "",
            condition,
            row["recording_id"] or "",
        )
    )
