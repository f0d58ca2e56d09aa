"""A client's connection that goes through the proxy, and the one to the store behind it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any

from tests.torture.store.wire import Gone, Message, read_answer


class Line:
    """A client's connection, and the one to the store that serves it."""

    def __init__(self, client: socket.socket, store: tuple[str, int]) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client = client
        self.reader = client.makefile("rb")
        self.thread: threading.Thread | None = None
        self.closing = threading.Event()
        self._address = store
        self._store: socket.socket | None = None
        self._answers: Any = None

    def ask(self, message: Message, method: str) -> Message:
        """Send the store a request, and return its answer."""
        store = self._connected()
        store.sendall(message.head)
        store.sendall(message.framed)
        said = read_answer(self._answers, method)
        if said.closes:
            self._disconnect()
        return said

    def cut_off(self, message: Message) -> None:
        """Send the store a request that is not whole."""
        store = self._connected()
        store.sendall(message.head + message.framed)
        store.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._disconnect()

    def hang_up(self) -> None:
        """End it under whoever waits for it."""
        self.closing.set()
        for line in (self.client, self._store):
            if line is not None:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of both ends."""
        self.reader.close()
        self.client.close()
        self._disconnect()

    def _connected(self) -> socket.socket:
        if self._store is not None and _is_over(self._store):
            self._disconnect()
        if self._store is None:
            try:
                self._store = socket.create_connection(self._address)
            except OSError as error:
                raise Gone from error
            self._store.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._answers = self._store.makefile("rb")
        return self._store

    def _disconnect(self) -> None:
        if self._store is not None:
            self._answers.close()
            self._store.close()
            self._store = None


def _is_over(line: socket.socket) -> bool:
    """Tell whether the other side has closed a connection on which nothing is under way."""
    try:
        return not line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
