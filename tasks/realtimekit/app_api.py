"""The API of one app: where its lists are, how patiently it is asked, and how a list is read page by page."""

from __future__ import annotations

from collections import deque
from threading import Event
from typing import TYPE_CHECKING, Any, ClassVar

from tasks.errors import AnswerTooLarge, RecordingNotFound
from tasks.realtimekit.api_client import Cloudflare

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tasks.errors import ApiRefused
    from tasks.realtimekit.api_client import Params

API_PATIENCE_S = 45.0
"""How long one call keeps trying; task retries and the next run are there for longer troubles."""
API_BLOCK_S = 330.0
"""Cloudflare serves nothing for up to five minutes to whom it has seen too often, such as a sweep of very many.
Source: https://developers.cloudflare.com/fundamentals/api/reference/limits/
"""
PAGE_SIZES = (100, 50, 25, 5, 1)
"""Entries a page: the next smaller one where a page is too large, as with hundreds of tracks a recording. Each divides
the one before, so that the pages go on exactly where the larger ones ended."""


class AppApi:
    """What belongs to one app.

    Args:
        http: client for the API; the token goes into each request's header and nowhere else.
        base_url: of the API, without a slash at its end.
        stop: set to end all waiting at once.
        patience_s: seconds that one call goes on trying while the API is unavailable.
        block_s: seconds that one call sits out, besides, because the API limits our rate.
    """

    not_found: ClassVar[type[ApiRefused]] = RecordingNotFound
    kind: ClassVar[str] = "recording"

    def __init__(
        self,
        http: httpx.Client,
        base_url: str,
        account_id: str,
        app_id: str,
        token: str,
        *,
        stop: Event | None = None,
        patience_s: float = API_PATIENCE_S,
        block_s: float = API_BLOCK_S,
    ) -> None:
        self._app_url = f"{base_url}/accounts/{account_id}/realtime/kit/{app_id}"
        self._stop = stop or Event()
        self._patience_s = patience_s
        self._api = Cloudflare(http, token, self._stop, patience_s, block_s, not_found=self.not_found, kind=self.kind)

    def _pages(self, url: str, params: Params) -> Iterator[dict[str, Any]]:
        """Yield the envelopes of a list, page after page, without an end: the caller knows which page is the last."""
        sizes, begin = deque(PAGE_SIZES), 0
        while True:
            try:
                envelope = self._api.get(url, {**params, "per_page": sizes[0], "page_no": begin // sizes[0] + 1})
            except AnswerTooLarge:
                if len(sizes) == 1:
                    raise
                sizes.popleft()
                continue
            begin += sizes[0]
            yield envelope


def total_of(paging: object) -> int:
    """Return how many entries a list has on all pages, as a page states beside its data; -1 if it is not told."""
    total = paging.get("total_count") if isinstance(paging, dict) else None
    return total if isinstance(total, int) and not isinstance(total, bool) else -1
