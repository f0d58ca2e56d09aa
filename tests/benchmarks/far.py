"""A way to servers on loopback as long as an ocean is wide: `python -m tests.benchmarks.far PORT…`.

For each port it prints one that leads there, and passes on what comes: a byte leaves half a round trip after it came,
all bytes together share a line, and a connection sends no more ahead than TCP would, which begins with ten segments and
doubles them with each round trip. It needs no root and no kernel module, and loses nothing. One more round trip is what
it takes to be connected.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROUND_TRIP_S = 0.040
BYTES_PER_S = 125_000_000
"""Of the line, one gigabit, in each direction."""
FIRST_WINDOW, LARGEST_WINDOW = 10 * 1460, 16 * 1024 * 1024
LOOPBACK = "127.0.0.1"


class Line:
    """One direction of the line that all connections share."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def takes(self, now: float, count: int) -> float:
        """Return when so many bytes, which come now, are on their way."""
        self._free_at = max(now, self._free_at) + count / BYTES_PER_S
        return self._free_at


class End(asyncio.Protocol):
    """One end of a connection; what comes in goes to the other end, later."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._window, self._unacknowledged = FIRST_WINDOW, 0
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Send bytes on their way, and read no more while as many are under way as may be."""
        self._unacknowledged += len(data)
        if self._unacknowledged >= self._window and self.transport:
            self.transport.pause_reading()
        sent = self._line.takes(self._loop.time(), len(data))
        self._loop.call_at(sent + ROUND_TRIP_S / 2, self._arrive, data)
        self._loop.call_at(sent + ROUND_TRIP_S, self._acknowledge, len(data))

    def eof_received(self) -> bool:
        """Pass the end on after all that came before it."""
        sent = self._line.takes(self._loop.time(), 0)
        self._loop.call_at(sent + ROUND_TRIP_S / 2, self._end)
        return True

    def connection_lost(self, _error: Exception | None) -> None:
        """Let the other end know."""
        self._loop.call_later(ROUND_TRIP_S, self._close_other)

    def _arrive(self, data: bytes) -> None:
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.write(data)

    def _acknowledge(self, count: int) -> None:
        self._unacknowledged -= count
        self._window = min(self._window + count, LARGEST_WINDOW)
        if self._unacknowledged < self._window and self.transport and not self.transport.is_closing():
            self.transport.resume_reading()

    def _end(self) -> None:
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.write_eof()

    def _close_other(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.close()


async def pass_on(ports: Sequence[int]) -> None:
    """Listen for each port, print where, and pass connections on for ever."""
    there, back = Line(), Line()
    loop = asyncio.get_running_loop()
    connecting: set[asyncio.Task[None]] = set()

    async def connect(near: End, port: int) -> None:
        await asyncio.sleep(ROUND_TRIP_S)
        _, far = await loop.create_connection(lambda: End(back), LOOPBACK, port)
        near.other, far.other = far, near
        assert near.transport is not None
        near.transport.resume_reading()

    class Near(End):
        def __init__(self, port: int) -> None:
            super().__init__(there)
            self._port = port

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert self.transport is not None
            self.transport.pause_reading()
            task = loop.create_task(connect(self, self._port))
            connecting.add(task)
            task.add_done_callback(connecting.discard)

    servers = [await loop.create_server(lambda port=port: Near(port), LOOPBACK, 0) for port in ports]  # type: ignore[misc]
    sys.stdout.write(" ".join(str(server.sockets[0].getsockname()[1]) for server in servers) + "\n")
    sys.stdout.flush()
    await asyncio.gather(*(server.serve_forever() for server in servers))


@contextmanager
def far(*ports: int) -> Iterator[list[int]]:
    """Run it in a process of its own, and give the ports that lead to `ports`."""
    command = [sys.executable, "-m", "tests.benchmarks.far", *map(str, ports)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            assert running.stdout is not None
            yield [int(port) for port in running.stdout.readline().split()]
        finally:
            running.kill()


if __name__ == "__main__":
    asyncio.run(pass_on([int(port) for port in sys.argv[1:]]))
