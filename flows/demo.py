"""The main job on embedded stand-ins: no account, no configuration.

    uv run python -m flows.demo
    uv run python -m flows.demo --watch     # and then shows the recording in a browser, until Ctrl-C

A stand-in of RealtimeKit, a real S3 server (rclone) over `./archive-demo/` and a Prefect server run on loopback; the
real flow brings a recording home, whose URL expires in mid-transfer, and what is there of its meeting's session. The
transcript appears afterwards: the same command brings it, as a second version of the session's bag. Then the archive is
checked the way a stranger would, and shown if that is wanted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import bagit
from botocore.exceptions import ClientError
from pydantic import Field

from flows import library
from tasks.arguments import Metavar, parse_for
from tasks.orchestration.local_server import local_server
from tasks.text import MIB, human_size, put
from tests.standins.media import audio_mp3, video_mp4
from tests.standins.realtimekit import (
    MediaSource,
    RealtimeKitStandIn,
    StandInDocument,
    StandInRecording,
    StandInSession,
)
from tests.standins.stores import RcloneStore

if TYPE_CHECKING:
    from tests.standins.stores import Store

FOLDER = Path("archive-demo")
BUCKET = "recordings"
RECORDING_ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
SESSION_ID = "8d8f6d0a-5b3c-4d0e-9f53-2f5d3c9a7b1e"
TRANSCRIPT = b'"9000","p1","u1","","Mary","Good morning."\n"13000","p2","u2","","Ada","Good morning, Mary."\n'
CHAT = b'[{"displayName": "Ada", "payloadType": "TEXT_MESSAGE", "payload": "Hello"}]'
SUMMARY = b"# Weekly sync\n\n- Mary and Ada said good morning.\n"
INVOKED = datetime(2026, 11, 20, 9, tzinfo=UTC)  # its day names the folder in which the demo finds it again, any day
VIDEO_BYTES = 24 * MIB
PART_SIZE = 5 * MIB
LINK_LASTS_REQUESTS = 3  # of the five that the video takes: it expires once
BYTES_PER_SECOND = 3 * MIB  # a connection; slow enough to watch


def main(arguments: list[str] | None = None) -> int:
    """Run the demo, and return the process's exit code.

    Args:
        arguments: as on the command line, without the program's name.
    """
    given = parse_for(_demo, "python -m flows.demo", arguments)
    say("Starting a stand-in of RealtimeKit, an S3 server over ./archive-demo/ and a Prefect server ...")
    FOLDER.mkdir(exist_ok=True)
    code = archive_and_check()
    return watch(given["port"]) if given["watch"] and not code else code


def archive_and_check() -> int:
    """Archive the recording twice, check the archive, and return the process's exit code."""
    with (
        tempfile.TemporaryDirectory() as prefect_home,
        RealtimeKitStandIn() as kit,
        RcloneStore(FOLDER) as store,
        local_server(environment_of_prefect(prefect_home)) as prefect_api,
    ):
        session = stage(kit, store)
        say(f"Archiving recording {RECORDING_ID} with the flow `archive-recording`.", "")
        settings = environment(kit, store) | environment_of_prefect(prefect_home)
        run = archive(settings | {"PREFECT_API_URL": prefect_api})
        if run.returncode:
            return run.returncode
        result = json.loads(run.stdout)
        tell(result, kit)
        session.transcript = _document(TRANSCRIPT, "text/csv")
        say("The meeting's transcript has appeared by now. The same command, this time without Prefect:", "")
        again = archive(settings)
        if again.returncode:
            return again.returncode
        tell_session(result["session_url"], json.loads(again.stdout)["session_url"])
        return check(_path(result["archive_url"]), _path(result["session_url"]).parent)


def _demo(*, watch: bool = False, port: Annotated[int, Field(ge=1, le=65_535), Metavar("PORT")] = library.PORT) -> None:
    """Run the main job on embedded stand-ins: no account, no configuration, and nothing outside of ./archive-demo/.

    Args:
        watch: Then show the recording in a browser, until Ctrl-C.
        port: With --watch: the port of the pages.
    """


def watch(port: int) -> int:
    """Make the catalog, and show the archive's pages until told to stop; return the process's exit code."""
    with tempfile.TemporaryDirectory() as prefect_home, RcloneStore(FOLDER) as store:
        there = store.environment() | {"ARCHIVE_URL": f"s3://{BUCKET}"}
        settings = environment_of_prefect(prefect_home) | there
        command = [sys.executable, "-m", "flows.update_catalog"]
        made = subprocess.run(command, env=settings, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - our own
        if made.returncode:
            return made.returncode
        for name in os.environ.keys() - settings.keys():  # keys, tokens and profiles of another store
            del os.environ[name]
        os.environ |= there
        say("", f"Watch the recording at http://127.0.0.1:{port}/; Ctrl-C ends.")
        return library.serve(port=port)


def archive(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command that archives the recording, and say so if it fails."""
    command = [sys.executable, "-m", "flows.archive_recording", RECORDING_ID]
    run = subprocess.run(  # noqa: S603 - our own module
        command, env=settings, stdout=subprocess.PIPE, encoding="utf-8", check=False
    )
    if run.returncode:
        say("", f"The command failed with exit code {run.returncode}; what to do is said above.")
    return run


def _path(url: str) -> Path:
    return FOLDER / url.removeprefix("s3://")


def _document(content: bytes, content_type: str) -> StandInDocument:
    return StandInDocument(MediaSource(content, content_type))


def stage(kit: RealtimeKitStandIn, store: Store) -> StandInSession:
    """Lay the recording out, on its way to UPLOADED, with the session that it is of, and make the bucket."""
    session = kit.add_session(
        StandInSession(SESSION_ID, started_at=INVOKED - timedelta(seconds=5), details={"ended_at": _end_of_session()})
    )
    session.add_participants(2)
    session.chat, session.summary = _document(CHAT, "application/json"), _document(SUMMARY, "text/markdown")
    kit.bandwidth_per_connection = BYTES_PER_SECOND
    kit.links_expire_after_requests = LINK_LASTS_REQUESTS
    kit.add(
        StandInRecording(
            RECORDING_ID,
            statuses=("RECORDING", "UPLOADING", "UPLOADED"),
            video=MediaSource(video_mp4(VIDEO_BYTES)),
            audio=MediaSource(audio_mp3(MIB), content_type="audio/mpeg"),
            invoked_time=INVOKED,
            meeting_id=session.meeting_id,
            details={"session_id": session.id},
        )
    )
    try:
        store.client().create_bucket(Bucket=BUCKET)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
            raise
    return session


def _end_of_session() -> str:
    """Return when the session ended: now, unless an earlier demo has archived it."""
    known = sorted(FOLDER.glob(f"{BUCKET}/*/*/*/*/session-{SESSION_ID}/v*/session.json"))
    return str(json.loads(known[-1].read_bytes())["ended_at"]) if known else datetime.now(UTC).isoformat()


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
    requests = [request for request in kit.file_requests if RECORDING_ID in request.key]
    expired = sum(request.expired for request in requests)
    say(
        "",
        f"Archived {human_size(result['bytes'])} in {len(requests)} requests to the source, "
        f"of which {expired} met an expired URL.",
    )


def tell_session(before: str, now: str) -> None:
    """Say what has become of the session's bag."""
    if now == before:
        say("", "Nothing of the session is new since the demo ran last.")
    else:
        say("", "The session has a second version of its bag, complete in itself; the first is as it was.")


def check(bag: Path, session: Path) -> int:
    """Check the archive the way a stranger would, with tools that know nothing of us."""
    bagit.Bag(str(bag)).validate()
    say("bagit: the bag is valid.")
    for version in sorted(session.iterdir()):
        bagit.Bag(str(version)).validate()
        say(f"bagit: {version.name} of the session's bag is valid.")
    if shutil.which("sha256sum"):
        checked = subprocess.run(
            ["sha256sum", "-c", "manifest-sha256.txt"],  # noqa: S607 - whichever the person has
            cwd=bag, stdout=subprocess.PIPE, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
        say(*(f"sha256sum: {line}" for line in checked.stdout.splitlines()))
        if checked.returncode:
            return 1
    say("", "Everything lies in")
    say(*(f"  {path}" for path in sorted(bag.parent.glob(f"{RECORDING_ID}.*"))))  # captions, made of the transcript
    for folder in (bag, session):
        say(f"  {folder}/")
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            say(f"    {path.relative_to(folder)}  ({human_size(path.stat().st_size)})")
    say("The media are real: open them in any player. Run the demo again: nothing is fetched twice.")
    say("In a browser, beside the transcript: uv run python -m flows.demo --watch")
    return 0


def say(*lines: str) -> None:
    """Print for the person who watches, in step with the flow's log on stderr."""
    for line in lines:
        put(sys.stdout, f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
