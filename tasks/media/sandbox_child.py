"""The process inside the sandbox: it may do little, and all that it learns goes over a pipe.

The other end is `sandbox`. Nothing is imported here that is not needed: each media file has a process of its own.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import sys
from contextlib import suppress
from dataclasses import asdict

from tasks.media.probe import examine
from tasks.media.ranged_file import BudgetSpent, RangedFile

CPU_S = 30
MEMORY = 1024 * 1024 * 1024
"""Of address space; a decoder of 1080p takes a part of it, its libraries included."""
LONGEST_READ = 1024 * 1024
REFUSED = -1
"""In place of a length: there are no more bytes to be had."""


def serve() -> None:
    """Examine one file, as the child: `sys.argv` holds its size and whether a frame is wanted."""
    size, poster = int(sys.argv[2]), bool(int(sys.argv[3]))
    ask, answers = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints must not pass for an answer
    import av  # noqa: F401, PLC0415 - an optional extra; with its libraries, before there are limits

    _limit_itself()

    def say(*words: object) -> None:
        ask.write(json.dumps(words).encode() + b"\n")
        ask.flush()

    def read_at(offset: int, length: int) -> bytes:
        say("read", offset, length)
        (count,) = struct.unpack(">i", answers.read(4))
        if count == REFUSED:
            raise BudgetSpent
        return answers.read(count)

    say("ready")
    show = (lambda jpeg: say("poster", base64.b64encode(jpeg).decode())) if poster else None
    examine(RangedFile(read_at, size), lambda facts: say("facts", asdict(facts)), show)
    say("over")


def _limit_itself() -> None:
    """Give up what is not needed, where the system knows how."""
    with suppress(ImportError):
        import resource  # noqa: PLC0415 - not on Windows

        for limit, values in (
            (resource.RLIMIT_CPU, (CPU_S, CPU_S + 1)),
            (resource.RLIMIT_AS, (MEMORY, MEMORY)),
            (resource.RLIMIT_FSIZE, (0, 0)),
            (resource.RLIMIT_CORE, (0, 0)),
        ):
            with suppress(ValueError, OSError):  # macOS knows not all of them
                resource.setrlimit(limit, values)
