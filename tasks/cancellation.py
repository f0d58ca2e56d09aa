"""Knows how to end a wait for bytes at once: a thread that reads from a silent server looks at nothing else."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Event, Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

if TYPE_CHECKING:
    import httpx


class Lines:
    """The connections of HTTP clients, to be hung up under whoever waits for them; the clients stay usable."""

    def __init__(self, *clients: httpx.Client) -> None:
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = Lock()
        for client in clients:
            client.event_hooks["request"].append(self._follow)

    def hang_up(self) -> None:
        """End all waiting for bytes; those who waited meet an error of the connection."""
        with self._lock:
            lines = list(self._sockets)
        for line in lines:
            with suppress(OSError):
                # Not the TLS socket's own method, which takes away what the reading thread is using.
                socket.socket.shutdown(line, socket.SHUT_RDWR)

    def _follow(self, request: httpx.Request) -> None:
        request.extensions = {**request.extensions, "trace": self._note}

    def _note(self, event: str, info: dict[str, Any]) -> None:
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            with self._lock:  # a set that grows while it is looked through raises, and that would end a stop halfway
                self._sockets.add(info["return_value"].get_extra_info("socket"))


class Stop(Event):
    """An event that all threads of a stage look at; setting it also ends their waiting.

    Args:
        lines: what they may be waiting for.
    """

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def set(self) -> None:
        """Stop, for good."""
        super().set()
        self._lines.hang_up()

    def end(self) -> None:
        """Stop when all is done and nobody waits for bytes: the connections stay, for what comes next."""
        super().set()
