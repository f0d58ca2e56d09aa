"""A stand-in of the RealtimeKit API and of the server behind its presigned URLs, on real sockets of 127.0.0.1.

    with RealtimeKitStandIn(account_id="acc", app_id="app", token="secret") as kit:
        recording = kit.add(StandInRecording("182bd5e5-…", video=MediaSource(SyntheticContent(10_000_000))))
        kit.file_faults = [Drop(65536, how="rst"), None, Answer.slow_down()]
        archive(kit.base_url, recording.id)
        assert kit.bytes_served() >= 10_000_000

It answers as the services do, breaks as its scripts say, and remembers every request.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Self

from tests.standins.api import BASE_PATH, Api
from tests.standins.content import AUTO, DROP, BytesContent, Content, MediaSource, SyntheticContent
from tests.standins.faults import (
    Answer,
    ApiScript,
    Drip,
    Drop,
    Empty200,
    Exchange,
    Fault,
    FileScript,
    HtmlPage,
    Redirect,
    RedirectLoop,
    Refuse,
    Stall,
    at_random,
)
from tests.standins.files import FileServer
from tests.standins.knobs import ExpiryDialect, Knobs
from tests.standins.lies import (
    Chunked,
    ChunkedCut,
    ChunkedEndsEarly,
    Gzip,
    IgnoreRange,
    LongBody,
    NoLength,
    OtherETag,
    OtherType,
    ShortBody,
    WrongRange,
    WrongTotal,
)
from tests.standins.links import LinkOffice
from tests.standins.loopback import LoopbackServer
from tests.standins.oddities import Headers, InTurn, NotHttp, Preceded, Unframed
from tests.standins.recordings import LEAKY_STORAGE_CONFIG, StandInRecording
from tests.standins.requests import ApiRequest, FileRequest
from tests.standins.sessions import StandInDocument, StandInSession

if TYPE_CHECKING:
    from types import TracebackType

    from tests.standins.webhooks import Webhooks

__all__ = [
    "AUTO",
    "DROP",
    "LEAKY_STORAGE_CONFIG",
    "Answer",
    "ApiRequest",
    "ApiScript",
    "BytesContent",
    "Chunked",
    "ChunkedCut",
    "ChunkedEndsEarly",
    "Content",
    "Drip",
    "Drop",
    "Empty200",
    "Exchange",
    "ExpiryDialect",
    "Fault",
    "FileRequest",
    "FileScript",
    "Gzip",
    "Headers",
    "HtmlPage",
    "IgnoreRange",
    "InTurn",
    "LongBody",
    "MediaSource",
    "NoLength",
    "NotHttp",
    "OtherETag",
    "OtherType",
    "Preceded",
    "RealtimeKitStandIn",
    "Redirect",
    "RedirectLoop",
    "Refuse",
    "ShortBody",
    "Stall",
    "StandInDocument",
    "StandInRecording",
    "StandInSession",
    "SyntheticContent",
    "Unframed",
    "WrongRange",
    "WrongTotal",
    "at_random",
]


APP_ID = "14a396e7-ca44-4937-bf1f-050a69118543"
"""A UUID, as all apps have them; the one that the API's reference gives as its example."""


class RealtimeKitStandIn(Knobs):
    """RealtimeKit in this process: an API and a file server on two ports, for as long as the `with` lasts."""

    def __init__(
        self,
        account_id: str = "acc0" * 8,
        app_id: str = APP_ID,
        token: str = "stand-in-token",  # noqa: S107 - it opens nothing
        *,
        send_buffer: int | None = None,
    ) -> None:
        super().__init__()
        self.account_id, self.app_id, self.token = account_id, app_id, token
        self._links = LinkOffice(self)
        self._api = Api(self, self._links, account_id, app_id, token)
        self._files = FileServer(self, self._links, self._find)
        self._api_socket = LoopbackServer(self._api.answer)
        self._file_socket = LoopbackServer(self._files.answer, send_buffer)
        self._links.origin = self._file_socket.origin
        self._send_buffer = send_buffer
        self._reservation: socket.socket | None = None
        self._errors: list[BaseException] = []

    @property
    def base_url(self) -> str:
        """The API's base URL, as it goes into CLOUDFLARE_BASE_URL."""
        return f"{self._api_socket.origin}{BASE_PATH}"

    @property
    def recordings_url(self) -> str:
        """The URL of the list of recordings; a recording's details are at `/{id}` below it."""
        return f"{self.base_url}/accounts/{self.account_id}/realtime/kit/{self.app_id}/recordings"

    @property
    def files_url(self) -> str:
        """The file server's address."""
        return self._file_socket.origin

    def start(self) -> None:
        """Begin to serve."""
        self._api_socket.start()
        self._file_socket.start()

    def close(self) -> None:
        """Stop serving: open connections are shut down, whatever they are at."""
        self._api_socket.stop()
        if self._reservation is None:
            self._file_socket.stop()
        else:
            self._reservation.close()

    def take_files_down(self) -> None:
        """End the file server as a crash does: what flows breaks off, and from then on connections are refused."""
        self._file_socket.stop()
        self._errors += self._file_socket.errors
        # Bound but not listening: nobody else gets the port by chance.
        self._reservation = _bound(self._file_socket.server_port)

    def bring_files_back(self) -> None:
        """Serve files again, on the same port; nothing happens if they never were away."""
        if self._reservation is not None:
            port = self._reservation.getsockname()[1]
            self._file_socket = LoopbackServer(self._files.answer, self._send_buffer, port)
            self._reservation.close()
            self._reservation = None
            self._file_socket.start()

    def lead_links_to(self, origin: str | None) -> None:
        """Let the links that are handed out from now on begin with another origin, or with the right one (None)."""
        self._links.origin = self.files_url if origin is None else origin

    def __enter__(self) -> Self:
        """Begin to serve."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop serving, and raise what a script or callback raised, which no client could have told anybody."""
        self.close()
        failures = self._errors + self._api_socket.errors + self._file_socket.errors
        if failures and error is None:
            raise failures[0]

    def add(self, recording: StandInRecording) -> StandInRecording:
        """Make a recording known, or put it in the place of one with its id."""
        self._api.add(recording)
        return recording

    def add_session(self, session: StandInSession) -> StandInSession:
        """Make a session known, or put it in the place of one with its id."""
        self._api.sessions.known[session.id] = session
        return session

    def add_app(self, other: RealtimeKitStandIn) -> RealtimeKitStandIn:
        """Let another stand-in's app be one more of this account: listed, and answered for, here."""
        self._api.others[other.app_id] = other._api
        return other

    def upload_url(self, session: StandInSession, name: str) -> str:
        """Return a presigned URL of what was uploaded in a session's chat."""
        return self._links.mint(f"{self._api.sessions.folder(session.id)}uploads/{name}", self.now())

    def expire_all_links(self) -> None:
        """Make every link handed out so far answer as expired."""
        self._links.expire_all()

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks that the app has registered."""
        return self._api.webhooks

    @property
    def recordings(self) -> list[StandInRecording]:
        """The recordings that it knows."""
        return list(self._api.recordings.values())

    @property
    def file_requests(self) -> list[FileRequest]:
        """The requests to the file server so far, in the order they came."""
        return self._files.ledger.all()

    @property
    def api_requests(self) -> list[ApiRequest]:
        """The requests to the API so far, in the order they came."""
        return self._api.ledger.all()

    @property
    def most_file_requests_at_once(self) -> int:
        """The largest number of file requests that were ever being answered at the same time."""
        return self._files.ledger.peak()

    def bytes_served(self, name: str | None = None) -> int:
        """Return how many bytes of files, or of those with this name, went to the socket."""
        return sum(request.sent for request in self.file_requests if name in {None, request.name})

    def wait_idle(self, timeout: float = 5) -> bool:
        """Wait until no request is being answered; say whether that came true."""
        return self._api.ledger.wait_idle(timeout) and self._files.ledger.wait_idle(timeout)

    def _find(self, key: str) -> MediaSource | None:
        for recording in self.recordings:
            folder = self._api.folder(recording.id)
            if key.startswith(folder):
                return None if recording.expired else recording.files().get(key.removeprefix(folder))
        return self._api.sessions.find(key)


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    if sys.platform != "win32":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
