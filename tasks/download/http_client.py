"""HTTP client for presigned URLs: requests, redirects, bodies, and errors that never show a URL.

A presigned URL is a key to the file. httpx logs whole URLs, and its errors hold the request; neither may be shown.
"""

from __future__ import annotations

import time
from contextlib import closing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import httpx

from tasks.download.response import read_beginning
from tasks.errors import ConnectionInsecure, SourceUnavailable
from tasks.process_tuning import read_bodies_directly
from tasks.retry import MOVING_BYTES
from tasks.text import quiet_http_logs, safe_line
from tasks.tls import explain_distrust

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ssl import SSLContext

CONNECT_TIMEOUT_S = 10.0
MAX_REDIRECTS = 5


def new_http_client(stall_timeout_s: float, certificates: SSLContext | None = None) -> httpx.Client:
    """Return a client for presigned URLs, which asks for bytes without content coding.

    Args:
        stall_timeout_s: seconds without a byte after which a connection counts as dead.
        certificates: that are trusted; None for those that httpx finds.
    """
    quiet_http_logs()
    read_bodies_directly()
    return httpx.Client(
        cookies=new_empty_cookie_jar(),
        headers={"Accept-Encoding": "identity", "User-Agent": "realtimekit-archiver"},
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        timeout=httpx.Timeout(stall_timeout_s, connect=min(CONNECT_TIMEOUT_S, stall_timeout_s), pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        verify=certificates or True,
    )


def new_empty_cookie_jar() -> CookieJar:
    """Return a cookie jar that stays empty: neither API nor sources need cookies; malformed ones break requests."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


def send_get(
    http: httpx.Client, label: str, url: str, headers: Mapping[str, str], redirects: int = MAX_REDIRECTS
) -> httpx.Response:
    """Send a GET request, follow redirects, and return the answer before its body is read.

    Args:
        http: client to send it with.
        label: of the file.
        url: of the file.
        headers: of the request.
        redirects: how many are followed at most. With 0, an answer that redirects is returned as it is.

    Raises:
        SourceUnavailable: no answer came.
        ConnectionInsecure: the server cannot be trusted.
    """
    try:
        request = http.build_request("GET", url, headers=headers)
        if redirects == 0:
            return http.send(request, stream=True, follow_redirects=False)
        return _follow_redirects(http, label, request, redirects)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        failure, distrusted = _describe_error(error), explain_distrust(error)
    if distrusted:
        raise ConnectionInsecure(f"{label}, the server of its URL", distrusted)
    # Raised outside the handler: httpx's errors hold the request, and with it the URL.
    raise SourceUnavailable(label, failure)


def read_pieces(label: str, response: httpx.Response) -> Iterator[bytes]:
    """Yield the pieces of a body as they arrive, not decoded.

    Raises:
        SourceUnavailable: the connection breaks or stalls.
    """
    try:
        yield from response.iter_raw()
    except httpx.RequestError as error:
        failure = _describe_error(error)
    else:
        return
    raise SourceUnavailable(label, failure)


def _follow_redirects(http: httpx.Client, label: str, request: httpx.Request, most: int) -> httpx.Response:
    """Return the answer after all redirects; httpx itself would read the whole body of each redirect."""
    for _ in range(1 + most):
        response = http.send(request, stream=True, follow_redirects=False)
        if response.next_request is None:
            return response
        with closing(response):
            read_beginning(response)
        request = response.next_request
    raise SourceUnavailable(label, f"more than {most} redirects")


def _describe_error(error: Exception) -> str:
    """Return the name and message of a failure without a URL's query: some of httpx's messages quote the URL."""
    return safe_line(f"{type(error).__name__}: {error}".partition("?")[0].rstrip(": "), 200)


def require_progress(label: str, pieces: Iterator[bytes], patience_s: float) -> Iterator[bytes]:
    """Yield the pieces of a body as they arrive, unless they arrive too slowly for a recording to be archived.

    A byte before each time-out is no stall, so that the client's time-out alone would wait for such a body forever.

    Args:
        label: of the file.
        pieces: of an answer's body.
        patience_s: seconds of waiting in which at least `MOVING_BYTES` have to arrive.

    Raises:
        SourceUnavailable: fewer bytes arrive.
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
