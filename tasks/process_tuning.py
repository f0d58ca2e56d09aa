"""Settings of the whole process that make a run lighter: imports, memory arenas, the garbage collector, libraries.

Each function changes something for all threads and all users of a library in this process, for a measured gain.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from ssl import SSLSocket
from typing import TYPE_CHECKING, Any

from h11 import Data

from tasks.lazy_imports import import_when_used

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL_COLLECTIONS = gc.get_threshold()
OBJECTS_OF_A_START = 50_000
"""New objects after which the garbage collector looks at them, while modules are imported."""
M_ARENA_MAX = -8
HEAPS = 2
READ_BYTES = 256 * 1024
"""Bytes that httpx reads from a connection at once."""
SEND_BYTES = 256 * 1024
"""Bytes of a request's body that botocore sends at once."""


def start_quickly() -> None:
    """Make the imports of a command quicker; call this before httpx is imported. `settle` ends it.

    What modules are made of is no garbage, but Python's garbage collector looks at it again and again: 6 % of the
    processor time until a command's first request, 12 % where Prefect is imported.

    httpx imports a command line of its own, if it can: 9 % of the same time. Without it, `httpx.main` prints how to
    install it, and nothing else is different.
    Source: https://docs.python.org/3/reference/import.html#the-module-cache (None forbids an import)

    Prefect and httpx import modules that commands hardly ever use: a tenth of the processor time until the first
    request of a command that is a flow. Such a module is imported when something of the module is used.
    """
    gc.set_threshold(OBJECTS_OF_A_START)
    import_when_used()
    modules: dict[str, Any] = sys.modules
    if "httpx" not in modules:
        modules["httpx._main"] = None
        import httpx  # noqa: F401, PLC0415 - only for commands

        del modules["httpx._main"]


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
    gc.set_threshold(*USUAL_COLLECTIONS)
    if not gc.get_freeze_count():
        gc.freeze()


def read_bodies_directly() -> None:
    """Have httpx read `READ_BYTES` at once, and a body of known length past h11, which copies each piece three times.

    Without h11, a GiB takes 0.2 s less processor time over HTTP, and 0.65 s less over HTTPS, where a piece has 16 KiB.
    Pieces of 256 KiB over HTTPS, too, take another 0.3 s less. With httpx's own 64 KiB at once, reading takes a third
    more.

    This rests on private names of httpcore 1.0 and h11 0.16. Bodies of other kinds, such as chunked ones, are read as
    before; so are all bodies where h11 has other names.
    """
    import httpcore  # noqa: PLC0415 - only for processes that download

    httpcore.HTTP11Connection.READ_NUM_BYTES = READ_BYTES
    httpcore.HTTP11Connection._receive_response_body = _read_body  # type: ignore[assignment, method-assign]  # noqa: SLF001


def _read_body(connection: Any, request: Any) -> Iterator[bytes]:
    """Yield the pieces of an answer's body, as the method of httpcore does in whose place this stands."""
    timeout = request.extensions.get("timeout", {}).get("read")
    while isinstance(event := connection._receive_event(timeout=timeout), Data):  # noqa: SLF001
        yield bytes(event.data)
        yield from _read_rest(connection._h11_state, connection._network_stream, timeout)  # noqa: SLF001
    _close_if_more_came(connection._h11_state, connection._network_stream)  # noqa: SLF001


def _close_if_more_came(state: Any, stream: Any) -> None:
    """Close a connection on which more has come than the answer has: that would pass for the next answer.

    What is not read from the socket yet, httpcore notices itself. A closed connection is not used again.
    """
    encrypted = stream.get_extra_info("ssl_object")
    if state.trailing_data[0] or (encrypted is not None and encrypted.pending()):
        stream.close()


def _read_rest(state: Any, stream: Any, timeout: float | None) -> Iterator[bytes]:
    """Yield what is left of a body of known length, and count it as h11 does; nothing of any other body."""
    reader: Any = getattr(state, "_reader", None)
    left = getattr(reader, "_remaining", None)
    if type(reader).__name__ != "ContentLengthReader" or not isinstance(left, int) or state.trailing_data[0]:
        return
    connected = stream.get_extra_info("socket")
    # Through an https proxy, the socket's own encryption is the proxy's, and the body's is another.
    encrypted = isinstance(connected, SSLSocket) and connected._sslobj is stream.get_extra_info("ssl_object")  # type: ignore[attr-defined]  # noqa: SLF001
    while left:
        piece = stream.read(min(READ_BYTES, left), timeout=timeout)
        if not piece:
            state.receive_data(b"")  # h11 raises its own error for a body that ended early
            return
        if encrypted:
            piece = _gather(connected, piece, min(READ_BYTES, left))
        left -= len(piece)
        reader._remaining = left  # noqa: SLF001
        yield piece


def _gather(connected: SSLSocket, first: bytes, most: int) -> bytes:
    """Return the first bytes of a piece, and those after them that have come by now; nothing is waited for.

    OpenSSL hands out 16 KiB at once, and whoever reads a body looks at each piece in several ways.
    """
    pieces, count = [first], len(first)
    connected.settimeout(0)
    with suppress(OSError):  # nothing has come yet, or the connection is broken, as the next reading finds
        while count < most and (piece := connected.recv(most - count)):
            pieces.append(piece)
            count += len(piece)
    return b"".join(pieces)


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
