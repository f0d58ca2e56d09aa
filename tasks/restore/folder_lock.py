"""A lock on a bag's folder: of several restores into it, one works and the others wait.

The kernel ends the lock of a process that was killed.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from tasks.retry import wait_unless_stopped

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    from tasks.text import Log

WAIT_S = 0.2
LOCK = "lock"
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


def lock_folder(unfinished: Path, stop: Event, log: Log) -> int:
    """Wait for the lock of a bag's folder, and return the descriptor that holds it.

    Args:
        unfinished: the folder for unfinished work in the bag's folder; it is made if it is not there.
        stop: ends the waiting.
        log: told who is waited for.

    Raises:
        TransferStopped: `stop` was set.
    """
    is_waiting = False
    while True:
        unfinished.mkdir(exist_ok=True)
        try:
            number = os.open(unfinished / LOCK, os.O_RDWR | os.O_CREAT | NO_FOLLOW, 0o666)
        except FileNotFoundError:
            continue  # the last holder has just removed the folder
        if _is_locked(number) and _is_still_there(unfinished / LOCK, number):
            return number
        os.close(number)
        if not is_waiting:
            log.info("Another restore is at work in %s: waiting for it.", unfinished.parent)
        is_waiting = True
        wait_unless_stopped(stop, WAIT_S)


def unlock_folder(unfinished: Path, number: int) -> None:
    """Give a lock back, and remove the folder for unfinished work if there is none left."""
    with suppress(OSError):
        if [path.name for path in unfinished.iterdir()] == [LOCK]:
            (unfinished / LOCK).unlink()
            unfinished.rmdir()
    os.close(number)


def _is_locked(number: int) -> bool:
    """Lock an open file without waiting, and tell whether it is locked now."""
    if sys.platform == "win32":
        return True  # there, nobody else keeps two restores apart either
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still_there(path: Path, number: int) -> bool:
    """Tell whether a locked file is not one that its last holder has removed meanwhile."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(number))
    except FileNotFoundError:
        return False
