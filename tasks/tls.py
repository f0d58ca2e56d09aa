"""TLS failures that no new attempt changes: a certificate that is refused, unusable CA files, a peer without TLS.

A connection that is reset, or that ends during the handshake, is none of these: the next attempt may succeed.
"""

from __future__ import annotations

import ssl
from enum import StrEnum

_WITHOUT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})
"""Reasons that OpenSSL's versions give for an answer that is not TLS."""
_PERHAPS_WITHOUT_TLS = frozenset({"HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
"""Reasons for an answer that is not TLS at the beginning of a connection; later, a damaged record has them too."""
_FILE_ERRORS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


class TlsFailure(StrEnum):
    """The kinds of failure; the values are the codes that people see."""

    CERTIFICATE_REFUSED = "CertificateRefused"
    CA_BUNDLE_UNUSABLE = "CaBundleUnusable"
    WRONG_PROTOCOL = "WrongProtocol"


def classify_tls_failure(cause: BaseException) -> tuple[TlsFailure, str] | None:
    """Return the kind and the reason of a failure to connect; None if a new attempt may succeed.

    Args:
        cause: a single exception; its own causes are not looked at.
    """
    # urllib3's CertificateError is no SSLError, and this module does not depend on urllib3.
    if isinstance(cause, ssl.SSLCertVerificationError) or type(cause).__name__ == "CertificateError":
        return TlsFailure.CERTIFICATE_REFUSED, str(cause)
    if isinstance(cause, _FILE_ERRORS):
        return TlsFailure.CA_BUNDLE_UNUSABLE, f"the certificates cannot be read: {cause.strerror}"
    if not isinstance(cause, ssl.SSLError):
        return None
    if cause.library in {"X509", "PEM"}:
        return TlsFailure.CA_BUNDLE_UNUSABLE, "the file of certificates holds none"
    if cause.reason in _WITHOUT_TLS | _PERHAPS_WITHOUT_TLS:
        return TlsFailure.WRONG_PROTOCOL, f"https is asked for, and the answer is not TLS ({cause.reason})"
    return None


def explain_distrust(error: BaseException) -> str:
    """Return why a peer cannot be trusted, which no new attempt changes; empty if that is not why a request failed.

    Args:
        error: of a library; the TLS library's own error is among its causes.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({cause.verify_message})"
    # Of a connection that was used before: a damaged record is worth another attempt.
    return "it does not speak TLS" if cause is not None and cause.reason in _WITHOUT_TLS else ""
