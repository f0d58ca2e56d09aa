"""A scratch prefix in the bucket for the doctor's write tests; deleted on close.

All calls of the store go through a gate. Once the gate is closed, it refuses new calls; once the calls under way have
ended, everything below the prefix is deleted. Nothing outside of the prefix is ever deleted, and no other program
makes such a prefix.
"""

from __future__ import annotations

import io
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Condition, Event
from typing import TYPE_CHECKING, Any, cast

from tasks.archive import AUDIT
from tasks.errors import ArchiverError, TransferStopped
from tasks.s3 import Store, Upload
from tasks.storage_options import AS_THE_BUCKET_HAS_IT

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient

    from tasks.storage_options import StorageOptions

PATIENCE_S = 2.0
FORGOTTEN_AFTER = timedelta(hours=1)
"""Scratch prefixes that are older belong to no running doctor, and are deleted."""
_WRITING = frozenset({"put_object", "create_multipart_upload", "upload_part", "complete_multipart_upload"})
_NAME = re.compile(r"doctor-(?P<begun>\d{8}T\d{6}Z)-[0-9a-f]{8}/")


class ScratchPrefix:
    """Objects and uploads below a prefix of their own.

    Args:
        client: see `tasks.s3.client.new_s3_client`.
        bucket: the bucket's name.
        prefix: the archive's key prefix, without slashes at its ends; may be empty.
        options: how objects are stored.
    """

    def __init__(
        self, client: BaseClient, bucket: str, prefix: str, options: StorageOptions = AS_THE_BUCKET_HAS_IT
    ) -> None:
        self.bucket = bucket
        self.stop = Event()
        self._audit = "/".join(part for part in (prefix, AUDIT) if part)
        self.prefix = f"{self._audit}/doctor-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}/"
        self.client = cast("Any", _Gated(client, self._call))  # like boto3's, it has its methods at run time only
        self.store = Store(self.client, bucket, PATIENCE_S, self.stop, options=options)
        self._own = Store(client, bucket, PATIENCE_S)
        self._changed = Condition()
        self._under_way = 0
        self._written = False
        self._begun: dict[str, Upload] = {}

    def key(self, name: str) -> str:
        """Return the key of an object below the prefix."""
        return self.prefix + name

    def body(self, size: int) -> io.BytesIO:
        """Return so many bytes to be sent; reading fails once the prefix is closed."""
        return _Body(size, self.stop)

    def close(self, within_s: float) -> list[str]:
        """Refuse new calls, delete everything below the prefix, and return the keys that could not be deleted.

        Args:
            within_s: seconds to wait for the calls under way.
        """
        self.stop.set()
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, within_s)
            if not self._written:
                return []
        with suppress(ArchiverError):
            self._clear(self.prefix)
        try:
            return self._left(self.prefix)
        except ArchiverError:
            return [f"s3://{self.bucket}/{self.prefix}"]

    def clear_forgotten(self) -> int:
        """Delete what killed doctors have left, and return the number of deleted objects and uploads."""
        keys = self._left(f"{self._audit}/doctor-")
        forgotten = {prefix for prefix in map(self._forgotten_prefix, keys) if prefix}
        for prefix in forgotten:
            self._clear(prefix)
        return sum(self._forgotten_prefix(key) in forgotten for key in keys)

    def _forgotten_prefix(self, key: str) -> str:
        """Return the scratch prefix that a key lies below, if the prefix was made long ago; else an empty text."""
        named = _NAME.match(key, len(self._audit) + 1)
        if named is None:
            return ""
        begun = datetime.strptime(named["begun"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return key[: named.end()] if datetime.now(UTC) - begun > FORGOTTEN_AFTER else ""

    def _left(self, prefix: str) -> list[str]:
        return [stored.key for stored in self._own.list(prefix)] + [upload.key for upload in self._uploads(prefix)]

    def _clear(self, prefix: str) -> None:
        for upload in self._uploads(prefix):
            self._own.abort(upload)
            self._begun.pop(upload.id, None)
        self._own.delete(stored.key for stored in self._own.list(prefix))

    def _uploads(self, prefix: str) -> list[Upload]:
        """Return the uploads under way below a prefix, and the uploads begun here: some stores list none."""
        listed: list[Upload] = []
        with suppress(ArchiverError):
            listed = list(self._own.uploads(prefix))
        uploads = {upload.id: upload for upload in listed} | self._begun
        return [upload for upload in uploads.values() if upload.key.startswith(prefix)]

    def _call(self, method: str, call: Callable[..., Any], request: dict[str, Any]) -> Any:
        with self._changed:
            if self.stop.is_set():
                raise TransferStopped
            self._under_way += 1
            self._written |= method in _WRITING
        try:
            answer = call(**request)
            if method == "create_multipart_upload" and answer.get("UploadId"):
                self._begun[answer["UploadId"]] = Upload(request["Key"], answer["UploadId"])
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()
        return answer


class _Gated:
    """A client whose calls go through the gate."""

    def __init__(self, client: BaseClient, gate: Callable[[str, Callable[..., Any], dict[str, Any]], Any]) -> None:
        self._client = client
        self._gate = gate
        self.meta = client.meta

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda **request: self._gate(method, getattr(self._client, method), request)


class _Body(io.BytesIO):
    """Bytes whose reading fails once the prefix is closed: a slow connection would go on sending them for long."""

    def __init__(self, size: int, stop: Event) -> None:
        super().__init__(bytes(size))
        self._stop = stop

    def read(self, size: int | None = -1) -> bytes:
        if self._stop.is_set():
            raise OSError("no longer wanted")
        return super().read(size)
