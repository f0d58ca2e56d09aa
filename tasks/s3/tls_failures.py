"""Tells failures that come from the settings of a connection from a network that is away.

A certificate that is refused, a file of certificates that is none, the wrong protocol and a header that cannot be sent
are the same at the next attempt. A connection that is reset or that ends during the handshake is not.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from botocore.exceptions import HTTPClientError, SSLError

from tasks.environment import NO_TLS

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRONG_PROTOCOL = NO_TLS | {"HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
"""The same of a store, or of a proxy before it."""
_OF_FILES = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_DEEPEST = 8


def find_misconfiguration(error: Exception) -> tuple[str, str] | None:
    """Return a short name and the reason of a failure that the settings are to blame for; None for all others.

    The reason never quotes a header.

    Args:
        error: one of boto3's.
    """
    causes = tuple(_causes(error))
    if isinstance(error, SSLError):
        return _of_tls(causes)
    if type(error) is not HTTPClientError:
        return None
    # The text of the cause quotes the header, or the proxy's address with its password.
    values = [cause for cause in causes if isinstance(cause, ValueError)]
    if any(isinstance(value, UnicodeError) or str(value).startswith("Invalid header") for value in values):
        return "UnusableHeader", "a header of the request cannot be sent"
    return ("UnusableAddress", "an address cannot be used") if values else None


def _of_tls(causes: tuple[BaseException, ...]) -> tuple[str, str] | None:
    for cause in causes:
        # urllib3's own error of that name is no SSLError.
        if isinstance(cause, ssl.SSLCertVerificationError) or type(cause).__name__ == "CertificateError":
            return "CertificateRefused", str(cause)
        if isinstance(cause, _OF_FILES):
            return "CaBundleUnusable", f"the certificates cannot be read: {cause.strerror}"
        if isinstance(cause, ssl.SSLError) and cause.library in {"X509", "PEM"}:
            return "CaBundleUnusable", "the file of certificates holds none"
        if isinstance(cause, ssl.SSLError) and cause.reason in _WRONG_PROTOCOL:
            return "WrongProtocol", f"https is asked for, and the answer is not TLS ({cause.reason})"
    return None


def _causes(error: BaseException | None, depth: int = 0) -> Iterator[BaseException]:
    """Yield an error and what it was made of: botocore and urllib3 hand causes on as arguments."""
    if error is None or depth > _DEEPEST:
        return
    yield error
    handed = [*error.args, getattr(error, "kwargs", {}).get("error")]
    for cause in (error.__cause__, error.__context__, *handed):
        if isinstance(cause, BaseException):
            yield from _causes(cause, depth + 1)
