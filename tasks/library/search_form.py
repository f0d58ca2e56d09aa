"""The search form: what a person has filled in becomes a query of the catalog, and pages of what it finds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tasks.catalog import Query, parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.catalog import Row

ON_A_PAGE = 50
LONGEST_TEXT = 200
"""Characters of what is looked for."""


@dataclass(frozen=True)
class SearchForm:
    """What was filled in, as texts, and what of it cannot be understood."""

    q: str = ""
    since: str = ""
    until: str = ""
    min_minutes: str = ""
    damaged: str = ""
    page: int = 1
    problems: Mapping[str, str] = field(default_factory=dict)  # by field
    query: Query = field(default_factory=Query)

    @classmethod
    def of(cls, sent: Mapping[str, str]) -> SearchForm:
        """Read what a browser sends; what cannot be understood is left out of the query."""
        texts = {name: sent.get(name, "").strip()[:LONGEST_TEXT] for name in ("q", "since", "until", "min_minutes")}
        problems: dict[str, str] = {}
        wanted: dict[str, object] = {"text": texts["q"], "damaged": sent.get("damaged") == "1"}
        for name in ("since", "until"):
            try:
                wanted |= {name: parse_time(texts[name], end=name == "until")} if texts[name] else {}
            except ValueError as error:
                problems[name] = f"This {error}."
        if re.fullmatch(r"[0-9]{1,6}", texts["min_minutes"], re.ASCII):
            wanted["min_duration_s"] = 60.0 * int(texts["min_minutes"])
        elif texts["min_minutes"]:
            problems["min_minutes"] = "This must be a number of minutes, such as 15."
        page = sent.get("page", "")
        return cls(
            **texts,
            damaged="1" if wanted["damaged"] else "",
            page=max(int(page), 1) if re.fullmatch(r"[0-9]{1,6}", page, re.ASCII) else 1,
            problems=problems,
            query=Query(**wanted),  # type: ignore[arg-type]
        )

    @property
    def is_filtered(self) -> bool:
        """Whether anything narrows the list, besides the words."""
        return bool(self.since or self.until or self.min_minutes or self.damaged)

    @property
    def is_blank(self) -> bool:
        """Whether all recordings are shown."""
        return not (self.q or self.is_filtered)

    def address(self, page: int) -> str:
        """Return the address of a page of the same search."""
        names = ("q", "since", "until", "min_minutes", "damaged")
        filled = {name: value for name in names if (value := getattr(self, name))}
        asked = urlencode(filled | ({"page": str(page)} if page > 1 else {}))
        return f"/?{asked}" if asked else "/"


@dataclass(frozen=True)
class Page:
    """A page of a search."""

    rows: Sequence[Row]
    number: int  # from 1
    pages: int
    total: int  # rows on all pages
    recordings: int  # of these; the others are sessions without a recording

    @classmethod
    def of(cls, rows: Sequence[Row], number: int) -> Page:
        """Return a page; the last one where the number is too large."""
        pages = max(-(-len(rows) // ON_A_PAGE), 1)
        number = min(number, pages)
        recordings = sum(1 for row in rows if row["recording_id"])
        return cls(rows[(number - 1) * ON_A_PAGE : number * ON_A_PAGE], number, pages, len(rows), recordings)

    @property
    def counted(self) -> str:
        """How many recordings there are, and how many meetings without one."""
        meetings = self.total - self.recordings
        texts = [f"{self.recordings:,} recording{'' if self.recordings == 1 else 's'}"]
        texts += [f"{meetings:,} meeting{'' if meetings == 1 else 's'} without a recording"] if meetings else []
        return " and ".join(texts if self.recordings or not meetings else texts[1:])
