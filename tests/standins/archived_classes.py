"""Archived storage classes as Amazon has them, in front of a store that knows none: refused reads, and what it takes.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html (InvalidObjectState)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.torture.store.faults import Changed, Says, refusal
from tests.torture.store.wire import answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.torture.store.proxy import Exchange, Fault
    from tests.torture.store.requests import StoreRequest
    from tests.torture.store.wire import Message

EXPIRY = "Fri, 21 Dec 2040 00:00:00 GMT"
_OF_TIERING = frozenset({"ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"})
_ONLY_SLOW = frozenset({"DEEP_ARCHIVE", "DEEP_ARCHIVE_ACCESS"})


@dataclass
class FrozenObject:
    """An object in an archived storage class, or in such a tier of INTELLIGENT_TIERING."""

    kept: str
    looks: int
    """How many HEADs find it not readable yet, once it was asked for."""
    asked: list[tuple[int, str]] = field(default_factory=list)
    """The days (0 if none were named) and the tier of each request that was taken."""

    @property
    def is_thawed(self) -> bool:
        """Whether it can be read."""
        return bool(self.asked) and not self.looks

    def describe(self, said: Message) -> Message:
        """Return the answer to HEAD, of which each counts as a look."""
        is_tier = self.kept in _OF_TIERING
        said = said.with_header("x-amz-storage-class", "INTELLIGENT_TIERING" if is_tier else self.kept)
        if is_tier and not self.is_thawed:
            said = said.with_header("x-amz-archive-status", self.kept)
        if self.asked and not self.is_thawed:
            self.looks -= 1
            return said.with_header("x-amz-restore", 'ongoing-request="true"')
        if self.is_thawed and not is_tier:
            return said.with_header("x-amz-restore", f'ongoing-request="false", expiry-date="{EXPIRY}"')
        return said

    def ask(self, document: str) -> Says:
        """Return the answer to a restore request."""
        days, tier = (re.search(rf"<{name}>(\w+)</{name}>", document) for name in ("Days", "Tier"))
        if (days is None) != (self.kept in _OF_TIERING):
            return refusal(400, "MalformedXML")
        if tier is None or (tier[1] == "Expedited" and self.kept in _ONLY_SLOW):
            return refusal(400, "InvalidArgument")
        if self.asked and not self.is_thawed:
            return refusal(409, "RestoreAlreadyInProgress")
        status = 200 if self.is_thawed else 202
        self.asked.append((int(days[1]) if days else 0, tier[1]))
        return Says(status)


@dataclass(frozen=True)
class _Asks:
    frozen: FrozenObject

    def meet(self, exchange: Exchange) -> None:
        """Answer a restore request."""
        said = self.frozen.ask(exchange.body().decode())
        exchange.answer(answer(said.status, said.headers, said.content))


class ArchivedClasses:
    """The rule of a proxy (`StoreProxy.start_over`) by which some objects are in archived storage classes."""

    def __init__(self) -> None:
        self.objects: dict[str, FrozenObject] = {}
        """By key."""

    def freeze(self, keys: Iterable[str], kept: str = "GLACIER", looks: int = 0) -> list[FrozenObject]:
        """Put objects into an archived storage class.

        Args:
            keys: of the objects.
            kept: the class, or the tier of INTELLIGENT_TIERING.
            looks: see `FrozenObject`.
        """
        frozen = {key: FrozenObject(kept, looks) for key in keys}
        self.objects |= frozen
        return list(frozen.values())

    def __call__(self, request: StoreRequest) -> Fault | None:
        """Return what becomes of a request."""
        frozen = self.objects.get(request.key)
        if request.operation == "PostObject" and "restore" in request.query:
            return _Asks(frozen) if frozen else refusal(403, "InvalidObjectState")
        if frozen and request.operation == "GetObject" and not frozen.is_thawed:
            return refusal(403, "InvalidObjectState")
        return Changed(frozen.describe) if frozen and request.operation == "HeadObject" else None
