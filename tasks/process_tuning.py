"""Settings of the whole process that make a run lighter: memory arenas, the garbage collector, and two libraries.

Each function changes something for all threads and all users of a library in this process, for a measured gain.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Any

M_ARENA_MAX = -8
HEAPS = 2
READ_BYTES = 256 * 1024
"""Bytes that httpx reads from a connection at once."""
SEND_BYTES = 256 * 1024
"""Bytes of a request's body that botocore sends at once."""


def settle() -> None:
    """Limit malloc's arenas, and freeze the objects that exist; call this once all modules are imported.

    glibc gives each thread an arena of its own, up to eight times as many as there are cores. In each of them the
    buffers that are read from connections leave holes: 30 MiB after a few gigabytes, by the threads of one transfer.
    Two arenas are as fast. Source: https://man7.org/linux/man-pages/man3/mallopt.3.html

    A full collection of Python's garbage collector looks at all objects that were ever imported, and finds nothing;
    Prefect alone has half a million objects. Source: https://docs.python.org/3/library/gc.html#gc.freeze

    Another call freezes nothing more: in a process that runs long, objects that are garbage by then would stay forever.
    """
    with suppress(OSError, TypeError, AttributeError):  # Windows, macOS and musl have no mallopt
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, HEAPS)
    if not gc.get_freeze_count():
        gc.freeze()


def read_larger_chunks() -> None:
    """Have httpx read `READ_BYTES` at once: with its own 64 KiB, reading takes a third more processor time."""
    import httpcore  # noqa: PLC0415 - only for processes that download

    httpcore.HTTP11Connection.READ_NUM_BYTES = READ_BYTES


def send_in_pieces() -> None:
    """Have all connections that botocore opens from now on send a large body in pieces of `SEND_BYTES`.

    urllib3 leaves the time-out for connecting on a new socket while it sends a request, and `sendall` applies that
    time-out to all of its data: a part that needs more seconds would never arrive, however often it is sent. With
    pieces, the time-out limits the time without any progress.
    Pieces of 64 KiB take half as much processor time again; pieces of `SEND_BYTES` take no more than a single call.
    Source: https://docs.python.org/3/library/socket.html#socket.socket.sendall
    """
    from botocore import awsrequest  # noqa: PLC0415 - only for processes that use a store

    for pool in (awsrequest.AWSHTTPConnectionPool, awsrequest.AWSHTTPSConnectionPool):
        if not issubclass(pool.ConnectionCls, _SendInPieces):
            base = pool.ConnectionCls
            pool.ConnectionCls = type(f"{base.__name__}InPieces", (_SendInPieces, base), {})


class _SendInPieces:
    """Mixed into a connection class: sends a large body in pieces, as views, without a copy."""

    def send(self, data: Any) -> None:
        """Send a request's line and headers, or its body."""
        send = super().send  # type: ignore[misc]
        if not isinstance(data, bytes | bytearray | memoryview) or len(data) <= SEND_BYTES:
            send(data)
            return
        with memoryview(data) as view:
            for start in range(0, len(view), SEND_BYTES):
                send(view[start : start + SEND_BYTES])
