"""The certificates that Prefect's clients trust: read once, for all clients of a process that trust the same file."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any

from prefect._internal import version_checking
from prefect.client import orchestration


class _Ssl:
    """Python's module `ssl`, as the modules of Prefect's clients see it."""

    def __getattr__(self, name: str) -> Any:
        """Return what the module has."""
        return getattr(ssl, name)

    def create_default_context(self, *given: Any, **named: Any) -> ssl.SSLContext:
        """Return a shared context if nothing but a file of certificates is given, else one of its own."""
        if not given and named.keys() == {"cafile"}:
            return _read(named["cafile"])
        return ssl.create_default_context(*given, **named)


def share_certificates() -> None:
    """Let all clients of Prefect's in this process share the certificates that they trust.

    Prefect makes a client for each of its purposes, five in a command, and reads the file of all trusted certificates
    for each: 20 ms of processor time. Prefect changes a context only if it is to verify nothing, and makes that context
    without a file, so that it is not shared.
    """
    for module in (orchestration, version_checking):
        vars(module)["ssl"] = _Ssl()


@cache
def _read(file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=file)
