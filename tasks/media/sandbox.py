"""A sandbox for a decoder that reads bytes from strangers: a process of its own, with few rights.

The process has no credentials and no environment, writes no file, and has limits of time and memory that the system
enforces. It asks for bytes over its pipe, and tells over it what it finds: if it dies, what it told so far counts.
That is for accidents. Code that took the decoder over runs as our user still, and could look into our own process.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import struct
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic import TypeAdapter

from tasks.errors import ExtraNotInstalled
from tasks.media.probe import POSTER_BYTES, Facts
from tasks.media.ranged_file import BudgetSpent
from tasks.media.sandbox_child import LONGEST_READ, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.media.ranged_file import BlockReader

WALL_S = 60.0
"""Of the process's own time; the store's is not counted."""
LONGEST_LINE = 256 * 1024
_PROJECT = str(Path(__file__).parents[2])
_CHILD = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from tasks.media.sandbox_child import serve; serve()"
_NONSENSE = (ValueError, TypeError, IndexError, OverflowError, RecursionError)
"""What is raised by a message that is not of the protocol."""
_FACTS = TypeAdapter(Facts)


@dataclass(frozen=True)
class Examination:
    """What was found out about a file."""

    facts: Facts
    poster: bytes  # a JPEG; empty if there is none
    troubles: tuple[str, ...]  # those of the facts, and what became of the process that looked for them


def examine_file(ranges: BlockReader, *, poster: bool, wall_s: float = WALL_S) -> Examination:
    """Find out what a media file is, whatever it may do to the decoder.

    Args:
        ranges: the file.
        poster: whether a frame is wanted.
        wall_s: seconds that the decoder may take.

    Raises:
        ExtraNotInstalled: PyAV cannot be imported.
    """
    command = [
        sys.executable,
        "-I",
        "-c",
        _CHILD,
        json.dumps([_PROJECT, *sys.path]),
        str(ranges.size),
        str(int(poster)),
    ]
    with (
        suppress(BrokenPipeError),
        subprocess.Popen(  # noqa: S603 - this very interpreter, and our module
            command, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process,
    ):
        conversation = _Conversation(process, ranges, wall_s)
        try:
            conversation.hold()
        finally:
            process.kill()
    return conversation.examination()


def _environment() -> dict[str, str]:
    """Return what an interpreter needs to start: nothing, but on Windows."""
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


class _Conversation:
    """The parent's end: answers what the process asks for, and keeps what it tells."""

    def __init__(self, process: subprocess.Popen[bytes], ranges: BlockReader, wall_s: float) -> None:
        assert process.stdin is not None  # noqa: S101 - for the type checker
        assert process.stdout is not None  # noqa: S101
        self._process, self._ranges, self._left_s = process, ranges, wall_s
        self._to: BinaryIO = process.stdin  # type: ignore[assignment]
        self._from: BinaryIO = process.stdout  # type: ignore[assignment]
        self._ready = self._over = self._spent = False
        self._facts = Facts()
        self._poster = b""

    def hold(self) -> None:
        """Talk until the process has no more to say, or is at its end."""
        while (line := self._line()).endswith(b"\n"):
            try:
                kind, *values = json.loads(line)
                if not self._heard(kind, values):
                    return
            except _NONSENSE:
                return
            except BrokenPipeError:
                continue
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """End the process when it is out of time, of which only what is waited for it counts."""
        began = time.monotonic()  # before the timer: whom it ends was out of time
        watch = Timer(max(self._left_s, 0), self._process.kill)
        watch.start()
        try:
            yield
        finally:
            watch.cancel()
            self._left_s -= time.monotonic() - began

    def _line(self) -> bytes:
        """Return the next line, or what there is of it when the process is out of time."""
        with self._watched():
            return self._from.readline(LONGEST_LINE)

    def _heard(self, kind: str, values: list[Any]) -> bool:
        """Take in what the process said, and tell whether it may go on."""
        if kind == "read":
            self._answer(int(values[0]), int(values[1]))
        elif kind == "facts":
            self._facts = _FACTS.validate_json(json.dumps(values[0], allow_nan=False))
        elif kind == "poster":
            self._poster = base64.b64decode(values[0], validate=True)
        elif kind == "ready":
            self._ready = True
        elif kind == "over":
            self._over = True
        return kind != "over"

    def _answer(self, offset: int, length: int) -> None:
        try:
            data = self._ranges.read_at(offset, min(length, LONGEST_READ))
        except BudgetSpent:
            self._spent = True
            answer = struct.pack(">i", REFUSED)
        else:
            answer = struct.pack(">i", len(data)) + data
        with self._watched():  # what does not read would hold us up for ever
            self._to.write(answer)
            self._to.flush()

    def examination(self) -> Examination:
        """Return what was found out."""
        if not self._ready and self._left_s > 0:
            raise ExtraNotInstalled("describe", "PyAV")
        troubles = list(self._facts.troubles)
        if self._spent:
            troubles.append(f"more than {self._ranges.fetched:,} bytes of it would have to be read to understand it")
        if not self._over:
            why = "took too long" if self._left_s <= 0 or self._process.returncode == -signal.SIGXCPU else "died"
            troubles.append(f"the decoder {why} over it")
        is_jpeg = self._poster.startswith(b"\xff\xd8\xff") and len(self._poster) <= POSTER_BYTES
        return Examination(self._facts, self._poster if is_jpeg else b"", tuple(troubles))
