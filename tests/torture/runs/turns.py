"""A way to a server on loopback on which requests are counted."""

from __future__ import annotations

import socket
from contextlib import suppress
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING

from tests.flows.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable


class Turns(Relay):
    """Passes connections on to a port, and says whenever it is the client's turn to speak: at requests and at bodies.

    Args:
        port: of the server, on loopback.
        on_turn: told the running number of each turn, from 1, before anything of it is passed on.
    """

    def __init__(self, port: int, on_turn: Callable[[int], None] = lambda _number: None) -> None:
        super().__init__(port)
        self._on_turn = on_turn
        self._numbers = count(1)

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        Connection(near, far, self._turn).start()

    def _turn(self) -> None:
        self._on_turn(next(self._numbers))


class Connection:
    """One connection, passed on in both directions."""

    def __init__(self, near: socket.socket, far: socket.socket, on_turn: Callable[[], None]) -> None:
        self._near, self._far, self._on_turn = near, far, on_turn
        self._answered = True

    def start(self) -> None:
        """Begin."""
        Thread(target=self._pass_requests, daemon=True).start()
        Thread(target=self._pass_answers, daemon=True).start()

    def _pass_requests(self) -> None:
        with suppress(OSError):
            while data := self._near.recv(65_536):
                if self._answered:
                    self._answered = False
                    self._on_turn()
                self._far.sendall(data)
            self._far.shutdown(socket.SHUT_WR)

    def _pass_answers(self) -> None:
        with suppress(OSError):
            while data := self._far.recv(65_536):
                self._answered = True
                self._near.sendall(data)
            self._near.shutdown(socket.SHUT_WR)
