"""Knows what a process's memory costs it: heaps with holes in them, and objects that are looked at again and again.

glibc gives each thread a heap of its own, up to eight times as many as there are cores, and in each the buffers that
come off the wire leave holes: 30 MiB after a few gigabytes, by the threads of one transfer. Two are as fast.
Source: https://man7.org/linux/man-pages/man3/mallopt.3.html

Python's collector looks at all that was ever imported each time that it looks at everything, and finds nothing. Prefect
alone has half a million objects. Source: https://docs.python.org/3/library/gc.html#gc.freeze
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

M_ARENA_MAX = -8
HEAPS = 2


def settle() -> None:
    """Have threads share heaps, and the collector leave alone what is there; to be called once all is imported.

    Called again it freezes nothing more: in a process that lives long, what is garbage by then would stay for good.
    """
    with suppress(OSError, TypeError, AttributeError):  # Windows, macOS and musl have no such thing
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, HEAPS)
    if not gc.get_freeze_count():
        gc.freeze()
