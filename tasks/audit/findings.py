"""The findings of an audit, and the records of earlier audits, by bag."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.archive import Holdings, layout
from tasks.audit.schedule import is_new

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.archive import Held, Tombstone
    from tasks.audit.log import Record
    from tasks.s3 import Upload


@dataclass(frozen=True)
class Damage:
    """A damaged bag."""

    held: Held
    record: Record
    details: bytes = b""  # its recording.json, as it is
    known: bool = False  # from an earlier audit; this one has not verified the bag yet
    superseded: bool = False  # a version of a session, of which a newer one is committed


@dataclass
class AuditFindings:
    """The findings of an audit so far; they stay, whatever ends the audit."""

    holdings: Holdings = field(default_factory=Holdings)
    newest: dict[str, int] = field(default_factory=dict)  # committed version of each session, by the session's folder
    records: dict[str, Record] = field(default_factory=dict)  # the last record of each bag, by folder
    damaged: dict[str, Damage] = field(default_factory=dict)  # by folder
    unread: dict[str, str] = field(default_factory=dict)  # why a bag cannot be read, by folder
    passed_over: set[str] = field(default_factory=set)  # folders with files in an archived storage class
    unsettled: set[str] = field(default_factory=set)  # folders that were written to or deleted during the audit
    forgotten: list[Held] = field(default_factory=list)  # folders without a marker that no run writes to
    deletions: list[Tombstone] = field(default_factory=list)  # on purpose, and not finished, or here again
    abandoned: list[Upload] = field(default_factory=list)  # that no run can complete
    reread: set[str] = field(default_factory=set)  # folders whose payload was read by this audit
    read: int = 0  # bytes
    seconds: float = 0.0

    def is_superseded(self, folder: str) -> bool:
        """Tell whether a folder is that of a session's version, and a newer version of the session is committed."""
        return layout.version_of(folder) < self.newest.get(layout.session_of(folder), 0)

    def known_damage(self) -> Iterator[Damage]:
        """Yield the damage that earlier audits recorded of bags that are unchanged and that this audit has not read."""
        for folder, record in self.records.items():
            held = self.holdings.bags.get(folder)
            settled = folder in self.damaged or folder in self.reread
            if held and record.outcome == "damaged" and not settled and not is_new(held, record):
                yield Damage(held, record, known=True, superseded=self.is_superseded(folder))
