"""The filter before all pages: which requests are answered, and which headers every answer has.

It stands around the whole application, so that no answer leaves without its headers, be it that of an error.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tasks.library.access import Refusal
from tasks.text import ThrottledLog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from tasks.library.access import Access
    from tasks.text import Log

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
STATIC = "/static/"
_PORT = re.compile(r":[0-9]{1,5}$")


def security_headers(store_origin: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of every answer.

    Args:
        store_origin: where media come from, besides the page itself.
    """
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        f"media-src 'self' {store_origin}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return (
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    )


class RequestFilter:
    """Lets requests in that are for this page, and from whom may see it.

    Args:
        app: what answers them.
        access: decides who may.
        hosts: names that the page is called by, in lower case, without port.
        headers: of every answer.
        log: told of refusals, at a pace that a person can read.
    """

    def __init__(
        self, app: App, access: Access, hosts: Sequence[str], headers: Sequence[tuple[bytes, bytes]], log: Log
    ) -> None:
        self._app = app
        self._access = access
        self._hosts = frozenset(hosts)
        self._headers = headers
        self._refusals = ThrottledLog(log, logging.WARNING)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                is_static = scope["path"].startswith(STATIC) and message["status"] in {200, 304}
                caching = (b"cache-control", b"private, no-cache" if is_static else b"no-store")
                message["headers"] = [*message.get("headers", ()), *self._headers, caching]
            await send(message)

        if refusal := self._refusal(scope):
            self._refusals.note(f"Refused ({refusal.status}): {refusal.reason}")
            await _refuse(refusal, scope["method"], send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Message) -> Refusal | None:
        if scope["method"] not in {"GET", "HEAD"}:
            reason = "Nothing can be changed here."
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, reason, ((b"allow", b"GET, HEAD"),))
        headers = scope["headers"]
        named = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if len(named) != 1 or not self._is_ours(named[0], scope.get("server")):
            return Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This page is not known by the name in the address bar. If the name is right, add it to LIBRARY_HOSTS.",
            )
        client = scope.get("client")
        return self._access.refusal(client[0] if client else "", headers)

    def _is_ours(self, named: str, server: Sequence[Any] | None) -> bool:
        """Tell whether a Host header names this page: by a name that is known, or by the address it was sent to.

        Another name may lead here, too, and a page of that name would then be let read this one.
        """
        name = _PORT.sub("", named.lower()).removesuffix(".")
        if name in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name.strip("[]")) == ipaddress.ip_address(server[0] if server else "")
        except ValueError:
            return False


async def _refuse(refusal: Refusal, method: str, send: Send) -> None:
    body = f"{refusal.reason}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": refusal.status.value, "headers": [*headers, *refusal.headers]})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
