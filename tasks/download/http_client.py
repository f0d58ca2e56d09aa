"""Knows httpx: how a request for bytes goes out, and that neither its logs nor its errors may let a URL out.

A presigned URL is a key to the file. httpx logs it whole, and its errors hold the request; nothing of that passes here.
"""

from __future__ import annotations

import time
from contextlib import closing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpcore
import httpx

from tasks.download.response import beginning
from tasks.environment import insecure
from tasks.errors import ConnectionInsecure, SourceUnavailable
from tasks.retry import MOVING_BYTES
from tasks.text import quiet_http_logs, showable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONNECT_TIMEOUT_S = 10.0
MAX_REDIRECTS = 5

# At httpx's 64 KiB a time, reading takes a third more of the processor than at this.
httpcore.HTTP11Connection.READ_NUM_BYTES = 256 * 1024


def new_http_client(stall_timeout_s: float) -> httpx.Client:
    """Return a client for presigned URLs: raw bytes, and a connection without a byte counts as dead.

    Args:
        stall_timeout_s: seconds without a byte.
    """
    quiet_http_logs()
    return httpx.Client(
        cookies=no_cookies(),
        headers={"Accept-Encoding": "identity", "User-Agent": "realtimekit-archiver"},
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        timeout=httpx.Timeout(stall_timeout_s, connect=min(CONNECT_TIMEOUT_S, stall_timeout_s), pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
    )


def no_cookies() -> CookieJar:
    """Return a jar that stays empty: neither API nor presigned URL needs a cookie, and an odd one spoils requests."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def send(
    http: httpx.Client, label: str, url: str, headers: Mapping[str, str], redirects: int | None = None
) -> httpx.Response:
    """Send a GET and return its answer, of which the body is still to come.

    Args:
        redirects: how many are followed; None for a few. With 0, an answer that redirects is returned as it is.

    Raises:
        SourceUnavailable: there is no answer.
        ConnectionInsecure: there is nobody whom the file could be taken from.
    """
    try:
        request = http.build_request("GET", url, headers=headers)
        if redirects == 0:
            return http.send(request, stream=True, follow_redirects=False)
        return _followed(http, label, request, MAX_REDIRECTS if redirects is None else redirects)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        failure, distrusted = _plain(error), insecure(error)
    if distrusted:
        raise ConnectionInsecure(f"{label}, the server of its URL", distrusted)
    # Raised outside of the handler: httpx's errors hold the request, and with it the URL.
    raise SourceUnavailable(label, failure)


def pieces_of(label: str, response: httpx.Response) -> Iterator[bytes]:
    """Yield a body as it comes in, not decoded.

    Raises:
        SourceUnavailable: it breaks off or stalls.
    """
    try:
        yield from response.iter_raw()
    except httpx.RequestError as error:
        failure = _plain(error)
    else:
        return
    raise SourceUnavailable(label, failure)


def _followed(http: httpx.Client, label: str, request: httpx.Request, most: int) -> httpx.Response:
    """Return the answer at the end of the redirects; httpx itself would read all of what comes with each of them."""
    for _ in range(1 + most):
        response = http.send(request, stream=True, follow_redirects=False)
        if response.next_request is None:
            return response
        with closing(response):
            beginning(response)
        request = response.next_request
    raise SourceUnavailable(label, f"more than {most} redirects")


def _plain(error: Exception) -> str:
    """Name a failure without any URL's query: some of httpx's messages quote what they choked on."""
    return showable(f"{type(error).__name__}: {error}".partition("?")[0]).rstrip(": ")[:200]


def moving(label: str, pieces: Iterator[bytes], patience_s: float) -> Iterator[bytes]:
    """Yield pieces as they come, unless they trickle: a byte in time is no stall, yet no recording arrives that way.

    Args:
        label: of the file.
        pieces: of an answer's body.
        patience_s: seconds of waiting for them, within which at least `MOVING_BYTES` have to come.

    Raises:
        SourceUnavailable: they do not.
    """
    waited, came = 0.0, 0
    while True:
        began = time.monotonic()
        piece = next(pieces, None)
        if piece is None:
            return
        waited, came = waited + time.monotonic() - began, came + len(piece)
        if came >= MOVING_BYTES:
            waited, came = 0.0, 0
        elif waited > patience_s:
            raise SourceUnavailable(label, f"it trickles: {came} bytes in {waited:.0f} s")
        yield piece
