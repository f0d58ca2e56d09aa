"""A process that has settled has few heaps, and a collector that does not look at what was imported."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
HEAPS = """
import ctypes, sys
from threading import Barrier, Thread
from tasks.process_tuning import settle
if sys.argv[1:]:
    settle()
libc, all_there = ctypes.CDLL(None), Barrier(6)
libc.fdopen.restype = ctypes.c_void_p
def take():
    bytearray(100_000)
    all_there.wait()
    bytearray(100_000)
threads = [Thread(target=take) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""
FROZEN = """
import gc
from tasks.process_tuning import settle
settle()
frozen, later = gc.get_freeze_count(), [[number] for number in range(1000)]
settle()
print(frozen > 1000, gc.get_freeze_count() == frozen, gc.is_tracked(later[0]))
"""


def said(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives each thread a heap of its own")
@pytest.mark.parametrize(("settled", "heaps"), [((), 7), (("settled",), 2)], ids=["by default", "settled"])
def test_threads_share_two_heaps(settled: tuple[str, ...], heaps: int) -> None:
    assert said(HEAPS, *settled).count("<heap nr=") == heaps


def test_what_is_there_is_frozen_once_and_what_comes_later_is_not() -> None:
    assert said(FROZEN).split() == ["True", "True", "True"]


def test_settling_does_no_harm_where_the_c_library_knows_no_heaps() -> None:
    program = "import ctypes; ctypes.CDLL = lambda name: object(); "
    program += "from tasks.process_tuning import settle; settle(); print('ok')"
    assert said(program) == "ok\n"
