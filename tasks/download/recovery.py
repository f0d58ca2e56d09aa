"""Recovery: what a reader does about each failure before its next attempt: wait, get a fresh URL, or give up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tasks.errors import (
    ApiUnavailable,
    LinkRefused,
    RangesUnproved,
    SourceChanged,
    SourceGone,
    SourceLied,
    SourceMissing,
    SourceUnavailable,
)
from tasks.retry import MOVING_BYTES

if TYPE_CHECKING:
    from tasks.download.presigned_urls import PresignedUrl, PresignedUrls
    from tasks.errors import ArchiverError
    from tasks.retry import Patience

MAX_LIES = 4
"""Impossible answers in a row after which the last one is final."""
FAILURES_BEFORE_REFRESH = 4
"""Failures in a row after which the URL itself may be the reason, so that a fresh one is fetched."""
MISSING_FOR_S = 120.0
"""Seconds for which a 404 is tried again: a store may need a while to show a new object. Later runs try again."""


class Recovery:
    """The failures of one reader since it last made progress.

    Args:
        urls: give fresh URLs.
        label: the file's.
        patience: shared by all readers of the file.
    """

    def __init__(self, urls: PresignedUrls, label: str, patience: Patience) -> None:
        self._urls = urls
        self._label = label
        self._patience = patience
        self._gained = 0
        self._failures = 0
        self._lies = 0
        self._missing_since: float | None = None

    def note_progress(self, count: int) -> None:
        """Note that `count` bytes arrived."""
        self._patience.progressed(count)
        self._gained += count
        self._missing_since = None
        if self._gained >= MOVING_BYTES:
            self._failures = self._lies = 0

    def recover(self, failure: ArchiverError, presigned: PresignedUrl) -> None:
        """Prepare the next attempt after a failure, or raise the failure."""
        self._gained = 0
        try:
            self._renew(failure, presigned)
        except (ApiUnavailable, SourceUnavailable) as away:
            failure = away
        if not isinstance(failure, LinkRefused):
            self._patience.pause(failure, self._failures)
            self._failures += 1

    def _renew(self, failure: ArchiverError, presigned: PresignedUrl) -> None:
        if isinstance(failure, LinkRefused):
            self._urls.replace_refused(self._label, presigned, failure)
        elif isinstance(failure, SourceLied | SourceChanged):
            self._lies += 1
            if self._lies >= MAX_LIES:
                raise failure
            if isinstance(failure, RangesUnproved):
                return  # another server of the same file may do better
            # Some servers report an expired URL by a page in the place of the file.
            self._urls.refresh(self._label, presigned, "the old one led to something else")
        elif isinstance(failure, SourceMissing):
            self._require_hope(failure, presigned)
            self._urls.refresh(self._label, presigned, "the old one led to nothing")
        elif (self._failures + 1) % FAILURES_BEFORE_REFRESH == 0:
            self._urls.refresh(self._label, presigned, "the old one leads nowhere")

    def _require_hope(self, missing: SourceMissing, presigned: PresignedUrl) -> None:
        """Raise unless the missing file may still appear."""
        if presigned.is_past_retention():
            raise SourceGone(self._label)
        now = time.monotonic()
        self._missing_since = now if self._missing_since is None else self._missing_since
        if now - self._missing_since > MISSING_FOR_S:
            raise missing
