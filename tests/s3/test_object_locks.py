"""Locks of objects: set, stated, and never set in a store that would take the request for a put."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import StoredWrong, StoreRefused
from tasks.s3 import Retention, Store
from tests.support.meddling import Meddled, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.archiving import Archiving

SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
WANTED = Retention("GOVERNANCE", SOON)


def store_that(rclone: Archiving, states: Retention, *, refuses: bool) -> Store:
    """Return a store that states a lock, whatever it is asked to set."""

    def dialect(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "put_object_retention":
            if refuses:
                raise refusal("AccessDenied", 403)
            return {}
        if method == "get_object_retention":
            if states.until is None:
                raise refusal("NoSuchObjectLockConfiguration", 404)
            return {"Retention": {"Mode": states.mode, "RetainUntilDate": states.until}}
        return send()

    return Store(Meddled(rclone.s3, dialect), rclone.bucket, 5.0)  # type: ignore[arg-type]


def test_a_longer_lock_that_the_store_keeps_is_good_enough(rclone: Archiving) -> None:
    store_that(rclone, Retention("COMPLIANCE", SOON + timedelta(days=1)), refuses=True).lock("key", WANTED)


def test_a_lock_that_is_refused_is_an_error_if_the_object_has_no_such_lock(rclone: Archiving) -> None:
    with pytest.raises(StoreRefused, match="AccessDenied"):
        store_that(rclone, Retention("GOVERNANCE", SOON - timedelta(hours=1)), refuses=True).lock("key", WANTED)


def test_a_lock_that_the_store_takes_and_forgets_is_an_error(rclone: Archiving) -> None:
    with pytest.raises(StoredWrong, match="expected the lock GOVERNANCE until"):
        store_that(rclone, Retention(), refuses=False).lock("key", WANTED)


def test_a_store_without_locks_is_asked_and_says_so(bench: Archiving) -> None:
    assert bench.run().store.supports_locks() is False


def test_locks_are_for_people_too() -> None:
    assert (
        str(Retention("GOVERNANCE", datetime(2030, 1, 2, 3, 4, tzinfo=UTC))) == "GOVERNANCE until 2030-01-02 03:04 UTC"
    )
    assert str(Retention(legal_hold=True)) == "a legal hold, until somebody takes it off"
    assert str(Retention()) == "none"
