"""Knows presigned URLs: that they expire, and that one refresh serves all who read through them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

from tasks.errors import ApiNonsense, ApiUnavailable, ArchiverError, LinkRefused, SourceUnavailable, TransferStopped
from tasks.retry import backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event

    from tasks.text import Log

REFRESH_AHEAD_S = 60.0
FRESH_FOR_S = 30.0  # so soon nobody asks again ahead of time: the expiry, or our clock, is off, or the API away
REFUSALS_BELIEVED = 5  # URLs of one file refused in a row; one more ends it
NONSENSE_BELIEVED = 3  # answers in a row that are not the API's, which has answered before


@dataclass(frozen=True)
class Link:
    """A presigned URL, and if these are known: when it expires, and until when RealtimeKit keeps its file."""

    url: str = field(repr=False)
    expires_at: datetime | None = None
    kept_until: datetime | None = None

    def expires_within(self, seconds: float) -> bool:
        """Tell whether the URL is about to expire, by this machine's clock."""
        return self.expires_at is not None and (self.expires_at - datetime.now(UTC)).total_seconds() < seconds

    def is_of_the_past(self) -> bool:
        """Tell whether the file is no longer kept, by this machine's clock."""
        return self.kept_until is not None and datetime.now(UTC) > self.kept_until


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
        log: Log,
    ) -> None:
        self._links = dict(links)
        self._fetch = fetch
        self._stop = stop
        self._log = log
        self._lock = Lock()  # whoever holds it is the one who refreshes
        self._asked_at = time.monotonic()
        self._away: ApiUnavailable | None = None  # how the latest refresh failed
        self._refused: dict[str, dict[int, Link]] = {}  # by label and identity, since one last worked
        self._nonsense = 0  # answers in a row
        self._unrenewed: dict[str, str] = {}  # URLs by label that a fresh look found again
        self.refreshes = 0

    def current(self, label: str) -> Link:
        """Return the file's URL, refreshed ahead of time if it is about to expire; nobody waits for that but one."""
        link = self._links[label]
        if link.expires_within(REFRESH_AHEAD_S) and self._lock.acquire(blocking=False):
            try:
                self._refresh_ahead(label, link)
            finally:
                self._lock.release()
        return self._links[label]

    def worked(self, label: str) -> None:
        """Note that a URL led to its file."""
        self._refused.pop(label, None)

    def refused(self, label: str, link: Link, refusal: LinkRefused) -> None:
        """Replace a URL that was refused; fresh ones that are refused as well are not asked for without end.

        Raises:
            LinkRefused: several URLs of the file in a row were refused.
            And as for `refresh`.
        """
        known = self._away
        with self._lock:
            refused = self._refused.setdefault(label, {})
            refused[id(link)] = link
            if self._links[label] is not link:
                return
            if len(refused) > REFUSALS_BELIEVED:
                raise refusal
            self._share_failure(known)
            if self._stop.wait(backoff(len(refused) - 1)):
                raise TransferStopped
            self._replace(label, f"the old one was refused: {refusal.reason}")

    def refresh(self, label: str, link: Link, why: str) -> None:
        """Replace the URLs of all files, unless somebody else has just done so, or failed to.

        Args:
            link: the URL that is no longer wanted.

        Raises:
            SourceUnavailable: the API hands out no URL for the file.
            ApiUnavailable: or any other error of the API.
        """
        known = self._away
        with self._lock:
            if self._links[label] is link:
                self._share_failure(known)
                self._replace(label, why)

    def _refresh_ahead(self, label: str, link: Link) -> None:
        if self._links[label] is not link or time.monotonic() - self._asked_at <= FRESH_FOR_S:
            return
        if self._unrenewed.get(label) == link.url:
            return
        try:
            self._replace(label, "the old one expires within a minute")
        except TransferStopped:
            raise
        except ArchiverError as error:  # the old one may still do; if not, whoever is refused asks again
            self._log.warning("%s: no fresh URL ahead of time. %s", label, error)

    def _share_failure(self, known: ApiUnavailable | None) -> None:
        """Raise what another reader's refresh met while this one waited: all asking in turn would help nobody."""
        if self._away is not None and self._away is not known:
            raise ApiUnavailable(self._away.reason, self._away.retry_after)

    def _replace(self, label: str, why: str) -> None:
        try:
            fresh = self._fetched()
        except ApiUnavailable as away:
            self._away = ApiUnavailable(away.reason, away.retry_after)  # without its traceback
            raise
        finally:
            self._asked_at = time.monotonic()
        if label not in fresh:
            raise SourceUnavailable(label, "the API hands out no URL for it at the moment")
        old = self._links[label].url
        self._links.update(fresh)
        self._away = None
        self.refreshes += 1
        if fresh[label].url != old:
            self._log.info("%s: got a fresh URL: %s.", label, why)
        elif self._unrenewed.get(label) != old:
            self._unrenewed[label] = old
            self._log.warning("%s: the API hands out the same URL again (%s). It is used while it works.", label, why)

    def _fetched(self) -> Mapping[str, Link]:
        """Ask the API; in the middle of a transfer, a proxy's page or a torn answer is a reason to ask again."""
        try:
            fresh = self._fetch()
        except ApiNonsense as nonsense:
            self._nonsense += 1
            if self._nonsense >= NONSENSE_BELIEVED:
                raise
            raise ApiUnavailable(nonsense.found) from None
        self._nonsense = 0
        return fresh
