"""Object Lock as Amazon has it, in front of a store that knows none: a put over a locked object is a new version.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLockConfiguration.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tests.torture.store.faults import Changed, Says, refusal
from tests.torture.store.wire import answer

if TYPE_CHECKING:
    from tests.torture.store.proxy import Exchange, Fault
    from tests.torture.store.requests import StoreRequest
    from tests.torture.store.wire import Message

MODE, UNTIL = "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"
_ENABLED = b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"


@dataclass(frozen=True)
class _Locks:
    """Answers a request to lock an object."""

    locks: ObjectLocks

    def meet(self, exchange: Exchange) -> None:
        """Note the lock."""
        document = exchange.body().decode()
        mode, until = (re.search(rf"<{name}>([^<]+)</{name}>", document) for name in ("Mode", "RetainUntilDate"))
        assert mode is not None
        assert until is not None
        self.locks.lock(exchange.request.key, mode[1], until[1])
        exchange.answer(answer(200, {}, b""))


@dataclass
class ObjectLocks:
    """The rule of a proxy (`StoreProxy.start_over`) by which a bucket has Object Lock."""

    locked: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Mode and end of each lock, by key, in the order in which they were set."""

    def lock(self, key: str, mode: str, until: str) -> None:
        """Lock the newest version at a key."""
        self.locked.pop(key, None)
        self.locked[key] = mode, until

    def __call__(self, request: StoreRequest) -> Fault | None:
        """Return what becomes of a request."""
        if "object-lock" in request.query:
            return Says(200, content=_ENABLED)
        if "retention" in request.query:
            return _Locks(self) if request.operation == "PutObject" else self._stated(request.key)
        if request.operation == "HeadObject" and request.key in self.locked:
            return Changed(partial(_with_lock, self.locked[request.key]))
        if request.operation in {"PutObject", "DeleteObject", "CompleteMultipartUpload"}:
            self.locked.pop(request.key, None)  # a new version
            if MODE in request.headers:
                self.lock(request.key, request.headers[MODE], request.headers[UNTIL])
        return None

    def _stated(self, key: str) -> Fault:
        if key not in self.locked:
            return refusal(404, "NoSuchObjectLockConfiguration")
        mode, until = self.locked[key]
        document = f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
        return Says(200, content=document.encode())


def _with_lock(lock: tuple[str, str], said: Message) -> Message:
    return said.with_header(MODE, lock[0]).with_header(UNTIL, lock[1])
