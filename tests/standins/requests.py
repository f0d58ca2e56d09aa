"""What the stand-ins remember of each request: what was asked, and what came of it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from tests.standins.faults import Fault


@dataclass(eq=False, slots=True)
class FileRequest:
    """A request for a file: scripts of faults see it before the answer, tests look it up afterwards.

    `start` and `stop` are the bytes asked for, half open, of the object as it was then.
    The running numbers begin at 1.
    """

    method: str
    key: str
    name: str
    range: str | None
    start: int
    stop: int
    headers: Mapping[str, str] = field(repr=False)
    number: int = 0
    """Counts all file requests."""
    number_of_file: int = 0
    """Counts the requests for this file."""
    attempt: int = 0
    """Counts the requests for this file from this first byte on."""
    status: int | None = None
    """None as long as, or because, no answer was begun."""
    sent: int = 0
    """Bytes of the file handed to the socket."""
    expired: bool = False
    fault: Fault | None = None


@dataclass(eq=False, slots=True)
class ApiRequest:
    """A request to the API."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str] = field(repr=False)
    recording_id: str | None = None
    """None for the list."""
    body: bytes = field(default=b"", repr=False)
    number: int = 0
    status: int | None = None
    fault: Fault | None = None


R = TypeVar("R", FileRequest, ApiRequest)


class Ledger(Generic[R]):
    """A thread-safe list of requests that also knows how many are being answered."""

    def __init__(self) -> None:
        self._entries: list[R] = []
        self._seen: Counter[Hashable] = Counter()
        self._changed = threading.Condition()
        self._active = 0
        self._peak = 0

    def open(self, entry: R, number: Callable[[R, int, Counter[Hashable]], None]) -> None:
        """Take a request in, numbered; `close` must follow."""
        with self._changed:
            self._entries.append(entry)
            number(entry, len(self._entries), self._seen)
            self._active += 1
            self._peak = max(self._peak, self._active)

    def close(self) -> None:
        """Note that a request has been answered, or never will be."""
        with self._changed:
            self._active -= 1
            self._changed.notify_all()

    def all(self) -> list[R]:
        """Return the requests so far, in the order they came."""
        with self._changed:
            return list(self._entries)

    def peak(self) -> int:
        """Return the largest number of requests ever being answered at once."""
        with self._changed:
            return self._peak

    def wait_idle(self, timeout: float) -> bool:
        """Wait until no request is being answered; say whether that came true."""
        with self._changed:
            return self._changed.wait_for(lambda: self._active == 0, timeout)


def number_file_request(entry: FileRequest, number: int, seen: Counter[Hashable]) -> None:
    """Give a file request its three running numbers."""
    seen[entry.key] += 1
    seen[entry.key, entry.start] += 1
    entry.number = number
    entry.number_of_file = seen[entry.key]
    entry.attempt = seen[entry.key, entry.start]


def number_api_request(entry: ApiRequest, number: int, seen: Counter[Hashable]) -> None:  # noqa: ARG001
    """Give an API request its running number."""
    entry.number = number
