"""Failures of boto3 that the settings of a connection cause, told apart from a network that does not answer.

A TLS failure that `tasks.tls` knows, and a header that cannot be sent, are the same at the next attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import HTTPClientError, SSLError

from tasks.tls import classify_tls_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 8


def find_misconfiguration(error: Exception) -> tuple[str, str] | None:
    """Return a code and the reason of a failure that wrong settings cause; None for any other failure.

    The reason never quotes a header.

    Args:
        error: of boto3.
    """
    causes = tuple(_causes(error))
    if isinstance(error, SSLError):
        kind, reason = next((failure for cause in causes if (failure := classify_tls_failure(cause))), (None, ""))
        return (kind.value, reason) if kind else None
    if type(error) is not HTTPClientError:
        return None
    # The text of the cause is not shown: it quotes the header, or the proxy's address with the password.
    values = [cause for cause in causes if isinstance(cause, ValueError)]
    if any(isinstance(value, UnicodeError) or str(value).startswith("Invalid header") for value in values):
        return "UnusableHeader", "a header of the request cannot be sent"
    return ("UnusableAddress", "an address cannot be used") if values else None


def _causes(error: BaseException | None, depth: int = 0) -> Iterator[BaseException]:
    """Yield an error and its causes, which botocore and urllib3 also pass on as arguments."""
    if error is None or depth > _DEEPEST:
        return
    yield error
    handed = [*error.args, getattr(error, "kwargs", {}).get("error")]
    for cause in (error.__cause__, error.__context__, *handed):
        if isinstance(cause, BaseException):
            yield from _causes(cause, depth + 1)
