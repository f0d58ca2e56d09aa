"""Cancellation: ends all waiting of an attempt at once, also that for bytes from a silent server."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Event, Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    import httpx


class OpenConnections:
    """The open connections of HTTP clients; they can be shut down under threads that wait for bytes.

    The clients stay usable: the next request opens a new connection.

    Args:
        clients: whose connections these are.
    """

    def __init__(self, *clients: httpx.Client) -> None:
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = Lock()
        for client in clients:
            client.event_hooks["request"].append(self._follow)

    def shut_down(self) -> None:
        """Shut all connections down, so that threads blocked in recv return at once, with an error."""
        with self._lock:
            sockets = list(self._sockets)
        for connection in sockets:
            with suppress(OSError):
                # Not the TLS socket's own method, which takes away what the reading thread is using.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _follow(self, request: httpx.Request) -> None:
        request.extensions = {**request.extensions, "trace": self._note}

    def _note(self, event: str, info: dict[str, Any]) -> None:
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            with self._lock:  # a set that grows during an iteration raises, and that would end a cancellation halfway
                self._sockets.add(info["return_value"].get_extra_info("socket"))


class Cancellation(Event):
    """An event that all threads of an attempt look at; setting it also ends their waiting for bytes.

    Args:
        connections: that these threads may be reading from.
    """

    def __init__(self, connections: OpenConnections) -> None:
        super().__init__()
        self._connections = connections

    def set(self) -> None:
        """Cancel, for good."""
        super().set()
        self._connections.shut_down()

    def end(self) -> None:
        """Note that the attempt has ended well: no thread waits for bytes, and the connections stay for the next."""
        super().set()


class CancellationGroup:
    """Cancels the attempts of several threads at once, also those that begin later."""

    def __init__(self) -> None:
        self._members: WeakSet[Event] = WeakSet()
        self._lock = Lock()
        self._cancelled = False

    def add(self, cancellation: Event) -> None:
        """Have a cancellation set together with the group's, or now if the group's was set before."""
        with self._lock:
            self._members.add(cancellation)
        if self._cancelled:
            cancellation.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether the group was cancelled."""
        return self._cancelled

    def cancel(self) -> None:
        """Cancel all attempts."""
        with self._lock:
            self._cancelled = True
            members = list(self._members)
        for cancellation in members:
            cancellation.set()
