"""An API whose list of very many recordings takes it no time: each page is made once."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.standins.api import BASE_PATH
from tests.standins.loopback import Delivery, Incoming, LoopbackServer

if TYPE_CHECKING:
    from tests.standins.realtimekit import RealtimeKitStandIn
    from tests.standins.wire import Reply

_MOVES_ON = "start_time"
"""What differs from one sweep to the next, and makes no difference here: all recordings are of the last days."""


class Listing:
    """Answers as a stand-in does, for each page from what that answered first.

    Args:
        kit: the stand-in; whatever is asked of it must not change any more.
    """

    def __init__(self, kit: RealtimeKitStandIn) -> None:
        self._kit = kit
        self._pages: dict[str, Reply] = {}
        self._lock = Lock()
        self._server = LoopbackServer(self._answer)
        self.requests = 0

    @property
    def base_url(self) -> str:
        """The API's base URL."""
        return f"{self._server.origin}{BASE_PATH}"

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self._server.stop()

    def _answer(self, incoming: Incoming) -> Delivery:
        parts = urlsplit(incoming.target)
        query = [(name, value) for name, value in parse_qsl(parts.query) if name != _MOVES_ON]
        asked = f"{parts.path}?{urlencode(sorted(query))}"
        with self._lock:
            self.requests += 1
            if asked not in self._pages:
                self._pages[asked] = self._first_answer(incoming)
            return Delivery(self._pages[asked])

    def _first_answer(self, incoming: Incoming) -> Reply:
        delivery = self._kit._api.answer(incoming)
        delivery.on_done()
        return delivery.reply
