"""The figures of recordings, of a sweep and of an audit, as data: the payloads of events, and parts of results."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_FOLDER = re.compile(r"/(?P<app_id>[A-Za-z0-9_-]{1,64})/[0-9]{4}/[0-9]{2}/[0-9]{2}/[^/]+/?$")


class RecordingFigures(BaseModel):
    """What is counted of one archived recording; fields of its result, and of its event's payload.

    What an event lacks, as an older version of this project has emitted it, counts as unknown or as none.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    recording_id: str
    archive_url: str
    bytes: int = Field(ge=0)
    lag_s: float | None = None
    refreshes: int = 0
    resumes: int = 0
    retries: int = 0

    @property
    def app_id(self) -> str:
        """The app, by the folder of the archive; empty if the folder is none of ours."""
        matched = _FOLDER.search(self.archive_url)
        return matched["app_id"] if matched else ""


class TransferFigures(BaseModel):
    """The figures of a number of recordings that were transferred and archived."""

    model_config = ConfigDict(frozen=True)

    recordings: int = 0
    bytes: int = 0  # of all files
    lag_p50_s: float | None = None  # from the end of a recording to its archive; None if no lag is known
    lag_p95_s: float | None = None
    lag_unknown: int = 0  # recordings without a lag: the API does not tell the end, or an archive was replaced
    refreshes: int = 0  # fresh URLs in place of expired ones
    resumes: int = 0  # reads that were carried on after a drop
    retries: int = 0  # stages that were run again


class SweepFigures(TransferFigures):
    """The figures of a sweep; the payload of its event. Counts are those of the lists of the sweep's result."""

    looked_at_all: bool  # at all recordings of the app in the settings, and not at some of them
    app_ids: tuple[str, ...]
    seconds: float
    already_archived: int
    archived: int
    failed: int
    at_risk: int
    lost: int
    not_downloadable: int
    still_to_come: int
    stuck: int
    errored: int
    handed_out: int
    under_way: int
    left: int
    gained_files: int
    partial: int
    sessions_archived: int
    sessions_failed: int
    sessions_overdue: int


class AuditFigures(BaseModel):
    """The figures of an audit; the payload of its event."""

    model_config = ConfigDict(frozen=True)

    looked_at_all: bool  # at all apps of the archive
    deep: bool  # whether files were read again
    finished: bool  # False: the store did not answer
    seconds: float
    bytes_read: int
    recordings: int
    within_days: int
    reread_within: int  # recordings that were read again within so many days
    never_reread: int
    oldest_days: float | None  # age of the oldest reading; None if no recording was ever read
    reread: int  # recordings, by this audit
    damaged: int
    unread: int
    sessions: int
    sessions_reread_within: int
    sessions_never_reread: int
    sessions_reread: int  # by this audit
    damaged_sessions: int  # whose newest version is damaged
    damaged_older_versions: int  # of sessions with a newer version
    unread_sessions: int


def sum_up(recordings: Collection[RecordingFigures]) -> TransferFigures:
    """Return the figures of some recordings together."""
    lags = sorted(figures.lag_s for figures in recordings if figures.lag_s is not None)
    return TransferFigures(
        recordings=len(recordings),
        bytes=sum(figures.bytes for figures in recordings),
        lag_p50_s=_quantile(lags, 0.5),
        lag_p95_s=_quantile(lags, 0.95),
        lag_unknown=len(recordings) - len(lags),
        refreshes=sum(figures.refreshes for figures in recordings),
        resumes=sum(figures.resumes for figures in recordings),
        retries=sum(figures.retries for figures in recordings),
    )


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the least value that such a share of all values does not exceed; None if there is no value."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
