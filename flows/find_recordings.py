"""Finds archived recordings in the catalog: by words, time, meeting, person, duration or damage.

uv run python -m flows.find_recordings [TEXT …] [--since DATE] [--until DATE] [--meeting TEXT] [--person TEXT] …
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from tasks import cli
from tasks.arguments import Metavar, Words, parse_for
from tasks.catalog import Dataset, Query, find_rows, json_line, parse_duration, parse_time, require_time, table_line
from tasks.engine import Engine, logging_on_stderr
from tasks.s3 import Store, new_s3_client
from tasks.settings import ArchiveSettings, load_settings

if TYPE_CHECKING:
    from tasks.catalog import Row

CONNECTIONS = 16
HEADINGS = ("recorded (UTC)", "length", "size", "title, meeting or session", "condition", "recording")


def _a_duration(text: str) -> str:
    if text:
        parse_duration(text)
    return text


Text = Annotated[str, Metavar("TEXT")]
Date = Annotated[str, AfterValidator(require_time), Metavar("DATE")]
Duration = Annotated[str, AfterValidator(_a_duration), Metavar("DURATION")]


def query_of(
    words: Annotated[tuple[str, ...], Words("TEXT")] = (),
    *,
    since: Date = "",
    until: Date = "",
    meeting: Text = "",
    session: Text = "",
    person: Text = "",
    app_id: Text = "",
    min_duration: Duration = "",
    max_duration: Duration = "",
    damaged: bool = False,
    findings: bool = False,
) -> Query:
    """Find archived recordings in the catalog. Upper and lower case, accents and parts of words make no difference.

    On a terminal, the result is a table, newest first; else one JSON object a line.

    Args:
        words: Words that all stand somewhere in a recording's title, date, ids, file names, people or findings.
        since: Recorded on that day or later: 2026-11-20, 2026-11 or 2026-11-20T09:30, in UTC.
        until: Recorded on that day or before.
        meeting: Part of the meeting's title or id.
        session: Part of the session's id.
        person: Part of the name or id of who started or stopped the recording, or of a track's file name; or of who
            took part, where the session is archived.
        app_id: The RealtimeKit app.
        min_duration: At least that long: 90 (seconds), 15m, 1h30m.
        max_duration: At most that long.
        damaged: Only what is damaged or unreadable, or was so at the last audit.
        findings: Only what there is something to know about.
    """
    return Query(
        text=" ".join(words),
        since=parse_time(since) if since else None,
        until=parse_time(until, end=True) if until else None,
        meeting=meeting,
        session=session,
        person=person,
        app_id=app_id,
        min_duration_s=parse_duration(min_duration) if min_duration else 0.0,
        max_duration_s=parse_duration(max_duration) if max_duration else float("inf"),
        damaged=damaged,
        findings=findings,
    )


def find(query: Query) -> list[Row]:
    """Return the rows of the catalog that are meant, newest first."""
    settings = load_settings(ArchiveSettings)
    Engine().prepare_process()
    client = new_s3_client(CONNECTIONS, keys=settings.store_keys)
    store = Store(client, settings.bucket, settings.transfer_patience)
    return find_rows(Dataset(store, settings.root), query)


def show(rows: list[Row]) -> None:
    """Print rows: as a table on a terminal, else as JSON, one object a line."""
    if not rows:
        cli.say("No recording in the catalog is like that.")
    elif sys.stdout is not None and sys.stdout.isatty():
        _show_table(rows)
    else:
        cli.print_line("\n".join(map(json_line, rows)))


def _show_table(rows: list[Row]) -> None:
    from rich.console import Console  # noqa: PLC0415 - takes its time, and scripts do without
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text as Plain  # noqa: PLC0415 - what others wrote is no markup

    table = Table(*HEADINGS, box=None, header_style="bold", caption=f"{len(rows)} found", caption_justify="left")
    table.columns[-1].no_wrap = True
    for row in rows:
        table.add_row(*map(Plain, table_line(row)))
    Console().print(table)


def main(arguments: list[str] | None = None) -> int:
    """Find recordings from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    query = query_of(**parse_for(query_of, "python -m flows.find_recordings", arguments))
    try:
        with logging_on_stderr():
            rows = find(query)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is told, and the exit code says so
        return cli.failed(error)
    show(rows)
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
