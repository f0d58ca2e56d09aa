"""Standard streams for a command: what is written to them is shown as far as they can take it, and never raises.

A stream may be closed, full, a broken pipe, or of an encoding that lacks most letters. No recording fails for that.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from select import select
from typing import Any, TextIO

from tasks.text.redaction import redact

STANDARD = {"stdout": 1, "stderr": 2}


class _Tolerant(FileIO):
    """The file of a standard stream; drops what cannot be written."""

    lost = False

    def write(self, data: Any, /) -> int:
        """Write, or drop it."""
        try:
            while (count := super().write(data)) is None:  # not blocking, and not ready
                select([], [self], [])
        except OSError:
            self.lost = True
            return memoryview(data).nbytes
        return int(count)


class _Shown(TextIOWrapper):
    """A stream that people read: what libraries say there by themselves may quote anything."""

    def write(self, text: str, /) -> int:
        """Write it without secrets."""
        super().write(redact(text))
        return len(text)


def secure_streams() -> None:
    """Replace stdout and stderr of this process by streams that never raise; stderr shows no secret.

    Closed ones lead to the null device, in the place of their own descriptor: else the next file or connection that is
    opened would get it, and with it all that a child writes there.
    """
    if os.name != "posix":
        return
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free
    for name, number in STANDARD.items():
        before = getattr(sys, name)
        raw = _Tolerant(number, "w", closefd=False)
        encoding, by_line = getattr(before, "encoding", None) or "utf-8", name == "stderr" or raw.isatty()
        kind = _Shown if name == "stderr" else TextIOWrapper
        setattr(sys, name, kind(BufferedWriter(raw), encoding, "backslashreplace", line_buffering=by_line))


def put(stream: TextIO | None, text: str) -> bool:
    """Write a text to a stream at once, and tell whether the stream took it; nothing is raised.

    Args:
        stream: None where Python found it closed.
        text: letters that the stream's encoding lacks are escaped.
    """
    if stream is None:
        return False
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with suppress(OSError, ValueError):  # full, broken; closed
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
        return not getattr(getattr(getattr(stream, "buffer", None), "raw", None), "lost", False)
    return False
