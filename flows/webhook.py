"""RealtimeKit's webhook: a signed `recording.statusUpdate` becomes a run of archive-recording/on-demand.

uv run python -m flows.webhook [--host HOST] [--port PORT]
"""

from __future__ import annotations

import sys
from typing import Annotated

from pydantic import Field

from tasks.arguments import Metavar, parse_for
from tasks.cli import failed
from tasks.errors import SettingsInvalid


def serve(
    *,
    host: Annotated[str, Metavar("HOST")] = "127.0.0.1",
    port: Annotated[int, Field(ge=0, le=65_535), Metavar("PORT")] = 8020,
) -> int:
    """Take RealtimeKit's webhook, until told to stop.

    Args:
        host: Address to listen at.
        port: Port to listen at. 0 takes any that is free.
    """
    from tasks.orchestration import webhook_receiver  # noqa: PLC0415 - imports Prefect, which takes seconds

    try:
        return webhook_receiver.serve(host, port)
    except SettingsInvalid as invalid:
        return failed(invalid)


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop.

    Args:
        arguments: as on the command line, without the program's name.
    """
    return serve(**parse_for(serve, "python -m flows.webhook", arguments))


if __name__ == "__main__":
    sys.exit(main())
