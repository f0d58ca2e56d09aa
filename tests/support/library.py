"""The library for tests: its server in a thread, on loopback, over an archive with a meeting that has everything."""

from __future__ import annotations

import hashlib
import json
import socket
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any

from tasks.archive import description_key, poster_key
from tasks.library import LibrarySettings
from tasks.library.application import new_app
from tasks.library.server import new_server
from tasks.media.ranged_file import BlockReader
from tasks.media.sandbox import examine_file
from tests.standins import media
from tests.standins.realtimekit import MediaSource
from tests.support.cataloguing import update
from tests.support.meetings import SUMMARY, Meeting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

TITLE = "Réunion du conseil"
UNRECORDED = "Talk that nobody recorded"
SCRIPT = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
LINES = ("Good morning, everybody.", "The budget comes first.", "Any questions?")
UPLOAD = "https://files.example.com/plan.png"


@dataclass(frozen=True)
class Sample:
    """What is archived."""

    bench: Archiving
    meeting: Meeting
    full: StandInRecording  # with video, sound, captions, chat and people
    tracks: StandInRecording
    hostile: StandInRecording  # with script wherever a name goes
    unrecorded: Meeting  # without a recording
    poster: bytes  # of the recording with everything


def fill(bench: Archiving) -> Sample:
    """Archive three recordings, of which one has a session with all documents, and make the catalog."""
    meeting = Meeting.at(bench, title=TITLE, participants=2)
    meeting.session.participants[0]["display_name"] = f"Zoë {SCRIPT}"
    meeting.put("transcript", _transcript())
    messages = [
        {"displayName": "Zoë", "payloadType": "TEXT_MESSAGE", "payload": "Hello there", "createdAt": _iso(meeting, 15)},
        {"displayName": f"Eve {SCRIPT}", "payloadType": "TEXT_MESSAGE", "payload": SCRIPT},
    ]
    meeting.put("chat", json.dumps(messages).encode(), "chat.json", "application/json")
    meeting.put("summary", SUMMARY, "summary.md", "text/markdown")
    began = meeting.session.started_at
    full = add(
        bench, MediaSource(media.video_mp4()), began, TITLE, "Zoë Meier", duration=10.7,
        audio=MediaSource(media.audio_mp3(), "audio/mpeg"), meeting_id=meeting.session.meeting_id,
        details={"session_id": meeting.id, "started_time": _iso(meeting, 0)},
    )  # fmt: skip
    webm = {"default": {f"ann_{n}.webm": MediaSource(media.track_webm(n), "audio/webm") for n in (1, 2)}}
    tracks = add(bench, None, began - timedelta(days=40), "Weekly sync", "Ann", tracks=webm, duration=3)
    hostile = add(bench, MediaSource(media.video_mp4()), began - timedelta(days=1), SCRIPT, SCRIPT, duration=11)
    for recording in (full, tracks, hostile):
        bench.archived(recording)
    bench.run().archived_session(meeting.id)
    unrecorded = Meeting.at(bench, title=UNRECORDED, days_ago=3)
    unrecorded.session.participants[0]["display_name"] = "Nils Åberg"
    unrecorded.put("transcript", _transcript())
    bench.run().archived_session(unrecorded.id)
    poster = put_poster(bench, full)
    update(bench)
    return Sample(bench, meeting, full, tracks, hostile, unrecorded, poster)


def put_poster(bench: Archiving, recording: StandInRecording) -> bytes:
    """Put a frame of a recording's video beside the bag, as a description of the recording does, and return it."""
    folder, video = bench.folder(recording), media.video_mp4()
    path = f"data/video/{recording.video_name}"
    poster = examine_file(
        BlockReader(lambda start, stop: video[start:stop], len(video), len(video)), poster=True
    ).poster
    described = {"files": [{"path": path, "sha256": hashlib.sha256(video).hexdigest()}], "poster": path}
    contents = {poster_key(folder): poster, description_key(folder): json.dumps(described).encode()}
    for key, content in contents.items():
        bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=content)
    return poster


def add(
    bench: Archiving, video: MediaSource | None, invoked: datetime, title: str, by: str, **more: Any
) -> StandInRecording:
    """Make a recording known, with a title and somebody who started and stopped it."""
    caller = {"caller": {"name": by, "type": "ORGANIZATION"}, "reason": "API_CALL"}
    described = {
        "meeting": {"id": str(uuid.uuid4()), "title": title},
        "start_reason": caller,
        "stop_reason": caller,
        "recording_duration": more["duration"],
        **more.pop("details", {}),
    }
    return bench.add(video, invoked_time=invoked, details=described, **more)


def _iso(meeting: Meeting, seconds: float) -> str:
    return (meeting.session.started_at + timedelta(seconds=seconds)).astimezone(UTC).isoformat()


def _transcript() -> bytes:
    rows = [f'"{4_000 * number}","peer","user","custom","Zoë","{text}"\n' for number, text in enumerate(LINES)]
    return "".join(rows).encode()


@contextmanager
def serving(bench: Archiving, host: str = "127.0.0.1", **settings: str) -> Iterator[str]:
    """Run the library's own server in a thread, and give the address at which it answers."""
    library = LibrarySettings(archive_url=f"s3://{bench.bucket}/archive", **settings)  # type: ignore[arg-type]
    # With the protocol named, asyncio lets no answer wait for an acknowledgement, as in production.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind((host, 0))
        listening.listen()
        server = new_server(new_app(library, host), host, 0)
        thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
