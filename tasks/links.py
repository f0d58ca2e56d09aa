"""Knows presigned URLs: that they expire, and that one refresh serves all who read through them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING

from tasks.backoff import backoff
from tasks.errors import ApiUnavailable, LinkRefused, SourceGone, TransferStopped

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping
    from threading import Event
    from typing import Any

REFRESH_AHEAD_S = 60.0
FRESH_FOR_S = 30.0  # a URL so young is not refreshed ahead of time: its expiry, or our clock, is off
REFUSALS_BELIEVED = 5  # fresh URLs refused in a row


@dataclass(frozen=True)
class Link:
    """A presigned URL, and when it expires if that is known."""

    url: str = field(repr=False)
    expires_at: datetime | None = None

    def expires_within(self, seconds: float) -> bool:
        """Tell whether the URL is about to expire, by this machine's clock."""
        return self.expires_at is not None and (self.expires_at - datetime.now(UTC)).total_seconds() < seconds


class Links:
    """The URLs of one recording's files: a single refresh serves all readers of all files.

    Args:
        links: the URLs by the file's label.
        fetch: asks the API for fresh ones.
        stop: set to end all waiting at once.
        log: told of every refresh, never of a URL.
    """

    def __init__(
        self,
        links: Mapping[str, Link],
        fetch: Callable[[], Mapping[str, Link]],
        stop: Event,
        log: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self._links = dict(links)
        self._fetch = fetch
        self._stop = stop
        self._log = log
        self._lock = RLock()
        self._issued_at = time.monotonic()
        self._refusals = 0
        self.refreshes = 0

    def current(self, label: str) -> Link:
        """Return the file's URL, refreshed ahead of time if it is about to expire."""
        link = self._links[label]
        if link.expires_within(REFRESH_AHEAD_S) and time.monotonic() - self._issued_at > FRESH_FOR_S:
            try:
                self.refresh(label, link, "the old one expires within a minute")
            except ApiUnavailable as away:  # the old one may still do
                self._log.warning("%s: no fresh URL ahead of time. %s", label, away)
        return self._links[label]

    def worked(self) -> None:
        """Note that a URL led to its file."""
        self._refusals = 0

    def refused(self, label: str, link: Link, refusal: LinkRefused) -> None:
        """Replace a URL that was refused; fresh ones that are refused as well are not asked for without end.

        Raises:
            LinkRefused: several fresh URLs in a row were refused.
        """
        with self._lock:
            if self._links[label] is not link:
                return
            self._refusals += 1
            if self._refusals > REFUSALS_BELIEVED:
                raise refusal
            if self._stop.wait(backoff(self._refusals - 1)):
                raise TransferStopped
            self.refresh(label, link, f"the old one was refused: {refusal.reason}")

    def refresh(self, label: str, link: Link, why: str) -> None:
        """Replace the URLs of all files, unless somebody else has just done so.

        Args:
            link: the URL that is no longer wanted.

        Raises:
            SourceGone: the API names the file no more.
            ApiUnavailable: or any other error of the API.
        """
        with self._lock:
            if self._links[label] is not link:
                return
            fresh = self._fetch()
            if label not in fresh:
                raise SourceGone(label)
            self._links.update(fresh)
            self._issued_at = time.monotonic()
            self.refreshes += 1
        self._log.info("%s: got a fresh URL: %s.", label, why)
