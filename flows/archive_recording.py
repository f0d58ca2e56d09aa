"""One recording, from its id to a verified, committed archive.

uv run python -m flows.archive_recording RECORDING_ID [--wait-timeout SECONDS] [--overwrite] [--accept-size] [--partial]
"""

from __future__ import annotations

import argparse
import sys
from typing import Annotated, cast

from prefect import flow
from pydantic import Field

from tasks import cli, pipeline
from tasks.archive import ArchivedRecording
from tasks.errors import NotUploadedInTime
from tasks.orchestration.artifacts import publish_report
from tasks.orchestration.reschedule import again_later
from tasks.orchestration.server import prefect_at_hand, settings_of
from tasks.orchestration.stages import announce, as_tasks, open_session
from tasks.pipeline import Options
from tasks.realtimekit import UUID_PATTERN, checked_recording_id
from tasks.settings import Settings, load_settings
from tasks.transfer import report

WAIT_TIMEOUT_S = 600
LONGEST_WAIT_S = 86_400


@flow(name="archive-recording", flow_run_name="archive {recording_id}", persist_result=False)
def archive_recording(
    recording_id: Annotated[str, Field(pattern=UUID_PATTERN)],
    wait_timeout: Annotated[int, Field(ge=0, le=LONGEST_WAIT_S)] = WAIT_TIMEOUT_S,
    overwrite: bool = False,  # noqa: FBT001, FBT002 - Prefect passes parameters by name
    accept_size: bool = False,  # noqa: FBT001, FBT002
    partial: bool = False,  # noqa: FBT001, FBT002
) -> ArchivedRecording:
    """Bring one recording home: wait until it is uploaded, transfer and verify its files, archive them.

    Args:
        recording_id: The recording's id, a UUID as the RealtimeKit dashboard shows it.
        wait_timeout: How many seconds to wait for a recording that is not uploaded yet. After that, a run that was
            started from here ends, and one that looks again is scheduled for later.
        overwrite: Archive it again, although it is archived. The old archive stays until the new one is complete.
        accept_size: Archive a video although the API announces another size, if the source holds the same file at two
            looks. The archive states both sizes.
        partial: Archive the files that can be downloaded, although the API names others without a usable URL. The
            archive states what is missing, and is replaced by the next run or sweep that can have all files. With
            overwrite, an archive is replaced that has no file that the new one has not.
    """
    recording_id = checked_recording_id(recording_id)
    settings = load_settings(Settings)
    options = Options(wait_timeout, overwrite, accept_size, partial)
    with open_session(settings) as session:
        try:
            archived, transferred = pipeline.archive_recording(session, recording_id, options, as_tasks(settings))
        except NotUploadedInTime as waited:
            if postponed := again_later(waited, settings.poll_interval, session.log):
                return cast("ArchivedRecording", postponed)  # a deployment's run has no caller, only the engine
            raise
        if transferred is not None:
            announce(archived, session.log)
            publish_report(archived.recording_id, report(archived, transferred), session.log)
        return cli.achieved(archived)


def main(arguments: list[str] | None = None) -> int:
    """Archive one recording from a terminal.

    Args:
        arguments: as on the command line, without the program's name.
    """
    parser = argparse.ArgumentParser(prog="python -m flows.archive_recording", description="Archive one recording.")
    parser.add_argument("recording_id", help="the recording's id, a UUID")
    wait = cli.number_between(0, LONGEST_WAIT_S)
    parser.add_argument(
        "--wait-timeout", type=wait, default=WAIT_TIMEOUT_S, metavar="SECONDS", help="default: %(default)s"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an archive that is already there")
    parser.add_argument("--accept-size", action="store_true", help="take another size than the API announces")
    parser.add_argument("--partial", action="store_true", help="archive without the files that have no usable URL")
    given = parser.parse_args(arguments)

    def archive() -> ArchivedRecording:
        recording_id = checked_recording_id(given.recording_id)
        settings_of(Settings)  # what is wrong with them is told before Prefect starts anything
        with prefect_at_hand():
            return archive_recording(
                recording_id, given.wait_timeout, given.overwrite, given.accept_size, given.partial
            )

    return cli.run(archive)


if __name__ == "__main__":
    sys.exit(main())
