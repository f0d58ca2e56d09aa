"""Calls of a store: retries while patience lasts, throttling that the store asks for, and translation of errors.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the stores that were tried.
"""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tasks.errors import ArchiverError, StoredWrong, StoreRefused, StoreUnavailable, UploadVanished
from tasks.retry import Patience
from tasks.s3.addressing import require_no_bucket
from tasks.s3.capabilities import StoreCapabilities
from tasks.s3.error_codes import (
    CALL_FAILURES,
    is_answer,
    is_foreign,
    is_throttling,
    may_pass_next_time,
    translate_error,
)
from tasks.s3.throttle import Throttle
from tasks.storage_options import AS_THE_BUCKET_HAS_IT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.client import BaseClient

    from tasks.storage_options import StorageOptions

FIRST_CONTACT_S = 15.0
"""Seconds of patience until the store has answered once: a wrong endpoint should be reported at once."""
DIGEST_ATTEMPTS = 4
MAX_BODIES = 64
"""Requests with a body at the same time, until the store asks for fewer."""


class Calls:
    """Calls of a store for one bucket.

    Args:
        client: see `tasks.s3.client.new_s3_client`.
        bucket: its name.
        patience_s: seconds of failures without any success, after which the last failure is raised.
        stop: set to end all waiting at once.
        throttle: shared by all threads that call the store; None if this is the only caller.
        capabilities: of the store, shared in the same way.
        options: how objects are stored.
    """

    def __init__(
        self,
        client: BaseClient,
        bucket: str,
        patience_s: float,
        stop: Event | None = None,
        throttle: Throttle | None = None,
        capabilities: StoreCapabilities | None = None,
        options: StorageOptions = AS_THE_BUCKET_HAS_IT,
    ) -> None:
        self._s3 = client
        self._throttle = throttle or Throttle(MAX_BODIES)
        self._capabilities = capabilities or StoreCapabilities()
        self.bucket = bucket
        self.options = options
        self._stop = stop or Event()
        self._patience = Patience(patience_s, self._stop)
        self._patience_s = patience_s

    def _at(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}".rstrip("/")

    def _pages(
        self, method: str, key: str | None, places: Mapping[str, str], **request: object
    ) -> Iterator[dict[str, Any]]:
        """Yield a listing's pages.

        Args:
            places: names of the markers in a request, with the names of the next markers in a page.

        Raises:
            StoreUnavailable: the store says that the listing goes on, but gives no new marker.
        """
        after: dict[str, Any] = {}
        while True:
            page = self._ask(method, key, **request, **after)
            yield page
            if not page.get("IsTruncated"):
                return
            before, after = after, {name: page[field] for name, field in places.items() if page.get(field)}
            if after in ({}, before):
                raise StoreUnavailable(method, self._at(key or ""), "the listing goes on, but never further")

    def _ask(self, method: str, key: str | None, **request: object) -> dict[str, Any]:
        return self._call(method, key, request, progress=True)

    def _call(self, method: str, key: str | None, request: Mapping[str, object], *, progress: bool) -> dict[str, Any]:
        """Call boto3 until it succeeds, fails for good, or patience ends.

        Args:
            progress: whether success refills patience; if the answer has a body to read, only its bytes do.
        """
        if not self._capabilities.answered:
            require_no_bucket(self._s3.meta.endpoint_url, self.bucket, self._s3.list_objects_v2)  # type: ignore[attr-defined]
        named = {"Key": key} if key is not None else {}
        failures = bad_digests = 0
        while True:
            self._patience.check()
            came = self._attempt(method, key, {"Bucket": self.bucket, **named, **request})
            if not isinstance(came, ArchiverError):
                if progress:
                    self._patience.progressed()
                return came
            failures += 1
            bad_digests += isinstance(came, StoredWrong)
            if isinstance(came, UploadVanished) or bad_digests >= DIGEST_ATTEMPTS or not self._again(came, failures):
                if not came.retryable and self._capabilities.answered:
                    self._patience.progressed()  # "not found" is an answer like any other
                raise came
            self._pause(came, failures)

    def _attempt(self, method: str, key: str | None, request: Mapping[str, object]) -> dict[str, Any] | ArchiverError:
        """Call boto3 once, and return the answer or the translated failure."""
        try:
            answer = self._send(method, request)
        except CALL_FAILURES as error:
            failure = translate_error(error, method, self._at(key or ""))
            # A refusal for renewable credentials may be final: it does not count as the first answer of a good store.
            self._capabilities.answered |= is_answer(error) and not (
                isinstance(failure, StoreRefused) and failure.may_pass
            )
            return failure
        if is_foreign(method, answer):
            if "Body" in answer:
                answer["Body"].close()
            return StoreUnavailable(method, self._at(key or ""), "the answer is not that of an S3 store")
        self._capabilities.answered = True
        return answer

    def _again(self, failure: ArchiverError, failures: int) -> bool:
        """Tell whether to try again after this number of failures in a row."""
        if failure.retryable or (failures == 1 and may_pass_next_time(failure)):
            return True
        # Before the first answer of a run, wrong settings are the likely reason.
        return isinstance(failure, StoreRefused) and failure.may_pass and self._capabilities.answered

    def _pause(self, failure: ArchiverError, failures: int) -> None:
        """Wait before the next attempt, or raise `failure` if patience would end before it."""
        longest = self._patience_s if self._capabilities.answered else FIRST_CONTACT_S
        self._patience.seconds = min(self._patience_s, longest)
        self._patience.pause(failure, failures)

    def _send(self, method: str, request: Mapping[str, object]) -> dict[str, Any]:
        call: Callable[..., dict[str, Any]] = getattr(self._s3, method)
        if "Body" not in request:
            return call(**request)
        with self._throttle.turn(self._stop) as turn:
            try:
                answer = call(**request)
            except ClientError as error:
                if is_throttling(error):
                    turn.refused()
                raise
            turn.taken()
            return answer
