"""The main job on embedded stand-ins: no account, no configuration.

    uv run python -m flows.demo

A stand-in of RealtimeKit, a real S3 server (rclone) over `./archive-demo/` and a Prefect server run on loopback; the
real flow brings a recording home, whose URL expires in mid-transfer; then the archive is checked the way a stranger
would.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bagit
from botocore.exceptions import ClientError

from tasks.orchestration.local_server import local_server
from tasks.text import MIB, human_size, put
from tests.standins.media import audio_mp3, video_mp4
from tests.standins.realtimekit import MediaSource, RealtimeKitStandIn, StandInRecording
from tests.standins.stores import RcloneStore

if TYPE_CHECKING:
    from tests.standins.stores import Store

FOLDER = Path("archive-demo")
BUCKET = "recordings"
RECORDING_ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
INVOKED = datetime(2026, 11, 20, 9, tzinfo=UTC)  # its day names the folder in which the demo finds it again, any day
VIDEO_BYTES = 24 * MIB
PART_SIZE = 5 * MIB
LINK_LASTS_REQUESTS = 3  # of the five that the video takes: it expires once
BYTES_PER_SECOND = 3 * MIB  # a connection; slow enough to watch


def main() -> int:
    """Run the demo, and return the process's exit code."""
    say("Starting a stand-in of RealtimeKit, an S3 server over ./archive-demo/ and a Prefect server ...")
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as prefect_home,
        RealtimeKitStandIn() as kit,
        RcloneStore(FOLDER) as store,
        local_server(environment_of_prefect(prefect_home)) as prefect_api,
    ):
        stage(kit, store)
        say(f"Archiving recording {RECORDING_ID} with the flow `archive-recording`.", "")
        command = [sys.executable, "-m", "flows.archive_recording", RECORDING_ID]
        settings = environment(kit, store) | environment_of_prefect(prefect_home) | {"PREFECT_API_URL": prefect_api}
        run = subprocess.run(  # noqa: S603 - our own module
            command, env=settings, stdout=subprocess.PIPE, encoding="utf-8", check=False
        )
        if run.returncode:
            say("", f"The flow failed with exit code {run.returncode}; what to do is said above.")
            return run.returncode
        result = json.loads(run.stdout)
        bag = FOLDER / result["archive_url"].removeprefix("s3://")
        tell(result, kit)
        return check(bag)


def stage(kit: RealtimeKitStandIn, store: Store) -> None:
    """Lay the recording out, on its way to UPLOADED, and make the bucket."""
    kit.bandwidth_per_connection = BYTES_PER_SECOND
    kit.links_expire_after_requests = LINK_LASTS_REQUESTS
    kit.add(
        StandInRecording(
            RECORDING_ID,
            statuses=("RECORDING", "UPLOADING", "UPLOADED"),
            video=MediaSource(video_mp4(VIDEO_BYTES)),
            audio=MediaSource(audio_mp3(MIB), content_type="audio/mpeg"),
            invoked_time=INVOKED,
        )
    )
    try:
        store.client().create_bucket(Bucket=BUCKET)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
            raise


def environment_of_prefect(prefect_home: str) -> dict[str, str]:
    """Return this process's environment without secrets and settings, but with those of a Prefect server."""
    ours = ("AWS_", "PREFECT_", "CLOUDFLARE_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return inherited | {
        "PREFECT_HOME": prefect_home,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def environment(kit: RealtimeKitStandIn, store: Store) -> dict[str, str]:
    """Return the settings that a deployment would have, with the stand-ins in the place of the real ones."""
    return store.environment() | {
        "CLOUDFLARE_API_TOKEN": kit.token,
        "CLOUDFLARE_ACCOUNT_ID": kit.account_id,
        "REALTIMEKIT_APP_ID": kit.app_id,
        "CLOUDFLARE_BASE_URL": kit.base_url,
        "ARCHIVE_URL": f"s3://{BUCKET}",
        "TRANSFER_PART_SIZE": str(PART_SIZE),
        "POLL_INTERVAL": "1",
    }


def tell(result: dict[str, Any], kit: RealtimeKitStandIn) -> None:
    """Say what happened."""
    if result["already_archived"]:
        say("", f"Already archived: the flow found it whole, and fetched {kit.bytes_served()} bytes of media.")
        return
    expired = sum(request.expired for request in kit.file_requests)
    say(
        "",
        f"Archived {human_size(result['bytes'])} in {len(kit.file_requests)} requests to the source, "
        f"of which {expired} met an expired URL.",
    )


def check(bag: Path) -> int:
    """Check the archive the way a stranger would, with tools that know nothing of us."""
    bagit.Bag(str(bag)).validate()
    say("bagit: the bag is valid.")
    if shutil.which("sha256sum"):
        checked = subprocess.run(
            ["sha256sum", "-c", "manifest-sha256.txt"],  # noqa: S607 - whichever the person has
            cwd=bag, stdout=subprocess.PIPE, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
        say(*(f"sha256sum: {line}" for line in checked.stdout.splitlines()))
        if checked.returncode:
            return 1
    say("", "Everything lies in", f"  {bag}/")
    for path in sorted(path for path in bag.rglob("*") if path.is_file()):
        say(f"    {path.relative_to(bag)}  ({human_size(path.stat().st_size)})")
    say("The media are real: open them in any player. Run the demo again: nothing is fetched twice.")
    return 0


def say(*lines: str) -> None:
    """Print for the person who watches, in step with the flow's log on stderr."""
    for line in lines:
        put(sys.stdout, f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
