"""The library: a page to find, watch and download archived recordings.

uv run python -m flows.library [--host HOST] [--port PORT]
"""

from __future__ import annotations

import sys
from typing import Annotated

from pydantic import Field

from tasks.arguments import Metavar, parse_for
from tasks.cli import failed
from tasks.errors import ArchiverError, ExtraNotInstalled
from tasks.library import LibrarySettings
from tasks.settings import load_settings

PORT = 8030


def serve(
    *,
    host: Annotated[str, Metavar("HOST")] = "127.0.0.1",
    port: Annotated[int, Field(ge=0, le=65_535), Metavar("PORT")] = PORT,
) -> int:
    """Show the archive as pages for a browser, until told to stop.

    Args:
        host: Address to listen at. Another one than this machine's own needs LIBRARY_PASSWORD or LIBRARY_TRUSTED_PROXY.
        port: Port to listen at. 0 takes any that is free.
    """
    try:
        return _serve(host, port)
    except ArchiverError as error:
        return failed(error)


def _serve(host: str, port: int) -> int:
    for module, package in (("jinja2", "Jinja"), ("zipstream", "zipstream-ng"), ("pyarrow", "pyarrow")):
        try:
            __import__(module)
        except ImportError as error:
            raise ExtraNotInstalled("library", package) from error
    from tasks.library import server  # noqa: PLC0415 - needs these

    return server.serve(load_settings(LibrarySettings), host, port)


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return serve(**parse_for(serve, "python -m flows.library", arguments))


if __name__ == "__main__":
    sys.exit(main())
