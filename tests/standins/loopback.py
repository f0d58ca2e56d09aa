"""An HTTP server on loopback that sends answers as told, broken ones too, and can always be stopped."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.standins.wire import Cut, Reply

if sys.platform == "linux":
    import fcntl
    import termios

PIECE = 64 * 1024
PACES_PER_SECOND = 20

Connection = socket.socket | tuple[bytes, socket.socket]
"""What socketserver calls a request."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One HTTP request as it came in, the names of its headers in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer on its way: at what rate, and whom to tell of it."""

    reply: Reply
    bytes_per_second: float | None = None
    on_sent: Callable[[int], None] = _nothing
    """Told the bytes of body before they are handed to the socket, and those it then did not take, negative."""
    on_done: Callable[[], None] = _nothing


class Sender:
    """Puts one answer on a connection, and breaks off where it is meant to."""

    def __init__(self, connection: socket.socket, closing: threading.Event, delivery: Delivery) -> None:
        self._connection = connection
        self._closing = closing
        self._delivery = delivery

    def deliver(self) -> Literal["keep", "close", "reset"]:
        """Send the answer and say what is to become of the connection."""
        reply = self._delivery.reply
        self._send(reply.before)
        if reply.status_sent is not None:
            self._send(reply.head())
            self._send_body(reply)
        if reply.cut is not None:
            return self._break_off(reply.cut)
        if reply.framing == "chunked":
            self._send(b"0\r\n\r\n")
        return "close" if reply.framing == "close" else "keep"

    def _send_body(self, reply: Reply) -> None:
        budget = None if reply.cut is None else reply.cut.after_bytes
        chunked = reply.framing == "chunked"
        for sent, piece in self._paced(reply):
            part = piece if budget is None else piece[: max(budget - sent, 0)]
            if chunked:
                self._send(f"{len(piece):x}\r\n".encode())
            self._send_counted(part)
            if len(part) < len(piece):
                return
            if chunked:
                self._send(b"\r\n")

    def _paced(self, reply: Reply) -> Iterator[tuple[int, bytes]]:
        """Yield each piece with the bytes before it, when it is due."""
        rates = [rate for rate in (reply.bytes_per_second, self._delivery.bytes_per_second) if rate]
        rate = min(rates, default=None)
        limit = PIECE if rate is None else max(1, min(PIECE, int(rate / PACES_PER_SECOND)))
        sent, began = 0, time.monotonic()
        for piece in reply.pieces(limit):
            if rate is not None:
                self._closing.wait(max(0.0, began + sent / rate - time.monotonic()))
            yield sent, piece
            sent += len(piece)

    def _send_counted(self, data: bytes) -> None:
        # Counted first: once the client has a byte, nobody may find it uncounted.
        self._delivery.on_sent(len(data))
        left = memoryview(data)
        try:
            while left:
                left = left[self._connection.send(left) :]
        finally:
            if left:
                self._delivery.on_sent(-len(left))

    def _send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def _break_off(self, cut: Cut) -> Literal["close", "reset"]:
        if cut.how == "rst":
            self._await_arrival()
            return "reset"
        if cut.how == "stall":
            self._await_goodbye()
        return "close"

    def _await_goodbye(self) -> None:
        """Wait until the client goes away, or the stand-in shuts the connection down."""
        while self._connection.recv(PIECE):
            pass

    def _await_arrival(self) -> None:
        """Wait until all bytes are at the client: a reset throws away what is still queued here."""
        if sys.platform == "linux":
            while _queued(self._connection) and not self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                if self._closing.wait(0.0005):
                    return


def _queued(connection: socket.socket) -> int:
    """Return the bytes that the peer has not acknowledged (Linux: SIOCOUTQ)."""
    if sys.platform == "linux":
        return cast("int", struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0])
    return 0


class Handler(BaseHTTPRequestHandler):
    """Reads requests of one connection and has them answered."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: LoopbackServer

    def do_GET(self) -> None:
        """Answer one request."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        delivery = self.server.answer(Incoming(self.command, self.path, headers, body))
        try:
            ending = Sender(self.connection, self.server.closing, delivery).deliver()
        finally:
            delivery.on_done()
        if ending != "keep":
            self.close_connection = True
        if ending == "reset":
            self._reset()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The reader holds the socket open as well; and a shutdown before the close would send a FIN.
        self.rfile.close()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


class LoopbackServer(ThreadingHTTPServer):
    """A threaded HTTP/1.1 server on a port of 127.0.0.1, free if not named, that can be stopped whatever clients do."""

    request_queue_size = 1024
    daemon_threads = True

    def __init__(self, answer: Callable[[Incoming], Delivery], send_buffer: int | None = None, port: int = 0) -> None:
        self.answer = answer
        self.closing = threading.Event()
        self.errors: list[BaseException] = []
        self._send_buffer = send_buffer
        self._live: set[Connection] = set()
        self._changed = threading.Condition()
        self._acceptor: threading.Thread | None = None
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def origin(self) -> str:
        """The address without a path."""
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        """Begin to accept connections."""
        self._acceptor = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Stop accepting, shut every connection down, and wait for their threads to let go."""
        self.closing.set()
        if self._acceptor is not None:
            # Without an acceptor, `shutdown` would wait for ever.
            self.shutdown()
            self._acceptor.join()
        self.server_close()
        with self._changed:
            for connection in self._live:
                _hang_up(connection)
            self._changed.wait_for(lambda: not self._live, timeout=10)

    def server_bind(self) -> None:
        """Bind without http.server's look-up of the host's name, which can be slow."""
        if sys.platform != "win32":
            # For a port that somebody keeps free for us, or that old connections linger on.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Connection, client_address: object) -> None:
        """Remember the connection and hand it to a thread of its own."""
        if self._send_buffer is not None and isinstance(request, socket.socket):
            request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        with self._changed:
            self._live.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Connection) -> None:
        """Close the connection and forget it."""
        super().shutdown_request(request)
        with self._changed:
            self._live.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Connection, client_address: object) -> None:  # noqa: ARG002 - socketserver's
        """Keep an error for `stop`'s caller, unless it is a client that went away."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.errors.append(error)


def _hang_up(connection: Connection) -> None:
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
