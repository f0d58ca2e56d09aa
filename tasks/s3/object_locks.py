"""Calls that ask for locks of objects, and set them."""

from __future__ import annotations

from tasks.errors import StoredWrong, StoreRefused
from tasks.s3.caller import Calls
from tasks.s3.error_codes import NOT_FOUND, NOT_SUPPORTED
from tasks.s3.retention import UNLOCKED, WITHOUT_LOCKS, Retention, parse_stated_retention


class ObjectLocks(Calls):
    """The locks of a bucket's objects."""

    def supports_locks(self) -> bool:
        """Tell whether the bucket has Object Lock; asked once.

        A store that knows no locks must not be asked to set one: rclone takes the request for a put, and replaces the
        object's content.
        """
        if not self._capabilities.has_object_lock:
            try:
                answer = self._ask("get_object_lock_configuration", None)
            except StoreRefused as refused:
                if refused.code not in NOT_SUPPORTED | WITHOUT_LOCKS:
                    raise
                return False
            configured = answer.get("ObjectLockConfiguration") or {}
            self._capabilities.has_object_lock = configured.get("ObjectLockEnabled") == "Enabled"
        return self._capabilities.has_object_lock

    def lock(self, key: str, retention: Retention) -> None:
        """Keep an object from being deleted or replaced until a day; a longer lock stays as it is.

        Raises:
            StoredWrong: the store took the request, and does not state the lock.
        """
        request = {"Mode": retention.mode, "RetainUntilDate": retention.until}
        try:
            self._ask("put_object_retention", key, Retention=request)
        except StoreRefused:
            if not self.retention(key).covers(retention):
                raise
            return
        self.require_locked(key, retention)

    def require_locked(self, key: str, wanted: Retention) -> None:
        """Check that the store states that an object is locked at least so long, if it is to be locked at all.

        Raises:
            StoredWrong: it does not.
        """
        if wanted.until is None:
            return
        stated = self.retention(key)
        if not stated.covers(wanted):
            raise StoredWrong(self._at(key), f"the lock {wanted}", f"{stated}")

    def retention(self, key: str) -> Retention:
        """Return the lock of an object; the answer of HEAD has it for credentials alone that may ask for it."""
        try:
            answer = self._ask("get_object_retention", key)
        except StoreRefused as refused:
            if refused.code not in WITHOUT_LOCKS | NOT_FOUND | NOT_SUPPORTED:
                raise
            return UNLOCKED
        return parse_stated_retention(answer)
