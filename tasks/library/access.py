"""Who may see the library: a password, or the name that a reverse proxy has found out; and not too many attempts.

Nothing is asked for where neither is set: the page then listens to its own machine only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.library.settings import LibrarySettings

ATTEMPTS = 10
"""Wrong passwords from one address before it has to wait."""
WAIT_S = 300.0
ADDRESSES = 10_000
"""Whose attempts are remembered; the oldest are forgotten."""
LONGEST_HEADER = 4096
"""Bytes of what a client may send to show who it is."""
FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via")
"""Headers that show that a request came through a proxy, and so from anywhere."""


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: HTTPStatus
    reason: str  # for people
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass
class WrongAttempts:
    """Counts wrong passwords by address, in bounded memory.

    Args:
        now: a clock in seconds.
    """

    now: Callable[[], float] = time.monotonic
    _counted: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)  # with when the first one came

    def note(self, address: str) -> None:
        """Count a wrong password."""
        count, first = self._recent(address)
        self._counted[address] = (count + 1, first)
        self._counted.move_to_end(address)
        if len(self._counted) > ADDRESSES:
            self._counted.popitem(last=False)

    def wait_s(self, address: str) -> int:
        """Return for how many seconds nothing of an address is looked at; 0 if it may try."""
        count, first = self._recent(address)
        return max(int(first + WAIT_S - self.now()), 1) if count >= ATTEMPTS else 0

    def _recent(self, address: str) -> tuple[int, float]:
        now = self.now()
        count, first = self._counted.get(address, (0, now))
        return (count, first) if now - first < WAIT_S else (0, now)


class Access:
    """Decides whether a request may be answered.

    Args:
        settings: as loaded.
        attempts: counts the wrong ones.
    """

    def __init__(self, settings: LibrarySettings, attempts: WrongAttempts | None = None) -> None:
        password = settings.library_password.get_secret_value()
        self._digest = _digest(password.encode()) if password else None
        self._proxies = settings.trusted_proxies
        self._user_header = settings.library_user_header.lower().encode()
        self._asks_who = settings.asks_who
        self._attempts = attempts or WrongAttempts()

    def refusal(self, address: str, headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
        """Return why a request is not answered; None if it is.

        Args:
            address: where it comes from, as the connection has it.
            headers: of the request, with names in lower case.
        """
        if not self._asks_who:
            return _from_elsewhere(headers)
        if self._is_named_by_proxy(address, headers):
            return None
        if self._digest is None:
            return Refusal(HTTPStatus.FORBIDDEN, "This page is open to people whom its reverse proxy has let in.")
        return self._of_password(_attempts_counted_for(address), headers, self._digest)

    def _is_named_by_proxy(self, address: str, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        users = [value.strip() for name, value in headers if name == self._user_header]
        # Of two, one may be the client's own, which the proxy has let through.
        return len(users) == 1 and bool(users[0]) and self._is_proxy(address)

    def _is_proxy(self, address: str) -> bool:
        try:
            at = ipaddress.ip_address(address)
        except ValueError:
            return False
        at = getattr(at, "ipv4_mapped", None) or at
        return any(at in network for network in self._proxies)

    def _of_password(self, address: str, headers: Sequence[tuple[bytes, bytes]], digest: bytes) -> Refusal | None:
        sent = [value for name, value in headers if name == b"authorization"]
        if not sent:
            return _ask_for_password("This page asks for a password.")
        if wait_s := self._attempts.wait_s(address):
            reason = f"There were too many wrong passwords. Try again in {wait_s // 60 + 1} minutes."
            return Refusal(HTTPStatus.TOO_MANY_REQUESTS, reason, ((b"retry-after", b"%d" % wait_s),))
        if len(sent) == 1 and hmac.compare_digest(_digest(_password_of(sent[0])), digest):
            return None
        self._attempts.note(address)
        return _ask_for_password("The password is wrong.")


def _from_elsewhere(headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
    """Refuse what a proxy on this machine brings in from elsewhere, while nobody is asked who they are."""
    if not any(name in FORWARDED for name, _ in headers):
        return None
    return Refusal(
        HTTPStatus.FORBIDDEN,
        "This request came through a proxy, and the page asks nobody who they are. Set LIBRARY_PASSWORD or "
        "LIBRARY_TRUSTED_PROXY, and start the page again.",
    )


def _ask_for_password(reason: str) -> Refusal:
    asks = (b"www-authenticate", b'Basic realm="Library of recordings", charset="UTF-8"')
    return Refusal(HTTPStatus.UNAUTHORIZED, reason, (asks,))


def _password_of(header: bytes) -> bytes:
    """Return the password in an Authorization header, whatever the user's name beside it; empty if there is none."""
    scheme, _, encoded = header[:LONGEST_HEADER].partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return b""
    return decoded.partition(b":")[2]


def _digest(password: bytes) -> bytes:
    """Return what is compared: of one length, so that time tells nothing of the password's."""
    return hashlib.sha256(password).digest()


def _attempts_counted_for(address: str) -> str:
    """Return whose attempts are counted: an address, or a network of IPv6, in which one machine has all addresses."""
    try:
        at = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(at) if at.version == 4 else str(ipaddress.ip_network(f"{address}/64", strict=False))
