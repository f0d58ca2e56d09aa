"""A proxy in front of a real S3 server, in which requests meet faults by a rule.

The Host header goes on as it came: a signature covers it (Signature Version 4), and the stores check it against that.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, Self

from tests.torture.store.line import Line
from tests.torture.store.requests import StoreRequest, request_of
from tests.torture.store.wire import PIECE, Message, read_framed, read_head

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = "127.0.0.1"
PATIENCE_S = 10
"""For what should take no time: threads that end."""


class Fault(Protocol):
    """What becomes of a request."""

    def meet(self, exchange: Exchange) -> None:
        """Let it happen."""


class Exchange:
    """One request on its connection: how to read it, to have the store answer it, and to answer the client."""

    def __init__(self, proxy: StoreProxy, line: Line, request: StoreRequest, message: Message) -> None:
        self.proxy = proxy
        self._line = line
        self.request = request
        self._message = message
        self.method = message.start.split(maxsplit=1)[0].decode()
        self.over = False
        """Whether the connection is."""

    @property
    def closing(self) -> threading.Event:
        """Set when the proxy stops or hangs up: nothing is to be waited for any more."""
        return self._line.closing

    def body(self, limit: int | None = None, bytes_per_second: float | None = None) -> bytes:
        """Read the request's body, or so many bytes of it, no faster than told."""
        if (self._message.header("expect") or "").lower() == "100-continue":
            self._line.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if bytes_per_second is None:
            return read_framed(self._line.reader, self._message, limit)
        read = bytearray()
        for _ in range(0, self._message.length or 0, PIECE):
            left = (self._message.length or 0) - len(read)
            read += read_framed(self._line.reader, self._message, min(PIECE, left))
            self.closing.wait(PIECE / bytes_per_second)
        return bytes(read)

    def forwarded(self, body: bytes) -> Message:
        """Have the store answer the request with a body, and return what it said.

        Raises:
            ConnectionError: the store is away.
        """
        return self._line.ask(replace(self._message.without("expect"), framed=body), self.method)

    def cut_off(self, body: bytes) -> None:
        """Send the store the request with less of a body than it announces, and break off."""
        self._line.cut_off(replace(self._message.without("expect"), framed=body))

    def answer(self, message: Message) -> None:
        """Answer the client."""
        self.send(message.head)
        self.send(message.framed)
        self.over = self.over or message.closes

    def send(self, data: bytes) -> None:
        """Send the client some bytes."""
        self._line.client.sendall(data)

    def hang_up(self, *, reset: bool = False) -> None:
        """End the client's connection, with an RST or a FIN."""
        self.over = True
        if reset:
            self._line.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def let_go(self) -> None:
        """Close the client's connection now, whatever else is done for its request."""
        self._line.reader.close()
        self._line.client.close()

    def wait_for_goodbye(self) -> None:
        """Wait until the client goes away."""
        self.over = True
        while self._line.reader.read1(PIECE):
            pass


class StoreProxy:
    """Stands between clients and a store; each request meets the fault that a rule gives it, or none.

    Its port stays its own from the first to the last, whether it listens or not.

    Args:
        port: the store's, on loopback.
    """

    def __init__(self, port: int) -> None:
        self._store = (LOOPBACK, port)
        self._reservation = socket.socket()
        self._reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reservation.bind((LOOPBACK, 0))
        self.port: int = self._reservation.getsockname()[1]
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.rule: Callable[[StoreRequest], Fault | None] = lambda _: None
        self.requests: list[StoreRequest] = []
        self.struck: list[StoreRequest] = []
        """Those that met a fault."""
        self.errors: list[BaseException] = []
        """What went wrong here: a defect."""
        self._attempts: Counter[tuple[str, str, str | None]] = Counter()
        self._lock = threading.Lock()
        self._noticed = threading.Condition(self._lock)
        self._lines: set[Line] = set()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._return: threading.Timer | None = None

    def start(self) -> None:
        """Begin to listen."""
        self.errors = []
        self.start_over()

    def start_over(self, rule: Callable[[StoreRequest], Fault | None] = lambda _: None) -> None:
        """Follow another rule, with no request remembered; a store that was gone is back."""
        if self._return is not None:
            self._return.cancel()
            self._return.join()
        self.listen()
        with self._lock:
            self.rule, self.requests, self.struck = rule, [], []
            self._attempts.clear()

    def listen(self) -> None:
        """Accept connections, unless it does."""
        if self._listener is not None:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, self.port))
        listener.listen(256)
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._acceptor.start()

    def refuse(self, for_s: float | None = None) -> None:
        """Refuse connections from now on, and break those that are open.

        Args:
            for_s: seconds after which it listens again; None: not by itself.
        """
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the acceptor up; not so everywhere
        listener.close()
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.hang_up()
        if for_s is not None:
            self._return = threading.Timer(for_s, self.listen)
            self._return.start()

    def wait_for_another(self, request: StoreRequest) -> None:
        """Wait until the same is asked for again."""
        with self._noticed:
            self._noticed.wait_for(lambda: self._attempts[request.same] != request.attempt, PATIENCE_S)

    def stop(self) -> None:
        """Refuse connections, and return when no thread is left."""
        if self._return is not None:
            self._return.cancel()
            self._return.join()
        self.refuse()
        threads = [self._acceptor, *(line.thread for line in list(self._lines))]
        for thread in threads:
            if thread is not None and thread is not threading.current_thread():
                thread.join(PATIENCE_S)

    def close(self) -> None:
        """Give the port back."""
        self.stop()
        self._reservation.close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # it was closed
            line = Line(client, self._store)
            with self._lock:
                self._lines.add(line)
                refusing = self._listener is not listener
            if refusing:
                line.hang_up()
            line.thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
            line.thread.start()

    def _serve(self, line: Line) -> None:
        try:
            while (message := read_head(line.reader)) is not None and not line.closing.is_set():
                if self._met(line, message).over:
                    break
        except (ConnectionError, TimeoutError):
            pass  # who went away is not told
        except BaseException as error:  # noqa: BLE001 - told to whoever looks
            if not line.closing.is_set():
                self.errors.append(error)
        finally:
            line.close()
            with self._lock:
                self._lines.discard(line)

    def _met(self, line: Line, message: Message) -> Exchange:
        request = self._noted(message)
        exchange = Exchange(self, line, request, message)
        with self._lock:
            fault = self.rule(request)
            if fault is not None:
                self.struck.append(request)
        if fault is not None:
            fault.meet(exchange)
        else:
            exchange.answer(exchange.forwarded(exchange.body()))
        return exchange

    def _noted(self, message: Message) -> StoreRequest:
        request = request_of(message)
        with self._noticed:
            self._attempts[request.same] += 1
            number, attempt = len(self.requests) + 1, self._attempts[request.same]
            request = replace(request, number=number, attempt=attempt)
            self.requests.append(request)
            self._noticed.notify_all()
        return request
