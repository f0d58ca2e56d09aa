"""Brings archived recordings back, verified, to a folder or another bucket; and makes links to hand to somebody.

uv run python -m flows.restore_recording ID … TO [--overwrite] [--derived] [--no-sessions] [--thaw DAYS] …
uv run python -m flows.restore_recording [--since DATE] [--until DATE] [--meeting TEXT] [--person TEXT] … TO
uv run python -m flows.restore_recording ID … --link 2d [--file PATH …]
"""
# ruff: noqa: E402
# (a command has ended before Prefect is imported, unless it runs as a flow)

from __future__ import annotations

import sys
import time
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from tasks import cli, command
from tasks.archive import parse_folder
from tasks.arguments import Metavar, Words, parse_for, refuse_usage
from tasks.catalog import Dataset, Query, find_rows, parse_time, require_time
from tasks.engine import Engine, logging_on_stderr
from tasks.errors import CatalogMissing, ExtraNotInstalled, NothingSelected, RecordingIdInvalid, RestoreIncomplete
from tasks.realtimekit import RecordingId, parse_recording_id
from tasks.restore import (
    ChosenBag,
    RestoreOptions,
    RestoreReport,
    RestoreSession,
    describe_problems,
    find_recordings,
    id_of,
    make_links,
    parse_lifetime,
    parse_target,
    restore_recordings,
    summarize,
    table_rows,
)
from tasks.s3 import MAX_BODIES, PresignedDownloads, ThawTier, new_s3_client
from tasks.session import SPARE_CONNECTIONS, StoreAccess
from tasks.settings import RestoreSettings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.restore import Link

PROG = "python -m flows.restore_recording"
MOST_DAYS = 365
MOST_MINUTES = 7 * 24 * 60

Date = Annotated[str, AfterValidator(require_time), Metavar("DATE")]
Text = Annotated[str, Metavar("TEXT")]
Days = Annotated[int, Field(ge=0, le=MOST_DAYS), Metavar("DAYS")]
Minutes = Annotated[int, Field(ge=0, le=MOST_MINUTES), Metavar("MINUTES")]
Tier = Annotated[ThawTier, Metavar("TIER")]


def _require_lifetime(text: str) -> str:
    if text:
        parse_lifetime(text)
    return text


def restore(
    engine: Engine,
    to: Annotated[str, Field(min_length=1)],
    recording_ids: tuple[RecordingId, ...] = (),
    *,
    since: Date = "",
    until: Date = "",
    meeting: Text = "",
    session: Text = "",
    person: Text = "",
    app_id: Text = "",
    sessions: bool = True,
    derived: bool = False,
    overwrite: bool = False,
    thaw: Days = 0,
    thaw_tier: Tier = "standard",
    wait_for_thaw: Minutes = 0,
) -> RestoreReport:
    """Bring archived recordings back to a folder or another bucket; each file is verified while it moves.

    What is there and right is not fetched again, so that the same run carries on after any interruption. What is
    damaged or missing in the archive fails the run at its end, once all else is restored.

    Args:
        to: A folder on the machine that the run is on, as an absolute path, or s3://bucket/prefix.
        recording_ids: The recordings' ids. None to select recordings by what follows, with the help of the catalog.
        since: Recorded on that day or later: 2026-11-20, 2026-11 or 2026-11-20T09:30, in UTC.
        until: Recorded on that day or before.
        meeting: Part of the meeting's title or id.
        session: Part of the session's id.
        person: Part of the name or id of who started or stopped the recording, or of a track's file name.
        app_id: The RealtimeKit app.
        sessions: Bring what is archived of the recordings' sessions, too: transcript, chat, summary, participants.
        derived: Bring what was made from the recordings, too: descriptions and captions, which no manifest states.
        overwrite: Replace other files that lie where files of the recordings belong.
        thaw: Ask the store for objects in archived storage classes (GLACIER, DEEP_ARCHIVE), so that they can be read
            for so many days; that costs money. Run again some hours later, or wait.
        thaw_tier: How fast they become readable, usually: standard, in 5 hours (GLACIER) or 12 (DEEP_ARCHIVE); bulk,
            the cheapest, in 12 or 48; expedited, the dearest, in minutes (GLACIER only).
        wait_for_thaw: Wait so many minutes at most for objects that are asked for, by this run or an earlier one, and
            restore them as soon as they are readable.

    Raises:
        NothingSelected: no recording is meant.
        TargetUnusable: nothing can be brought there.
        RestoreIncomplete: something could not be restored; the result is in it.
    """
    query = _query(since=since, until=until, meeting=meeting, session=session, person=person, app_id=app_id)
    if bool(recording_ids) == (query != Query()):
        raise NothingSelected("Recordings are named either by ids or by conditions, and by one of both")
    parse_target(to)
    settings = load_settings(RestoreSettings)
    engine.prepare_process()
    at_work = _open_session(settings, engine)
    run = engine.with_retries(settings)
    chosen = run(choose_recordings, at_work, tuple(map(parse_recording_id, recording_ids)), query)
    options = RestoreOptions(
        sessions=sessions,
        derived=derived,
        overwrite=overwrite,
        thaw_days=thaw,
        thaw_tier=thaw_tier,
        wait_until=time.monotonic() + 60 * wait_for_thaw,
    )
    result = run(restore_recordings, at_work, chosen, to, options)
    publish_table(engine, result)
    if problems := describe_problems(result):
        error = RestoreIncomplete(problems)
        error.result = result
        raise error
    return result


def _query(*, since: str, until: str, **texts: str) -> Query:
    times = {"since": parse_time(since) if since else None, "until": parse_time(until, end=True) if until else None}
    return Query(**times, **texts)  # type: ignore[arg-type]


def _open_session(settings: RestoreSettings, engine: Engine) -> RestoreSession:
    client = new_s3_client(settings.transfer_concurrency + SPARE_CONNECTIONS, keys=settings.store_keys)
    return RestoreSession(settings, StoreAccess(settings, client, bodies=MAX_BODIES), engine.log)


def choose_recordings(session: RestoreSession, recording_ids: Sequence[str], query: Query) -> list[ChosenBag]:
    """Return the bags of the recordings that are meant, by their ids or by a query of the catalog."""
    bucket, root = session.store_access.store(Event()), session.settings.root
    dataset = Dataset(bucket, root)
    if not recording_ids:
        folders = list(_in_catalog(session, dataset, query))
        if not folders:
            raise NothingSelected("No recording in the catalog is like that")
        return [ChosenBag("recording", id_of(folder), folder) for folder in folders]
    try:
        known = tuple(_in_catalog(session, dataset, Query()))
    except (CatalogMissing, ExtraNotInstalled):
        known = ()
    return find_recordings(bucket, root, recording_ids, known, session.log)


def _in_catalog(session: RestoreSession, dataset: Dataset, query: Query) -> Iterator[str]:
    """Yield the folders of the recordings that a query finds, below the archive's root."""
    root = f"{session.settings.archive_url}/"
    for row in find_rows(dataset, query):
        folder = (row["archive_url"] or "").removeprefix(root)
        if parse_folder(folder):
            yield folder


def publish_table(engine: Engine, result: RestoreReport) -> None:
    """Log what was restored, and leave a table in Prefect's UI."""
    description = f"{summarize(result)}."
    engine.log.info("%s", description)
    engine.publish_table("restore-recording", table_rows(result), description)


def links_to(recording_ids: Sequence[str], lifetime_s: int, paths: Sequence[str]) -> list[Link]:
    """Return links to files of recordings: a command's alone, as nothing that Prefect keeps may hold one."""
    settings = load_settings(RestoreSettings)
    engine = Engine()
    engine.prepare_process()
    session = _open_session(settings, engine)
    bucket = session.store_access.store(Event())
    signer = PresignedDownloads(session.store_access.client, bucket.bucket)
    chosen = choose_recordings(session, recording_ids, Query())
    return [link for bag in chosen for link in make_links(bucket, signer, settings.root, bag, paths, lifetime_s)]


def _from_terminal(
    words: Annotated[tuple[str, ...], Words("ID … TO")] = (),
    *,
    since: Date = "",
    until: Date = "",
    meeting: Text = "",
    session: Text = "",
    person: Text = "",
    app_id: Text = "",
    sessions: bool = True,
    derived: bool = False,
    overwrite: bool = False,
    thaw: Days = 0,
    thaw_tier: Tier = "standard",
    wait_for_thaw: Minutes = 0,
    link: Annotated[str, AfterValidator(_require_lifetime), Metavar("TIME")] = "",
    files: tuple[Annotated[str, Metavar("PATH")], ...] = (),
) -> None:
    """Bring archived recordings back to a folder or another bucket; each file is verified while it moves.

    What is there and right is not fetched again: the same command carries on after any interruption.

    Args:
        words: The recordings' ids, and then a folder or s3://bucket/prefix. Without ids, options select recordings,
            with the help of the catalog.
        since: Recorded on that day or later: 2026-11-20, 2026-11 or 2026-11-20T09:30, in UTC.
        until: Recorded on that day or before.
        meeting: Part of the meeting's title or id.
        session: Part of the session's id.
        person: Part of the name or id of who started or stopped the recording, or of a track's file name.
        app_id: The RealtimeKit app.
        sessions: Bring what is archived of the recordings' sessions, too: transcript, chat, summary, participants.
        derived: Bring what was made from the recordings, too: descriptions and captions, which no manifest states.
        overwrite: Replace other files that lie where files of the recordings belong.
        thaw: Ask the store for objects in archived storage classes (GLACIER, DEEP_ARCHIVE), so that they can be read
            for so many days; that costs money. Run again some hours later, or wait.
        thaw_tier: How fast they become readable, usually: standard, in 5 hours (GLACIER) or 12 (DEEP_ARCHIVE); bulk,
            the cheapest, in 12 or 48; expedited, the dearest, in minutes (GLACIER only).
        wait_for_thaw: Wait so many minutes at most for objects that are asked for, by this run or an earlier one, and
            restore them as soon as they are readable.
        link: Restore nothing: print links (presigned URLs) to files of the recordings, a JSON object a line. They end
            after that time: 2d, 12h, 30m; 7d at most. Whoever has such a link reads the file until then.
        files: With --link: the path within the archive, such as data/video/meeting.mp4. None for all media files.
    """


def main(arguments: list[str] | None = None) -> int:
    """Restore from a terminal, or print links.

    Args:
        arguments: as on the command line, without the program's name.
    """
    given = parse_for(_from_terminal, PROG, arguments)
    words, link, files = (given.pop(name) for name in ("words", "link", "files"))
    has_conditions = any(given[name] for name in ("since", "until", "meeting", "session", "person", "app_id"))
    ids = words if link else words[:-1]
    if files and not link:
        refuse_usage(PROG, "--file goes with --link")
    if link and has_conditions:
        refuse_usage(PROG, "--link takes the ids of recordings, and no conditions")
    if not words or bool(ids) == has_conditions:
        refuse_usage(PROG, "name recordings by ids, or select them by options such as --since; then comes where to")
    try:
        ids = tuple(map(parse_recording_id, ids))
    except RecordingIdInvalid as invalid:
        return cli.failed(invalid)
    if link:
        return _print_links(ids, parse_lifetime(link), files)
    parameters: dict[str, Any] = {"to": words[-1], "recording_ids": ids, **given}
    return command.run(restore, "flows.restore_recording:restore_recording", RestoreSettings, parameters)


def _print_links(recording_ids: Sequence[str], lifetime_s: int, paths: Sequence[str]) -> int:
    """Print links on stdout, and nowhere else."""
    try:
        with logging_on_stderr():
            links = links_to(recording_ids, lifetime_s, paths)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is told, and the exit code says so
        return cli.failed(error)
    for link in links:
        cli.print_line(cli.in_ascii(link))
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())


from tasks.orchestration.engine import PrefectEngine
from tasks.orchestration.flow import flow


@flow(name="restore-recording", flow_run_name="restore to {to}", persist_result=False)
@command.with_signature_of(restore)
def restore_recording(*args: Any, **parameters: Any) -> RestoreReport:
    """Restore recordings."""
    return cli.achieved(restore(PrefectEngine(), *args, **parameters))
