"""Search of the catalog: which rows are meant by words, a time, a meeting, a person. Pure.

Upper and lower case, accents, and what stands around a word make no difference.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.archive import PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.archive import Month
    from tasks.catalog.schema import Row

LONG_AGO = datetime.min.replace(tzinfo=UTC)
_WITHOUT_ACCENTS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i", "ħ": "h"}
)
"""Letters that Unicode does not take apart into one without and its accent."""
_ACCENTS = re.compile("[\u0300-\u036f]+")
"""The most usual marks that Unicode combines with a letter."""
_ALL_TEXTS = ("recording_id", "session_id", "meeting_id", "title", "status", "archive_url")


@dataclass(frozen=True)
class Query:
    """What is looked for; all that is given must hold."""

    text: str = ""  # words, each of which stands in any of a recording's texts
    since: datetime | None = None  # invoked then or later
    until: datetime | None = None  # invoked before
    meeting: str = ""  # part of the meeting's id or title
    session: str = ""  # part of the session's id
    person: str = ""  # part of a name or id of who started or stopped it or took part, or of a track's file name
    app_id: str = ""
    min_duration_s: float = 0.0
    max_duration_s: float = float("inf")
    damaged: bool = False  # only what is damaged or unreadable, or was so at the last audit
    findings: bool = False  # only what there is anything to know about


def search(rows: Iterable[Row], query: Query) -> list[Row]:
    """Return the rows that are meant, newest first."""
    return newest_first(row for row in rows if matches(row, query))


def newest_first(rows: Iterable[Row]) -> list[Row]:
    """Return rows in the order in which they are shown."""
    return sorted(rows, key=lambda row: (recorded_at(row) or LONG_AGO, row["archive_url"]), reverse=True)


def matches(row: Row, query: Query) -> bool:
    """Tell whether a row is meant."""
    return (
        (not query.app_id or row["app_id"] == query.app_id)
        and _in_time(row, query)
        and query.min_duration_s <= (row["duration_s"] or 0.0) <= query.max_duration_s
        and (not query.damaged or is_damaged(row))
        and (not query.findings or bool(row["findings"] or row["media_findings"] or row["fixity_findings"]))
        and _has_words([row["meeting_id"], row["title"]], query.meeting)
        and _has_words([row["session_id"]], query.session)
        and _has_words(_people(row), query.person)
        and _has_words(_texts(row), query.text)
    )


def could_match(month: Month, query: Query) -> bool:
    """Tell whether any recording of a month could be meant, so that its file is worth reading.

    A recording lies under the day of its first known time, which is the time that is compared.
    """
    since, until = query.since, query.until
    return (
        (not query.app_id or month.app_id == query.app_id)
        and (since is None or month.month >= f"{since.astimezone(UTC):%Y-%m}")
        and (until is None or month.month <= f"{until.astimezone(UTC):%Y-%m}")
    )


def fold(text: str) -> str:
    """Return a text in which case and accents make no difference."""
    if text.isascii():
        return text.lower()
    apart = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    if apart.isascii():  # so it is with most names, and takes a third of the time
        return apart.lower()
    return "".join(c for c in apart if not unicodedata.combining(c)).casefold().translate(_WITHOUT_ACCENTS)


def is_damaged(row: Row) -> bool:
    """Tell whether a recording is damaged or unreadable, or was so at the last audit."""
    return row["condition"] in {"damaged", "unreadable"} or row["fixity_outcome"] in {"damaged", "unread"}


def recorded_at(row: Row) -> datetime | None:
    """Return the time that a recording is sorted by: the first that is known."""
    time: datetime | None = row["invoked_at"] or row["started_at"] or row["stopped_at"]
    return time


def _in_time(row: Row, query: Query) -> bool:
    if query.since is None and query.until is None:
        return True
    time = recorded_at(row)
    if time is None:
        return False
    return (query.since is None or time >= query.since) and (query.until is None or time < query.until)


def _has_words(texts: Iterable[str | None], words: str) -> bool:
    """Tell whether each word is part of any of the texts."""
    wanted = fold(words).split()
    if not wanted:
        return True
    plain, accented = list[str](), list[str]()
    for text in texts:
        if text:
            (plain if text.isascii() else accented).append(text)
    # Apart, as a text without accents takes a tenth of the time.
    haystack = "\n".join(plain).lower() + "\n" + fold("\n".join(accented))
    return all(word in haystack for word in wanted)


def _people(row: Row) -> Iterator[str | None]:
    """Yield the texts that name people: tracks are called after participants."""
    yield from (row[name] for name in ("started_by", "started_by_id", "stopped_by", "stopped_by_id"))
    yield from (*row["participants"], *row["participant_ids"])
    yield from (
        file["path"].rpartition("/")[2] for file in row["files"] if file["path"].startswith(f"{PAYLOAD}tracks/")
    )


def _texts(row: Row) -> Iterator[str | None]:
    yield from (row[name] for name in _ALL_TEXTS)
    if time := recorded_at(row):
        yield time.isoformat(" ", "minutes")
    yield from _people(row)
    yield from (file["path"] for file in row["files"])
    yield from (*row["findings"], *row["media_findings"], *row["fixity_findings"])
