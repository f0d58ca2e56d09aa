"""What an archived recording's media are: facts, a frame to look at, and what somebody should hear about.

uv run python -m flows.describe_recording ARCHIVE_URL

An example of what may follow an archive: the event `realtimekit.recording.archived` starts it, with its payload as
parameters. It reads only what it needs of the media, and writes only beside the archive.
"""
# ruff: noqa: E402
# (a command has ended before Prefect is imported, unless it runs as a flow)

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks import cli, command
from tasks.archive import PAYLOAD, ArchivedBag, ArchivedFile, description_key, find_version_for, open_bag, poster_key
from tasks.arguments import parse_for
from tasks.engine import Engine
from tasks.errors import ArchiverError, RecordingIdInvalid, StoreRefused
from tasks.media.description import Description, MediaFile, Poster, compare_files, describe_file, render_markdown
from tasks.media.ranged_file import BlockReader
from tasks.media.sandbox import examine_file
from tasks.realtimekit import RecordingId, parse_recording_id
from tasks.s3 import Store, new_s3_client
from tasks.settings import ArchiveSettings, load_settings
from tasks.text import human_size
from tasks.workers import A_FEW

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.s3 import StoredObject
    from tasks.text import Log

BUDGET = 64 * 1024 * 1024
"""Bytes of one media file that may be read; a few MB are usual, whatever its size."""
CONNECTIONS = A_FEW  # a bag is opened with so many requests at once


def describe(
    engine: Engine,
    recording_id: RecordingId,
    archive_url: str,
    files: tuple[ArchivedFile, ...] = (),
    bytes: Annotated[int, Field(ge=0)] = 0,  # noqa: A002 - so the event calls it
    duration_s: Annotated[float, Field(ge=0)] = 0.0,
) -> Description:
    """Tell what the media of an archived recording are, show a frame, and name what is odd about them.

    Args:
        recording_id: The recording's id, a UUID as the RealtimeKit dashboard shows it.
        archive_url: Where the recording is archived, as the report of its archiving says,
            s3://bucket/prefix/APP_ID/YYYY/MM/DD/RECORDING_ID/. It must be in the archive of the worker's settings.
        files: Filled in by the event that starts a run, to be compared with the archive. Leave it empty.
        bytes: Filled in by the event, to be compared with the archive. Leave it at 0.
        duration_s: How many seconds the recording lasted. Leave it at 0 for what the archive says of it.
    """
    recording_id = parse_recording_id(recording_id)
    settings = load_settings(ArchiveSettings)
    engine.prepare_process()
    run = engine.with_retries(settings)
    client = new_s3_client(CONNECTIONS, keys=settings.store_keys)
    store = Store(client, settings.bucket, settings.transfer_patience, options=settings.storage_options)

    archived = run(find_archive, store, settings.archive_url, archive_url, recording_id)
    lasted_s = duration_s or archived.duration_s or 0.0
    media, poster = run(examine_media, store, archived, lasted_s, engine.log)
    findings = _disagreements(archived, files, bytes)
    findings += [f"{file.path}: {finding}" for file in media for finding in file.findings]
    description = Description(
        recording_id=recording_id,
        archive_url=archived.url,
        duration_s=lasted_s or None,
        files=tuple(media),
        findings=tuple(findings),
        poster=poster.path,
    )
    run(store_description, store, archived, description, poster.jpeg, engine.log)
    publish_description(engine, description, poster.jpeg, _read_summary(store, archived, engine.log))
    return description


def find_archive(store: Store, root: str, archive_url: str, recording_id: str) -> ArchivedBag:
    """Look what is archived at the address, and that it is whole."""
    return open_bag(store, root, archive_url, recording_id)


def examine_media(store: Store, archived: ArchivedBag, duration_s: float, log: Log) -> tuple[list[MediaFile], Poster]:
    """Find out what each file is, each in a process of its own; and make a picture of the first video that has one."""
    described, poster = list[MediaFile](), Poster()
    for path, (file, stored) in archived.files.items():
        if stored.storage_class.is_cold:
            described.append(MediaFile(**file.model_dump()))
            log.info("%s is in %s, so that nobody can read the file now: what is archived, is stated.", path,
                     stored.storage_class)  # fmt: skip
            continue
        ranges = BlockReader(_fetcher(store, stored), file.size, BUDGET)
        probed = examine_file(ranges, poster=not poster.jpeg and path.startswith(f"{PAYLOAD}video/"))
        described.append(describe_file(file, probed, duration_s))
        poster = Poster(path, probed.poster) if probed.poster else poster
        log.info("%s: read %s of %s.", path, human_size(ranges.fetched), human_size(file.size))
        for finding in described[-1].findings:
            log.warning("%s: %s.", path, finding)
    return described, poster


def store_description(store: Store, archived: ArchivedBag, description: Description, poster: bytes, log: Log) -> None:
    """Store description and picture beside the archive, which itself is never touched; again in the same places.

    The picture comes first, so that a description names no picture that is not there.
    """
    key = description_key(archived.folder)
    if poster:
        store.put(poster_key(archived.folder), poster, "image/jpeg")
    else:
        _delete_poster(store, poster_key(archived.folder), log)
    store.put(key, description.model_dump_json(indent=2).encode() + b"\n", "application/json")
    log.info("Described: s3://%s/%s", store.bucket, key)


def _delete_poster(store: Store, key: str, log: Log) -> None:
    """Delete the picture of a video that was replaced by something without one; nothing shows the picture any more."""
    try:
        if store.head(key) is not None:
            store.delete([key])
    except StoreRefused as refused:
        log.warning("A picture of what was archived before stays: %s", refused)


def _disagreements(archived: ArchivedBag, files: tuple[ArchivedFile, ...], size: int) -> list[str]:
    """Return what the event said that is not so; an archive may have been replaced since."""
    archived_files = [file for file, _ in archived.files.values()]
    findings = compare_files(files, archived_files)
    if size not in (0, archived_size := sum(file.size for file in archived_files)):
        findings.append(f"the event told of {size:,} bytes, the archive holds {archived_size:,}")
    return findings


def _fetcher(store: Store, stored: StoredObject) -> Callable[[int, int], bytes]:
    return lambda start, stop: b"".join(store.read(stored, start, stop))


def _read_summary(store: Store, archived: ArchivedBag, log: Log) -> str:
    """Return the archived summary of the recording's meeting; empty without one, or if the store does not give it."""
    try:
        version = find_version_for(store, archived.folder, archived.session_id, log)
        path = version.documents.get("summary") if version else None
        content = version.content(store, path) if version and path else None
    except ArchiverError as error:  # the recording is described all the same
        log.warning("The meeting's summary is not known. %s", error)
        return ""
    return (content or b"").decode(errors="replace")


def publish_description(engine: Engine, description: Description, poster: bytes, summary: str = "") -> None:
    """Leave the description in Prefect's UI."""
    key = f"described-{description.recording_id}"
    engine.publish_markdown(
        "description", key, render_markdown(description, poster, summary), "What the recording's media are"
    )


def _described_at(archive_url: str) -> None:
    """Tell what the media of an archived recording are, show a frame, and name what is odd about them.

    Args:
        archive_url: Where it is archived: s3://bucket/prefix/APP_ID/YYYY/MM/DD/RECORDING_ID/
    """


def main(arguments: list[str] | None = None) -> int:
    """Describe one recording from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    parameters = parse_for(_described_at, "python -m flows.describe_recording", arguments)
    try:
        parameters["recording_id"] = parse_recording_id(parameters["archive_url"].rstrip("/").rpartition("/")[2])
    except RecordingIdInvalid as invalid:
        return cli.failed(invalid)
    return command.run(describe, "flows.describe_recording:describe_recording", ArchiveSettings, parameters)


if __name__ == "__main__":
    sys.exit(main())


from typing import Any

from prefect import State
from prefect.states import Completed

from tasks.orchestration.engine import PrefectEngine
from tasks.orchestration.flow import flow

FINDINGS = "Findings"
"""The name of the state in which a run ends that has something to tell: an automation may listen for it."""


@flow(name="describe-recording", flow_run_name="describe {recording_id}", persist_result=False)
@command.with_signature_of(describe)
def describe_recording(*args: Any, **parameters: Any) -> Description | State[Description]:
    """Describe a recording; the run ends Completed either way, but by another name if there is something to tell.

    Nothing failed: what could be found out is stored, and to run it again would find the same.
    """
    description = cli.achieved(describe(PrefectEngine(), *args, **parameters))
    if not description.findings:
        return description
    message = f"{len(description.findings)} to look at: {'; '.join(description.findings)}"[:1000]
    return Completed(name=FINDINGS, message=message, data=description)
