"""Knows botocore's connections: how a large body goes out over a slow line.

urllib3 leaves the time-out for connecting on a new socket while it sends a request, and `sendall` takes it for all of
what it is given: a part that needs longer than those seconds would never arrive, however often it is sent. In pieces,
it is the time without any progress that counts.
Source: https://docs.python.org/3/library/socket.html#socket.socket.sendall
"""

from __future__ import annotations

from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

PIECE = 256 * 1024
"""Bytes. Of 64 KiB, sending takes half as much of the processor again; of these, no more than in one go."""


class _InPieces:
    """Mixed with a connection, sends what is large in pieces; without a copy, as they are views."""

    def send(self, data: Any) -> None:
        """Send a request's line and headers, or its body."""
        send = super().send  # type: ignore[misc]
        if not isinstance(data, bytes | bytearray | memoryview) or len(data) <= PIECE:
            send(data)
            return
        with memoryview(data) as view:
            for start in range(0, len(view), PIECE):
                send(view[start : start + PIECE])


class _HTTPConnection(_InPieces, AWSHTTPConnection):  # type: ignore[misc]  # botocore's own bases differ
    pass


class _HTTPSConnection(_InPieces, AWSHTTPSConnection):  # type: ignore[misc]
    pass


def send_in_pieces() -> None:
    """Have all connections that botocore opens from now on send in pieces."""
    AWSHTTPConnectionPool.ConnectionCls = _HTTPConnection
    AWSHTTPSConnectionPool.ConnectionCls = _HTTPSConnection
