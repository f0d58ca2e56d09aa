"""Errors of what a run needs before it can begin: settings, certificates, Prefect."""

from __future__ import annotations

from tasks.errors.base import FinalError, RetryableError


class SettingsInvalid(FinalError):
    """Settings are missing or malformed; lists every problem at once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    def _message(self) -> str:
        listed = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"The settings are not usable (environment or .env file):\n{listed}"


class ExtraNotInstalled(FinalError):
    """An optional part of this project is needed, and not installed."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(extra, package)
        self.extra, self.package = extra, package

    def _message(self) -> str:
        return f"This needs {self.package}, which cannot be loaded. Install it: uv sync --extra {self.extra}"


class ConnectionInsecure(FinalError):
    """A server, or a proxy before it, has no certificate that can be verified, or does not speak TLS at all."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(server, reason)
        self.server, self.reason = server, reason

    def _message(self) -> str:
        return (
            f"{self.server}: the https connection cannot be trusted: {self.reason}. If a proxy or the server has a "
            "certificate of your own authority, let SSL_CERT_FILE name a file with that and all others that are "
            "trusted (PEM); else check the URL, its port, and this machine's clock."
        )


class PrefectRefused(FinalError):
    """Prefect's server, or Cloud, does not take our credentials: nothing has begun yet."""

    def __init__(self, server: str, status: int) -> None:
        super().__init__(server, status)
        self.server, self.status = server, status

    def _message(self) -> str:
        return (
            f"Prefect's server at {self.server} refuses these credentials (HTTP {self.status}). Correct "
            "PREFECT_API_AUTH_STRING for a server of your own, or PREFECT_API_KEY and PREFECT_API_URL for Prefect "
            "Cloud: `prefect cloud login` sets both."
        )


class PrefectUnavailable(RetryableError):
    """Prefect's server does not answer: nothing has begun yet."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(server, reason)
        self.server, self.reason = server, reason

    def _message(self) -> str:
        return (
            f"Prefect's server at {self.server} does not answer ({self.reason}). Start it, or correct PREFECT_API_URL; "
            "without that setting, the command runs without Prefect."
        )


class NotReady(FinalError):
    """A checkup found what will keep recordings from arriving."""

    def __init__(self, findings: tuple[str, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def _message(self) -> str:
        return f"Recordings will not arrive from here: {' '.join(self.findings)}"
