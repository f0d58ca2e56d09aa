"""Presigned URLs of a recording's files: their expiry, and a refresh that serves all readers at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

from tasks.errors import ApiNonsense, ApiUnavailable, ArchiverError, LinkRefused, SourceUnavailable, TransferStopped
from tasks.retry import backoff, wait_unless_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Event

    from tasks.text import Log

REFRESH_AHEAD_S = 60.0
"""Seconds before its expiry at which a URL is refreshed."""
MIN_REFRESH_INTERVAL_S = 30.0
"""Seconds between two refreshes ahead of time: sooner, the expiry or our clock is wrong, or the API does not answer."""
MAX_REFUSED_URLS = 5
"""URLs of one file that may be refused in a row; one more refusal is final."""
MAX_NONSENSE_ANSWERS = 3
"""Answers in a row that do not come from the API, although it has answered before; this many are final."""


@dataclass(frozen=True)
class PresignedUrl:
    """A presigned URL; if known, also when the URL expires, and until when RealtimeKit keeps the file."""

    url: str = field(repr=False)
    expires_at: datetime | None = None
    kept_until: datetime | None = None

    def expires_within(self, seconds: float) -> bool:
        """Tell whether the URL expires within so many seconds, by this machine's clock."""
        return self.expires_at is not None and (self.expires_at - datetime.now(UTC)).total_seconds() < seconds

    def is_past_retention(self) -> bool:
        """Tell whether RealtimeKit no longer keeps the file, by this machine's clock."""
        return self.kept_until is not None and datetime.now(UTC) > self.kept_until


class PresignedUrls:
    """The URLs of one recording's files; a single refresh serves all readers of all files.

    Args:
        urls: by the file's label.
        fetch: asks the API for fresh URLs.
        stop: set to end all waiting at once.
        log: receives a line for each refresh, never a URL.
    """

    def __init__(
        self,
        urls: Mapping[str, PresignedUrl],
        fetch: Callable[[], Mapping[str, PresignedUrl]],
        stop: Event,
        log: Log,
    ) -> None:
        self._urls = dict(urls)
        self._fetch = fetch
        self._stop = stop
        self._log = log
        self._lock = Lock()  # the thread that holds it refreshes
        self._asked_at = time.monotonic()
        self._away: ApiUnavailable | None = None  # failure of the latest refresh
        self._refused: dict[str, dict[int, PresignedUrl]] = {}  # by label and identity, since a URL last worked
        self._nonsense = 0  # answers in a row
        self._unrenewed: dict[str, str] = {}  # by label: URLs that a refresh brought again
        self.refreshes = 0

    def current(self, label: str) -> PresignedUrl:
        """Return the file's URL; if it is about to expire, one thread refreshes it first; no other thread waits."""
        presigned = self._urls[label]
        if presigned.expires_within(REFRESH_AHEAD_S) and self._lock.acquire(blocking=False):
            try:
                self._refresh_ahead(label, presigned)
            finally:
                self._lock.release()
        return self._urls[label]

    def note_success(self, label: str) -> None:
        """Note that a URL led to its file, so that earlier refusals do not count."""
        self._refused.pop(label, None)

    def replace_refused(self, label: str, presigned: PresignedUrl, refusal: LinkRefused) -> None:
        """Replace a URL that the file's server refused, unless too many fresh URLs were refused as well.

        Raises:
            LinkRefused: `MAX_REFUSED_URLS` URLs of the file and this one were refused in a row.
            SourceUnavailable, ApiUnavailable: as for `refresh`.
        """
        known = self._away
        with self._lock:
            refused = self._refused.setdefault(label, {})
            refused[id(presigned)] = presigned
            if self._urls[label] is not presigned:
                return
            if len(refused) > MAX_REFUSED_URLS:
                raise refusal
            self._share_failure(known)
            wait_unless_stopped(self._stop, backoff(len(refused) - 1))
            self._replace(label, f"the old one was refused: {refusal.reason}")

    def refresh(self, label: str, presigned: PresignedUrl, why: str) -> None:
        """Replace the URLs of all files, unless another thread has just done so, or failed to.

        Args:
            label: the file's.
            presigned: the URL that is no longer wanted.
            why: the reason, for the log.

        Raises:
            SourceUnavailable: the API hands out no URL for the file.
            ApiUnavailable: or any other error of the API.
        """
        known = self._away
        with self._lock:
            if self._urls[label] is presigned:
                self._share_failure(known)
                self._replace(label, why)

    def _refresh_ahead(self, label: str, presigned: PresignedUrl) -> None:
        if self._urls[label] is not presigned or time.monotonic() - self._asked_at <= MIN_REFRESH_INTERVAL_S:
            return
        if self._unrenewed.get(label) == presigned.url:
            return
        try:
            self._replace(label, "the old one expires within a minute")
        except TransferStopped:
            raise
        except ArchiverError as error:  # the old URL may still work; if not, the reader that is refused asks again
            self._log.warning("%s: could not get a fresh URL before the old one expires. %s", label, error)

    def _share_failure(self, known: ApiUnavailable | None) -> None:
        """Raise the failure that another reader's refresh met while this one waited, instead of asking once more."""
        if self._away is not None and self._away is not known:
            raise ApiUnavailable(self._away.reason, self._away.retry_after)

    def _replace(self, label: str, why: str) -> None:
        try:
            fresh = self._fetch_urls()
        except ApiUnavailable as away:
            self._away = ApiUnavailable(away.reason, away.retry_after)  # without its traceback
            raise
        finally:
            self._asked_at = time.monotonic()
        if label not in fresh:
            raise SourceUnavailable(label, "the API hands out no URL for it at the moment")
        old = self._urls[label].url
        self._urls.update(fresh)
        self._away = None
        self.refreshes += 1
        if fresh[label].url != old:
            self._log.info("%s: got a fresh URL: %s.", label, why)
        elif self._unrenewed.get(label) != old:
            self._unrenewed[label] = old
            self._log.warning("%s: the API hands out the same URL again (%s). It is used while it works.", label, why)

    def _fetch_urls(self) -> Mapping[str, PresignedUrl]:
        """Ask the API; in the middle of a transfer, a proxy's page or a broken answer is a reason to ask again."""
        try:
            fresh = self._fetch()
        except ApiNonsense as nonsense:
            self._nonsense += 1
            if self._nonsense >= MAX_NONSENSE_ANSWERS:
                raise
            raise ApiUnavailable(nonsense.finding) from None
        self._nonsense = 0
        return fresh
