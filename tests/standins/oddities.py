"""Faults around an answer: its headers, its framing, what comes before it, and two faults of one answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.standins.faults import Exchange
from tests.standins.wire import Cut, Reply

if TYPE_CHECKING:
    from tests.standins.faults import Fault


@dataclass(frozen=True, slots=True)
class InTurn:
    """Two faults of one answer: the second works upon what the first makes of it."""

    first: Fault
    second: Fault

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return self.second.shape(Exchange(exchange.url, lambda: self.first.shape(exchange)))


@dataclass(frozen=True, slots=True)
class Headers:
    """Sets one header of an answer, whatever bytes its value has, or leaves it out; and changes the status."""

    name: str
    value: str | None
    status: int | None = None

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        honest = exchange.honest.having({self.name: self.value})
        return replace(honest, status=self.status or honest.status)


@dataclass(frozen=True, slots=True)
class Unframed:
    """Names no length: the end of the connection is the end of the body."""

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return replace(exchange.honest, framing="close")


@dataclass(frozen=True, slots=True)
class Preceded:
    """Sends interim answers first, as many as told."""

    status: int = 103
    times: int = 1

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return replace(exchange.honest, before=f"HTTP/1.1 {self.status} Interim\r\n\r\n".encode() * self.times)


@dataclass(frozen=True, slots=True)
class NotHttp:
    """Answers in another protocol and hangs up."""

    line: bytes = b"SSH-2.0-OpenSSH_9.6\r\n"

    def shape(self, exchange: Exchange) -> Reply:  # noqa: ARG002 - it replaces the honest answer
        """Return what is put on the wire."""
        return Reply(0, cut=Cut(None, "fin"), before=self.line)
