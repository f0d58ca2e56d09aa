"""What an audit has found out, and what earlier audits knew, about each bag."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.archive import Holdings
from tasks.audit.schedule import is_new

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.archive import Held
    from tasks.audit.log import Record
    from tasks.s3 import Upload


@dataclass(frozen=True)
class Damage:
    """A damaged bag."""

    held: Held
    record: Record
    details: bytes = b""  # its recording.json, as it is
    known: bool = False  # from an earlier audit; this one has not come to it


@dataclass
class Found:
    """What an audit has found out so far; it stays, whatever ends the audit."""

    holdings: Holdings = field(default_factory=Holdings)
    records: dict[str, Record] = field(default_factory=dict)  # the last of each bag, by folder
    damaged: dict[str, Damage] = field(default_factory=dict)  # by folder
    unread: dict[str, str] = field(default_factory=dict)  # why, by folder
    unsettled: set[str] = field(default_factory=set)  # were written or deleted just now
    forgotten: list[Held] = field(default_factory=list)  # half done
    abandoned: list[Upload] = field(default_factory=list)
    reread: set[str] = field(default_factory=set)
    read: int = 0  # bytes
    seconds: float = 0.0

    def known_damage(self) -> Iterable[Damage]:
        """Return what earlier audits found, this one did not come to, and nobody has touched since."""
        for folder, record in self.records.items():
            held = self.holdings.bags.get(folder)
            settled = folder in self.damaged or folder in self.reread
            if held and record.outcome == "damaged" and not settled and not is_new(held, record):
                yield Damage(held, record, known=True)
