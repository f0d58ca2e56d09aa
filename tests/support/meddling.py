"""Hands between a run and its real store: calls that fail, answers that are lost, things that happen in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ConnectionClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

WRITES = ("put_", "delete_", "create_", "upload_", "complete_", "abort_")


class Meddled:
    """A boto3 client whose calls go through somebody's hands.

    Args:
        client: the real one.
        meddle: given a method's name, its request, and what makes the real call; what it returns is the answer.
    """

    def __init__(self, client: Any, meddle: Callable[[str, dict[str, Any], Callable[[], Any]], Any]) -> None:
        self._client = client
        self._meddle = meddle
        self.meta = client.meta

    def __getattr__(self, method: str) -> Callable[..., Any]:
        real = getattr(self._client, method)
        return lambda **request: self._meddle(method, request, lambda: real(**request))


def refusal(code: str, status: int, message: str = "no") -> ClientError:
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "AnyOperation")  # type: ignore[arg-type]


def once(method: str, action: Callable[[Callable[[], Any]], Any]) -> Callable[..., Any]:
    """Let one call of a method go through `action`, given the real call, and all others pass."""
    done: list[str] = []

    def meddle(name: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if name != method or done:
            return send()
        done.append(name)
        return action(send)

    return meddle


def losing_the_answer(send: Callable[[], Any]) -> Any:
    send()
    raise ConnectionClosedError(endpoint_url="http://store/bucket/key?uploadId=secret")


def raising(error: Exception) -> Callable[[Callable[[], Any]], Any]:
    def action(_send: Callable[[], Any]) -> Any:
        raise error

    return action


class Failing:
    """Lets one call to the store fail, of those that change something: a read that fails leaves the same behind."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.calls: list[str] = []

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Fail if it is the turn."""
        if method.startswith(WRITES):
            self.calls.append(f"{method} {request['Key']}")
            if len(self.calls) == self._number:
                raise refusal("AccessDenied", 403)
        return send()

    @property
    def happened(self) -> bool:
        """Tell whether there was such a call."""
        return len(self.calls) >= self._number

    @property
    def failed_to_clear(self) -> bool:
        """Tell whether the call was one that clears away what is no part of a bag, so that it is no failure of it."""
        call = self.calls[self._number - 1] if self.happened else ""
        return call.startswith("abort_") or (call.startswith("delete_") and "/unfinished/" in call)

    def had(self, method: str, name: str) -> bool:
        """Tell whether there was such a call before the failure."""
        return any(call.startswith(method) and call.endswith(name) for call in self.calls[: self._number - 1])


class Between:
    """Lets something happen right before one write to the store, when all that led to the write is decided."""

    def __init__(self, number: int, what: Callable[[], Any]) -> None:
        self._number = number
        self._what = what
        self.calls: list[str] = []

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Let it happen if it is the turn."""
        if method.startswith(WRITES):
            self.calls.append(f"{method} {request['Key']}")
            if len(self.calls) == self._number:
                self._what()
        return send()

    @property
    def happened(self) -> bool:
        """Tell whether there was such a write."""
        return len(self.calls) >= self._number
