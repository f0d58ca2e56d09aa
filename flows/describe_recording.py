"""What an archived recording's media are: facts, a frame to look at, and what somebody should hear about.

uv run python -m flows.describe_recording ARCHIVE_URL

An example of what may follow an archive: the event `realtimekit.recording.archived` starts it, with its payload as
parameters. It reads only what it needs of the media, and writes only beside the archive.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Annotated, cast

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from prefect.states import Completed
from pydantic import Field

from tasks import cli
from tasks.archive import ArchivedBag, ArchivedFile, open_bag
from tasks.media.description import Description, MediaFile, compare_files, describe_file, render_markdown
from tasks.media.ranged_file import BlockReader
from tasks.media.sandbox import examine_file
from tasks.orchestration.artifacts import Decoration
from tasks.orchestration.server import prefect_at_hand, settings_of
from tasks.orchestration.stages import prepare_process, retried, stage
from tasks.realtimekit import UUID_PATTERN, parse_recording_id
from tasks.s3 import Store, new_s3_client
from tasks.settings import ArchiveSettings, load_settings
from tasks.text import human_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.s3 import StoredObject

BUDGET = 64 * 1024 * 1024
"""Bytes of one media file that may be read; a few MB are usual, whatever its size."""
CONNECTIONS = 2
FINDINGS = "Findings"
"""The name of the state in which a run ends that has something to tell: an automation may listen for it."""


@flow(name="describe-recording", flow_run_name="describe {recording_id}", persist_result=False)
def describe_recording(
    recording_id: Annotated[str, Field(pattern=UUID_PATTERN)],
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
    prepare_process()
    store = Store(new_s3_client(CONNECTIONS), settings.bucket, settings.transfer_patience)

    archived = retried(find_archive, settings)(store, settings.archive_url, archive_url, recording_id)
    lasted_s = duration_s or archived.duration_s or 0.0
    described, poster = retried(examine_media, settings)(store, archived, lasted_s)
    told = _disagreements(archived, files, bytes)
    told += [f"{file.path}: {finding}" for file in described for finding in file.findings]
    description = Description(
        recording_id=recording_id,
        archive_url=archived.url,
        duration_s=lasted_s or None,
        files=tuple(described),
        findings=tuple(told),
    )
    retried(store_description, settings)(store, archived, description)
    _publish(description, poster)
    return _ended(cli.achieved(description))


@stage("find archive")
def find_archive(store: Store, root: str, archive_url: str, recording_id: str) -> ArchivedBag:
    """Look what is archived at the address, and that it is whole."""
    return open_bag(store, root, archive_url, recording_id)


@stage("examine media")
def examine_media(store: Store, archived: ArchivedBag, duration_s: float) -> tuple[list[MediaFile], bytes]:
    """Find out what each file is, each in a process of its own; and make a picture of the first video that has one."""
    log, described, poster = get_run_logger(), list[MediaFile](), b""
    for path, (file, stored) in archived.files.items():
        ranges = BlockReader(_fetcher(store, stored), file.size, BUDGET)
        found = examine_file(ranges, poster=not poster and path.startswith("data/video/"))
        described.append(describe_file(file, found, duration_s))
        poster = poster or found.poster
        log.info("%s: read %s of %s.", path, human_size(ranges.fetched), human_size(file.size))
        for finding in described[-1].findings:
            log.warning("%s: %s.", path, finding)
    return described, poster


@stage("store description")
def store_description(store: Store, archived: ArchivedBag, description: Description) -> None:
    """Store the description beside the archive, which itself is never touched; again in the same place."""
    key = archived.folder.rstrip("/") + ".description.json"
    store.put(key, description.model_dump_json(indent=2).encode() + b"\n", "application/json")
    get_run_logger().info("Described: s3://%s/%s", store.bucket, key)


def _disagreements(archived: ArchivedBag, files: tuple[ArchivedFile, ...], size: int) -> list[str]:
    """Return what the event said that is not so; an archive may have been replaced since."""
    its_files = [file for file, _ in archived.files.values()]
    found = compare_files(files, its_files)
    if size not in (0, its_size := sum(file.size for file in its_files)):
        found.append(f"the event told of {size:,} bytes, the archive holds {its_size:,}")
    return found


def _fetcher(store: Store, stored: StoredObject) -> Callable[[int, int], bytes]:
    return lambda start, stop: b"".join(store.read(stored, start, stop))


def _publish(description: Description, poster: bytes) -> None:
    text, key = render_markdown(description, poster), f"described-{description.recording_id}"
    Decoration(get_run_logger()).attempt(
        "description", lambda: create_markdown_artifact(text, key, "What the recording's media are")
    )


def _ended(description: Description) -> Description:
    """Return what the run is to end in: Completed either way, but by another name if there is something to tell.

    Nothing failed: what could be found out is stored, and to run it again would find the same.
    """
    if not description.findings:
        return description
    message = f"{len(description.findings)} to look at: {'; '.join(description.findings)}"[:1000]
    return cast("Description", Completed(name=FINDINGS, message=message, data=description))


def main(arguments: list[str] | None = None) -> int:
    """Describe one recording from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    parser = argparse.ArgumentParser(prog="python -m flows.describe_recording", description="Describe a recording.")
    parser.add_argument("archive_url", help="where it is archived: s3://bucket/prefix/APP_ID/YYYY/MM/DD/RECORDING_ID/")
    given = parser.parse_args(arguments)

    def describe() -> Description:
        recording_id = parse_recording_id(given.archive_url.rstrip("/").rpartition("/")[2])
        settings_of(ArchiveSettings)  # what is wrong with them is told before Prefect starts anything
        with prefect_at_hand():
            return describe_recording(recording_id, given.archive_url)

    return cli.run(describe)


if __name__ == "__main__":
    sys.exit(main())
