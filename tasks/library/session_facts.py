"""What the page says of a session without a recording, which the catalog gives in the form of a row."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from tasks.library.recording_facts import RecordingFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.catalog import Row

_DAY = re.compile(r"/(?P<day>[0-9]{4}/[0-9]{2}/[0-9]{2})/session-[^/]+/v[0-9]+/$")


class SessionFacts(RecordingFacts):
    """A session without a recording, as the templates show it."""

    @property
    def address(self) -> str:
        """Its page."""
        return f"/sessions/{self.row['session_id']}"

    @property
    def what(self) -> str:
        """Which documents there are."""
        return ", ".join(["no recording", *self.row["documents"]]).capitalize()

    @property
    def thumbnail(self) -> str:
        """The address of the picture that stands for it in a list."""
        return "/static/words.svg"

    @property
    def session_days(self) -> Sequence[date | None]:
        """The day under which its bag lies, as the catalog says; None for the folder of sessions without any time."""
        match = _DAY.search(self.row["archive_url"] or "")
        try:
            return [date.fromisoformat(match["day"].replace("/", "-"))] if match else []
        except ValueError:
            return [None]


def facts_of(row: Row) -> RecordingFacts:
    """Return what the page says of a row: of a recording, or of a session without a recording."""
    return RecordingFacts(row) if row["recording_id"] or not row["session_id"] else SessionFacts(row)
