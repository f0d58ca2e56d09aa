"""Requests to a store that are tried in a scratch of its bucket: a refusal is an answer."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from tasks.errors import ArchiverError, StoreRefused, StoreUnavailable
from tasks.retry import backoff
from tasks.s3 import CALL_FAILURES, translate_error

if TYPE_CHECKING:
    from tasks.doctor.scratch_prefix import ScratchPrefix

ATTEMPTS = 2
Answer: TypeAlias = dict[str, Any] | ArchiverError
"""What boto3 returns, or why the store does not do it."""
_MAKING = frozenset({"put_object", "create_multipart_upload"})


class Trials:
    """Calls boto3 for objects of a scratch.

    Args:
        scratch: where it is tried.
    """

    def __init__(self, scratch: ScratchPrefix) -> None:
        self.scratch = scratch

    def make(self, method: str, name: str, **request: object) -> Answer:
        """Send a request with the options that the policy of a bucket may demand; see `send`."""
        options = self.scratch.store.options.request if method in _MAKING else {}
        return self.send(method, name, **options, **request)

    def send(self, method: str, name: str, **request: object) -> Answer:
        """Send a request as it is, and return the answer or the refusal.

        Args:
            method: of boto3's client.
            name: of the object in the scratch.
            request: the method's other parameters.

        Raises:
            StoreUnavailable: the store is away, which is no answer.
        """
        scratch = self.scratch
        key = scratch.key(name)
        for attempt in count(1):
            try:
                answer: dict[str, Any] = getattr(scratch.client, method)(Bucket=scratch.bucket, Key=key, **request)
            except CALL_FAILURES as error:
                failure = translate_error(error, method, f"s3://{scratch.bucket}/{key}")
            else:
                return answer
            if not isinstance(failure, StoreUnavailable):
                return failure
            if attempt == ATTEMPTS:
                raise failure
            scratch.stop.wait(backoff(attempt))
        raise AssertionError  # it counts for ever


def require_answer(answer: Answer) -> dict[str, Any]:
    """Return an answer that is no refusal.

    Raises:
        ArchiverError: the store has refused the request.
    """
    if isinstance(answer, ArchiverError):
        raise answer
    return answer


def describe_refusal(error: ArchiverError) -> str:
    """Return what the store said, without the advice that is meant for a run."""
    if isinstance(error, StoreRefused):
        return f"{error.code}, {error.message}"
    return error.reason if isinstance(error, StoreUnavailable) else str(error)
