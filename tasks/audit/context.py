"""What an audit works with: the clients and settings of one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from tasks.audit.log import AuditLog
    from tasks.s3 import Reader, Store
    from tasks.text import Log


@dataclass(frozen=True)
class AuditContext:
    """The clients and settings of one attempt at an audit."""

    store: Store  # for listings
    new_store: Callable[[], Store]  # for one bag: the progress of other bags does not refill its patience
    root: str  # the archive's key prefix, with a slash at its end, or empty
    audit_log: AuditLog
    reader: Reader
    at_once: int  # bags
    stop: Event
    log: Log
