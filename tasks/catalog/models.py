"""What an update of the catalog works with, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from tasks.catalog.dataset import Dataset
    from tasks.s3 import Bucket
    from tasks.text import Log


class AuditRecord(Protocol):
    """What an audit knows of a bag."""

    @property
    def at(self) -> datetime:
        """When an audit looked at it last."""

    @property
    def outcome(self) -> str:
        """What came of that."""

    @property
    def read_at(self) -> datetime | None:
        """When all of it was read last."""

    @property
    def versions(self) -> int:
        """Of what the bag held then, see `tasks.archive.Sums`."""

    @property
    def findings(self) -> Sequence[object]:
        """What was found, each fit to be shown."""


class AuditRecords(Protocol):
    """What audits have written down."""

    def version(self) -> str:
        """Return another text whenever there are new records."""

    def records(self) -> Mapping[str, AuditRecord]:
        """Return the last record of each bag, by its folder below the archive's root."""


@dataclass(frozen=True)
class CatalogContext:
    """What an update works with."""

    bucket: Bucket
    new_bucket: Callable[[], Bucket]  # for one bag: with a patience that others' progress does not refill
    dataset: Dataset
    audits: AuditRecords
    log: Log


class CatalogReport(BaseModel):
    """What an update of the catalog did."""

    model_config = ConfigDict(frozen=True)

    catalog_url: str
    recordings: int  # that the catalog has of what was looked at
    read: int  # bags that were new or changed
    removed: int  # rows of bags that are there no more
    months_written: int
    unreadable: tuple[str, ...] = ()  # recordings and sessions that the store does not give, the first
    foreign: tuple[str, ...] = ()  # objects among the catalog's that are none of its files, the first of them
    settled: bool = True  # whether the last look found nothing to do
    seconds: float = 0.0
