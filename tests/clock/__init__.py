"""The clock of the tests, which may be moved for all Python processes that take part; `tests.clock.option` says how."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clock.sitecustomize import AHEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent


def is_moved() -> bool:
    """Return whether the clock of this process is moved."""
    return AHEAD in os.environ


with_rclone = pytest.mark.skipif(is_moved(), reason="rclone keeps the true time, and refuses what is signed at another")
"""Marks a test that needs rclone; what asks for a fixture of rclone's needs no mark."""


def python_path(*folders: Path) -> str:
    """Return a `PYTHONPATH` for a process whose clock is to be that of the tests."""
    return os.pathsep.join(map(str, (FOLDER, *folders) if is_moved() else folders))


@contextmanager
def local_time(zone: str) -> Iterator[None]:
    """Put this process into a time zone, named as `TZ` names them, for the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()
