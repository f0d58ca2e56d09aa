"""What can be set on the stand-in while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.standins.faults import ApiScript, FileScript
    from tests.standins.requests import ApiRequest, FileRequest

ExpiryDialect = Literal[
    "r2-403", "r2-400", "s3-403", "gcs-400", "cdn-401", "cdn-403", "cdn-410", "signature-403"
]  # fmt: skip


@dataclass(eq=False, repr=False)
class Knobs:
    """The stand-in's settings; a change counts from the next request, or the next link, on."""

    link_lifetime: float = 3600
    """Seconds that a link works, from when it was minted."""
    links_are_stored: bool = False
    """Whether each look finds the same links again, until they expire."""
    links_expire_after_requests: int | None = None
    """How many requests a link serves before it answers as expired."""
    expiry_dialect: ExpiryDialect = "r2-403"
    """How the file server says that a link has expired."""
    bandwidth_per_connection: float | None = None
    """Bytes per second of one answer from the file server."""
    file_faults: FileScript = field(default_factory=list)
    """What goes wrong with coming file requests whose link is good; a list is used up from its front."""
    api_faults: ApiScript = field(default_factory=list)
    """What goes wrong with coming API requests."""
    on_file_request: Callable[[FileRequest], None] | None = None
    """Called before a file request is looked at; it may block, or change anything."""
    on_api_request: Callable[[ApiRequest], None] | None = None
    """Called before an API request is looked at."""
    statuses: frozenset[str] = frozenset({"INVOKED", "RECORDING", "UPLOADING", "UPLOADED", "ERRORED", "PAUSED"})
    """The statuses that the list may be asked for; older versions of the API know neither ERRORED nor PAUSED."""
    largest_page_of_apps: int = 100
    """More apps than that are not put on a page, whatever is asked for."""
    token_details: Mapping[str, str] = field(default_factory=lambda: {"id": "token0" * 5, "status": "active"})
    """What verifying the right token answers."""
    token_is_the_accounts: bool = False
    """Whether the token is the account's own, and no user's."""
    clock_ahead: timedelta = timedelta(0)
    """By how much the stand-in's clock is ahead of the machine's."""

    def now(self) -> datetime:
        """Return the time on the stand-in's clock."""
        return datetime.now(UTC) + self.clock_ahead

    def advance_clock(self, seconds: float) -> None:
        """Move the stand-in's clock on, so that links expire without anybody waiting."""
        self.clock_ahead += timedelta(seconds=seconds)
