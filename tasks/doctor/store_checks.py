"""Checks of a store: whether recordings can be stored there, found again, read and deleted.

Each is really tried, in a scratch of the bucket.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError

from tasks.doctor.runner import Check, failed, ok, warning
from tasks.doctor.storage_checks import StorageChecks
from tasks.doctor.store_behaviour import BehaviourChecks
from tasks.doctor.trials import Trials, describe_refusal
from tasks.errors import ArchiverError, StoreRefused, StoreUnavailable, UploadVanished
from tasks.s3 import (
    bare_etag,
    crc64,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from botocore.client import BaseClient

    from tasks.doctor.clock_skew import ClockSkew
    from tasks.doctor.runner import CheckResult
    from tasks.doctor.scratch_prefix import ScratchPrefix
    from tasks.secret_sources import StoreKeys

GROUP = "Store"
CREDENTIALS, BUCKET, WRITE, DELETE = "credentials", "bucket", "write", "delete"
ANSWER_TIMEOUT_S = 4.0
_BODY = b"what is sent"
_CONTENT_TYPE = "application/octet-stream"
_RIGHTS = "Give the credentials the right to list, read, write and delete in the bucket, and to abort uploads."


def note_dates(client: BaseClient, clocks: ClockSkew) -> None:
    """Have what the store's answers say about the time noted, refusals as well."""

    def note_request(context: dict[str, Any], **_: object) -> None:
        context["sent_at"] = time.time()

    def note_response(http_response: Any, context: dict[str, Any], **_: object) -> None:
        clocks.note("the store", context["sent_at"], time.time(), http_response.headers.get("Date"))

    client.meta.events.register("before-call.s3", note_request)
    client.meta.events.register("after-call.s3", note_response)


class StoreChecks:
    """What to look at on the store's side.

    Args:
        scratch: where it is tried.
        archive_prefix: of what is archived, with a slash at its end: it must be allowed to be listed, too.
        endpoint: the store's address, for people.
        register: given the credentials that are in use, which are nowhere to be shown.
        keys: from files or Prefect blocks; None if boto3 finds them by itself.
        profile: of AWS's configuration, if boto3 is to look for them there.
    """

    def __init__(
        self,
        scratch: ScratchPrefix,
        archive_prefix: str,
        endpoint: str,
        register: Callable[[Iterable[str | None]], None],
        keys: StoreKeys | None = None,
        profile: str = "",
    ) -> None:
        self._scratch = scratch
        self._store = scratch.store
        self._archive_prefix = archive_prefix
        self._endpoint = endpoint
        self._register = register
        self._keys = keys
        self._profile = profile

    def checks(self) -> list[Check]:
        """Return what there is to look at."""
        trials = Trials(self._scratch)
        return [
            Check(GROUP, CREDENTIALS, self.check_credentials),
            Check(GROUP, BUCKET, self.check_bucket, (CREDENTIALS,)),
            Check(GROUP, WRITE, self.check_write, (BUCKET,)),
            Check(GROUP, "read", self.check_read, (WRITE,)),
            Check(GROUP, DELETE, self.check_delete, (WRITE,), after=("read",)),
            Check(GROUP, "multipart", self.check_multipart, (WRITE,)),
            *BehaviourChecks(GROUP, trials).checks(WRITE),
            *StorageChecks(GROUP, trials).checks(BUCKET),
        ]

    def check_credentials(self) -> CheckResult:
        """Look whether there are credentials: those of the settings, or what boto3 finds, and where."""
        if self._keys is not None:
            self._register([self._keys.access_key, self._keys.secret_key, self._keys.token])
            return ok(f"found ({self._keys.origin}), for {self._endpoint}")
        try:
            credentials = boto3.Session(profile_name=self._profile or None).get_credentials()
            keys = credentials.get_frozen_credentials() if credentials else None
        except BotoCoreError as error:
            return failed(
                f"boto3 cannot get any: {type(error).__name__}", "Check AWS_PROFILE and the other AWS_* settings."
            )
        if credentials is None or keys is None:
            return failed("boto3 finds none", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.")
        self._register([keys.access_key, keys.secret_key, keys.token])
        return ok(f"found ({credentials.method}), for {self._endpoint}")

    def check_bucket(self) -> CheckResult:
        """Look whether the bucket is there, and may be listed."""
        began = time.monotonic()
        next(iter(self._store.list(self._scratch.prefix)), None)
        next(iter(self._store.list(self._archive_prefix)), None)
        return ok(f"s3://{self._scratch.bucket} is there and may be listed, in {time.monotonic() - began:.1f} s")

    def check_write(self) -> CheckResult:
        """Look whether an object can be stored, and is what the store says it is."""
        key = self._scratch.key("object")
        try:
            self._store.put(key, _BODY, _CONTENT_TYPE, {"doctor": "1"})
            stored = self._store.verify(key, len(_BODY), crc64(_BODY))
        except (StoreRefused, StoreUnavailable) as error:
            advice = error.hint if isinstance(error, StoreRefused) else _RIGHTS
            if isinstance(error, StoreRefused) and self._store.options.request:
                advice = "See which of the options of how it is stored is refused."
            return failed(f"the bucket may be listed, but not written: {describe_refusal(error)}", advice)
        if stored.content_type != _CONTENT_TYPE or stored.metadata.get("doctor") != "1":
            return warning("an object keeps neither type nor metadata", "Go by the bags' manifests: they say it all.")
        finding = "an object is stored, with its type and metadata"
        if not self._store.reports_checksums:
            finding = f"{finding}; that its checksum is asked for is refused, so it is left out"
        return ok(finding)

    def check_read(self) -> CheckResult:
        """Look whether an object comes back, whole and in part."""
        key = self._scratch.key("object")
        whole, stored = self._store.get(key), self._store.head(key)
        part = b"".join(self._store.read(stored, 1, 5)) if stored else b""
        if (whole, part) != (_BODY, _BODY[1:5]):
            return failed("what comes back is not what was stored", "Do not archive there.")
        return ok("it comes back, whole and in ranges")

    def check_delete(self) -> CheckResult:
        """Look whether an object can be deleted."""
        key = self._scratch.key("object")
        try:
            self._store.delete([key])
        except StoreRefused as refused:
            finding = (
                f"{describe_refusal(refused)}: recordings are archived, but none can be archived again with --overwrite"
            )
            return warning(finding, f"If that is not on purpose: {_RIGHTS} Delete {key} yourself.")
        except ArchiverError as error:
            return failed(describe_refusal(error), f"{_RIGHTS} Delete {key} yourself.")
        if self._store.head(key) is not None:
            return failed("what was deleted is still there", _RIGHTS)
        with suppress(ArchiverError):
            if forgotten := self._scratch.clear_forgotten():
                return ok(
                    f"done, and it is gone; and so is what a checkup that was killed had left: {forgotten} objects"
                )
        return ok("done, and it is gone")

    def check_multipart(self) -> CheckResult:
        """Look whether a large object can be stored, found again half-done, and given up."""
        store, key = self._store, self._scratch.key("multipart")
        upload = store.begin_upload(key, _CONTENT_TYPE, {})
        part = store.put_part(upload, 1, _BODY)
        listed = store.parts(upload).get(1)
        if listed is None or (listed.size, bare_etag(listed.etag)) != (len(_BODY), bare_etag(part.etag)):
            return failed("ListParts does not show a part that was stored", "Interrupted runs could not be carried on.")
        listing = " and ListMultipartUploads" if store.list_uploads_if_supported(key) else ""
        store.complete(upload, [part])
        given_up = store.begin_upload(key, _CONTENT_TYPE, {})
        store.put_part(given_up, 1, _BODY)
        store.abort(given_up)
        try:
            store.parts(given_up)
        except UploadVanished:
            return ok(f"begun, found by ListParts{listing}, completed, aborted: interrupted runs are carried on")
        return warning(
            "an upload that was aborted is still there", "Give the bucket a lifecycle rule that aborts uploads."
        )
