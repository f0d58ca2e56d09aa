"""The moments at which a process that archives is killed, picked by a seed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Timer
from typing import TYPE_CHECKING

from tasks.text.formatting import MIB
from tests.support.archive_child import Death
from tests.torture.runs.processes import PATIENCE_S, Child

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from tests.standins.content import Content
    from tests.standins.realtimekit import FileRequest, StandInRecording
    from tests.support.archiving import Archiving

PART = {"swift": 5 * MIB, "rclone": MIB}
"""Bytes by store; with rclone's smallest, what is lost could not be told from what sockets hold."""
LONGEST_RUN_S = 1.5


@dataclass
class Life:
    """One run's, from its start to its end."""

    bench: Archiving
    recording: StandInRecording
    dice: random.Random
    _began: Event = field(default_factory=Event)
    _child: list[Child] = field(default_factory=list)

    def begin(self, child: Child) -> None:
        """Tell which process it is."""
        self._child.append(child)
        self._began.set()

    def end(self) -> None:
        """Kill it."""
        if not self._began.wait(PATIENCE_S):
            raise TimeoutError
        self._child[0].kill()

    @property
    def parts(self) -> int:
        """How many parts its largest file has."""
        largest = max(source.size for source in self.recording.files().values())
        return -(-largest // PART[self.bench.server.name])


@dataclass(frozen=True)
class Trap:
    """A file's content that tells when a byte of it is about to be sent."""

    within: Content
    byte: int
    on_read: Callable[[], None]

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.within.size

    @property
    def fingerprint(self) -> str:
        """That of the content."""
        return self.within.fingerprint

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to, not including, `stop`."""
        if start <= self.byte < stop:
            self.on_read()
        return self.within.read(start, stop)


@contextmanager
def at_a_request(life: Life) -> Iterator[Death | None]:
    """Let a life end when the source gets its Nth request."""
    kit = life.bench.kit
    last = len(kit.file_requests) + life.dice.randint(1, life.parts + 2)

    def look(request: FileRequest) -> None:
        if request.number == last:
            life.end()

    kit.on_file_request = look
    yield None
    kit.on_file_request = None


@contextmanager
def at_a_byte(life: Life) -> Iterator[Death | None]:
    """Let a life end when a certain byte is about to be sent."""
    source = life.dice.choice(sorted(life.recording.files().items()))[1]
    content = source.content
    source.replace(Trap(content, life.dice.randrange(content.size), life.end))
    yield None
    life.bench.kit.wait_idle()
    source.replace(content)


@contextmanager
def at_a_write(life: Life) -> Iterator[Death | None]:
    """Let a life end right before, within or after its Nth write to the store."""
    how = life.dice.choice(("before", "within", "after"))
    yield Death(life.dice.randint(1, life.parts + 12), how, life.dice.uniform(0, 0.02))  # type: ignore[arg-type]


@contextmanager
def at_a_time(life: Life) -> Iterator[Death | None]:
    """Let a life end after a while."""
    timer = Timer(life.dice.uniform(0.01, LONGEST_RUN_S), life.end)
    timer.start()
    yield None
    timer.cancel()
    timer.join()


MOMENTS = (at_a_request, at_a_byte, at_a_write, at_a_time)
