"""What is to be restored, and what the restores of all bags share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from tasks.restore.target import Target
    from tasks.s3 import Bucket, Reader, ThawTier
    from tasks.text import Log
    from tasks.transfer import Progress


@dataclass(frozen=True)
class RestoreContext:
    """What the restores of all bags share."""

    new_bucket: Callable[[], Bucket]  # the archive's: with a patience that other bags' progress does not refill
    root: str  # the key prefix of the archive, with a slash at its end, or empty
    target: Target
    reader: Reader
    progress: Progress
    stop: Event
    log: Log
    overwrite: bool = False
    thaw_days: int = 0  # ask for objects in archived storage classes, for so many days
    thaw_tier: ThawTier = "standard"  # how fast they are to be readable
    wait_until: float = 0.0  # by the monotonic clock, for objects that are asked for
    derived: bool = False  # bring what lies beside a recording's bag, too
    whole_only: bool = False  # bring nothing of a bag that is damaged, as far as its tag files and its listing show


@dataclass(frozen=True)
class ChosenBag:
    """A bag that is to be restored."""

    kind: Literal["recording", "session"]
    id: str
    folder: str  # below the archive's root, with a slash at its end; empty if there is none
    deleted: str = ""  # when, by whom and why it was deleted on purpose, if there is none for that reason
