"""A row holds what the bag says, as texts that can be shown, whatever anybody has written into the bag."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import Held, InspectedBag
from tasks.catalog import COLUMNS
from tasks.catalog.bag_row import bag_version, build_row, parse_description
from tasks.catalog.parquet import decode, encode
from tasks.catalog.row_texts import LONGEST_TEXT
from tasks.s3 import StoredObject
from tests.standins.realtimekit import MediaSource
from tests.support.bags import stored_payload
from tests.support.cataloguing import rows, update

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.catalog import Row
    from tests.support.archiving import Archiving

INVOKED = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
FOLDER = "app/2026/11/20/6e868796-cefe-55e7-b810-a341300f1b91/"


def row_of(tags: dict[str, bytes], description: bytes = b"", findings: tuple[str, ...] = ()) -> Row:
    held, described = Held(FOLDER, "app"), parse_description(description)
    row = build_row(held, "", InspectedBag(tags, {}, findings), described, {})
    (read,) = decode(encode([row], ""))  # what Parquet does not take would end here
    return read


def test_a_row_has_what_the_bag_says(bench: Archiving, tmp_path: Path) -> None:
    meeting = {"id": "bbb0", "title": "  Weekly\n\x1b[2J Réunion 🎥 "}
    recording = bench.add(2000, audio=MediaSource(b"audi\0", "audio/mpeg"), invoked_time=INVOKED, duration=61.5,
                          details={"meeting": meeting})  # fmt: skip
    archived = bench.archived(recording)
    update(bench)
    row = rows(bench)[recording.id]
    assert row.keys() == {column.name for column in COLUMNS}
    details = json.loads(bench.objects()[f"{bench.folder(recording)}recording.json"])
    assert row["session_id"] == details["session_id"]
    assert (row["meeting_id"], row["title"], row["status"]) == ("bbb0", "Weekly [2J Réunion 🎥", "UPLOADED")
    assert (row["invoked_at"], row["duration_s"]) == (INVOKED, 61.5)
    assert row["invoked_at"] < row["started_at"] < row["stopped_at"] < row["archived_at"]
    assert (row["start_reason"], row["stop_reason"]) == ("API_CALL", "API_CALL")
    assert row["started_by"] == row["stopped_by"] == "RealtimeKit_test"
    assert row["started_by_id"] == details["start_reason"]["caller"]["user_Id"]
    assert row["files"] == [file.model_dump() for file in archived.files]
    assert row["bytes"] == archived.bytes == sum(map(len, stored_payload(bench.copied(tmp_path))))
    assert row["archive_url"] == archived.archive_url
    assert (row["condition"], row["findings"]) == ("whole", list(archived.findings))
    assert (row["container"], row["codecs"], row["width"], row["media_findings"]) == (None, [], None, [])


def test_a_partial_archive_says_so(rclone: Archiving) -> None:
    tracks = {"default": {"ann.webm": MediaSource(b"ann\0"), "bob.webm": MediaSource(b"bob\0")}}
    recording = rclone.add(tracks=tracks, without_url=("tracks/default/ann.webm",))
    recording.without_url = tuple(name for name in recording.files() if "ann" in name)
    archived = rclone.archived(recording, partial=True)
    assert [file.path for file in archived.files] == ["data/tracks/default/bob.webm"]
    update(rclone)
    row = rows(rclone)[recording.id]
    assert row["condition"] == "partial"
    assert row["findings"] == list(archived.findings)


@pytest.mark.parametrize(
    "details",
    [
        b"", b"[]", b"null", b"\xff", b"{" * 100_000, b'{"meeting": [1]}', b'{"start_reason": "x", "stop_reason": 7}',
        b'{"start_reason": {"caller": [], "reason": {}}}', b'{"recording_duration": 1e400, "invoked_time": 7}',
        b'{"meeting": {"title": "\\ud800\\u0000x", "id": 5}}',
    ],
)  # fmt: skip
def test_details_may_be_anything(details: bytes) -> None:
    row = row_of({"recording.json": details})
    assert row["recording_id"] == FOLDER.split("/")[-2]
    assert (row["started_by"], row["duration_s"], row["meeting_id"]) == (None, None, None)
    assert row["title"] in {None, "? x"}


@pytest.mark.parametrize(
    "description",
    [
        b"", b"[]", b"\xff", b'{"files": 7}', b'{"files": [{}]}', b"[" * 100_000,
        b'{"files": [{"path": "a", "container": "", "streams": []}], "findings": ["", "\\n"]}',
        b'{"files": [{"path": "a", "container": "mp4", "streams": [{"kind": "video", "width": -5}]}]}',
    ],
)  # fmt: skip
def test_a_description_may_be_anything(description: bytes) -> None:
    row = row_of({}, description)
    assert (row["codecs"], row["width"], row["media_findings"]) == ([], None, [])


def test_numbers_may_be_larger_than_a_column_takes() -> None:
    stream = {"kind": "video", "codec": "vp9", "width": 2**70, "height": 1}
    described = {"files": [{"path": "a", "size": 2**80, "container": "webm", "streams": [stream]}]}
    row = row_of({}, json.dumps(described).encode())
    assert (row["width"], row["height"], row["codecs"]) == (None, 1, ["vp9"])


def test_no_secret_gets_into_a_row_and_no_text_is_endless() -> None:
    url = "https://user:pass@bucket.example/a.mp4?X-Amz-Signature=0123456789abcdef"
    details = {"meeting": {"title": url, "id": "x" * 10_000}, "stop_reason": {"reason": f"see {url}"}}
    tags = {"recording.json": json.dumps(details).encode(), "bag-info.txt": f"Archive-Finding: {url}\n".encode()}
    row = row_of(tags, json.dumps({"findings": [url] * 500}).encode(), findings=(url,))
    assert "Signature" not in str(row)
    assert "pass" not in str(row)
    assert len(row["meeting_id"]) == LONGEST_TEXT
    assert len(row["media_findings"]) == 100


def test_the_first_video_tells_the_container_and_the_resolution() -> None:
    streams = [{"kind": "audio", "codec": "opus"}, {"kind": "video", "codec": "vp8", "width": 320, "height": 240}]
    files = [
        {"path": "data/audio/a.mp3", "container": "mp3", "streams": [{"kind": "audio", "codec": "mp3"}]},
        {"path": "data/video/a.webm", "container": "matroska,webm", "streams": streams},
        {"path": "data/video/b.mp4", "container": "mov", "streams": [{"kind": "video", "codec": "vp8", "width": 1}]},
    ]
    row = row_of({}, json.dumps({"files": files}).encode())
    assert (row["container"], row["width"], row["height"]) == ("matroska,webm", 320, 240)
    assert row["codecs"] == ["mp3", "opus", "vp8"]


def test_any_change_of_a_bag_or_its_description_is_another_version() -> None:
    def versions() -> Any:
        for time in (INVOKED, None):
            for etag in ("a", "b"):
                held = Held(FOLDER, "app")
                held.add("bagit.txt", StoredObject("bagit.txt", 1, "same", modified=time))
                held.add("data/x", StoredObject("data/x", 1, etag))
                yield bag_version(held, None)
                yield bag_version(held, StoredObject("d", 1, etag, modified=INVOKED))
                yield bag_version(held, StoredObject("d", 2, etag))
                yield bag_version(held, None, StoredObject("d", 2, etag))

    listed = list(versions())
    assert len(set(listed)) == len(listed) == 16
