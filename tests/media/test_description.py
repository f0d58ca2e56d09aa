"""What is said of media is so: each oddity is named, and what is whole is not called odd."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive.models import ArchivedFile
from tasks.media.description import Description, MediaFile, compare_files, describe_file, render_markdown
from tasks.media.probe import Facts, Stream
from tasks.media.sandbox import Examination
from tests.media.test_probe import found, ranges_of
from tests.standins import media
from tests.support.media_files import remuxed, vp8
from tests.text.test_markdown import HOSTILE, shown, visible

if TYPE_CHECKING:
    from collections.abc import Callable

VIDEO_S = 32 / 3
NAMES = {"video": "data/video/a.mp4", "audio": "data/audio/a.mp3", "tracks": "data/tracks/default/a.webm"}
PICTURE, SOUND = Stream("video", "h264", width=640, height=360, frame_rate=24), Stream("audio", "aac")


def file(kind: str, content_type: str, size: int = 1000) -> ArchivedFile:
    return ArchivedFile(path=NAMES[kind], size=size, sha256="a" * 64, content_type=content_type)


def described(data: bytes, kind: str, content_type: str, recording_s: float = 0.0) -> MediaFile:
    """Return what is said of a real file."""
    facts, poster = found(ranges_of(data))
    return describe_file(file(kind, content_type, len(data)), Examination(facts, poster, facts.troubles), recording_s)


def said(kind: str, recording_s: float, *, content_type: str = "video/mp4", **facts: Any) -> tuple[str, ...]:
    """Return the findings on a file of whose facts only these matter."""
    its: dict[str, Any] = {"container": "mov,mp4", "duration_s": 100.0, "streams": (PICTURE, SOUND)} | facts
    return describe_file(file(kind, content_type), Examination(Facts(**its), b"", ()), recording_s).findings


def with_index(place: str = "0") -> bytes:
    """Return an MP4 with its index last, or first, where so many bytes are kept for it."""
    return remuxed(media.video_mp4(), "mp4", moov_size=place)


def sound(container: str) -> bytes:
    return remuxed(media.video_mp4(), container, only="audio")


WHOLE: dict[str, tuple[Callable[[], bytes], str, str, float]] = {
    "mp4 in fragments": (media.video_mp4, "video", "video/mp4", VIDEO_S),
    "mp4 with an index": (with_index, "video", "Video/MP4; codecs=avc1", VIDEO_S),
    "webm with a duration": (vp8, "video", "video/webm", 2.0),
    "webm without a duration": (lambda: remuxed(vp8(), "webm", live="1"), "video", "video/webm", 2.0),
    "webm of a browser, called matroska": (vp8, "video", "video/x-matroska", 2.0),
    "mp3": (media.audio_mp3, "audio", "audio/mpeg", 7.224),
    "aac": (lambda: sound("adts"), "audio", "audio/aac", VIDEO_S),
    "aac in mp4": (lambda: sound("mp4"), "audio", "audio/mp4", VIDEO_S),
    "a track of sound, of half a meeting": (lambda: media.track_webm(1), "tracks", "audio/webm", 6.0),
    "a track of picture": (vp8, "tracks", "video/webm", 2.0),
    "of a type that says nothing": (media.audio_mp3, "audio", "application/octet-stream", 7.2),
    "of a recording of unknown length": (media.video_mp4, "video", "video/mp4", 0.0),
    "a little shorter than the recording": (media.video_mp4, "video", "video/mp4", VIDEO_S + 1.9),
}


@pytest.mark.parametrize(("make", "kind", "content_type", "recording_s"), WHOLE.values(), ids=WHOLE)
def test_a_whole_file_has_nothing_odd_about_it(
    make: Callable[[], bytes], kind: str, content_type: str, recording_s: float
) -> None:
    its = described(make(), kind, content_type, recording_s)
    assert its.findings == ()
    assert its.duration_s > 1
    assert its.bit_rate == pytest.approx(its.size * 8 / its.duration_s, rel=0.01)
    assert its.duration_estimated == (kind == "audio" and "mp4" not in content_type)


def cut(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


ODD: dict[str, tuple[Callable[[], bytes], str, str, float, list[str]]] = {
    "no media": (lambda: b"<html>sorry</html>", "video", "video/mp4", 60, ["nothing understands it as media"]),
    "mp4, its index cut off": (lambda: cut(with_index()), "video", "video/mp4", 0, ["nothing understands it"]),
    "mp4 with its index first, cut": (
        lambda: cut(with_index("40000")),
        "video",
        "video/mp4",
        VIDEO_S,
        ["it should be 0:00:11 long, but ends after 0:00:0"],
    ),
    "mp4 in fragments, cut": (
        lambda: cut(media.video_mp4()),
        "video",
        "video/mp4",
        VIDEO_S,
        ["it is 0:00:0. long, but the recording 0:00:11"],
    ),
    "webm with a duration, cut": (
        lambda: cut(remuxed(vp8(), "webm", 4)),
        "video",
        "video/webm",
        8.0,
        ["it should be 0:00:08 long, but ends after 0:00:05"],
    ),
    "webm without a duration, cut": (
        lambda: cut(remuxed(vp8(), "webm", 4, live="1")),
        "video",
        "video/webm",
        8.0,
        ["it is 0:00:05 long, but the recording 0:00:08"],
    ),
    "mp3, cut": (
        lambda: cut(media.audio_mp3()),
        "audio",
        "audio/mpeg",
        7.224,
        ["it is about 0:00:04 long, but the recording 0:00:07"],
    ),
    "shorter than the recording": (
        media.video_mp4,
        "video",
        "video/mp4",
        3600,
        ["it is 0:00:11 long, but the recording 1:00:00"],
    ),
    "another type": (media.audio_mp3, "audio", "Audio/MP4; x=y", 7.224, ["it was sent as audio/mp4, but is mp3"]),
    "a video without a picture": (lambda: sound("mp4"), "video", "video/mp4", VIDEO_S, ["there is no video in it"]),
    "an audio export without sound": (vp8, "audio", "video/webm", 2.0, ["there is no audio in it"]),
}


@pytest.mark.parametrize(("make", "kind", "content_type", "recording_s", "told"), ODD.values(), ids=ODD)
def test_what_is_odd_is_said_and_nothing_else(
    make: Callable[[], bytes], kind: str, content_type: str, recording_s: float, told: list[str]
) -> None:
    findings = described(make(), kind, content_type, recording_s).findings
    assert len(findings) == len(told), findings
    assert all(re.match(pattern, finding) for pattern, finding in zip(told, findings, strict=True)), findings


def test_a_file_of_no_known_length_is_said_to_be_one_and_has_no_rate() -> None:
    live = remuxed(vp8(), "webm", live="1")
    no_frame_is_whole = live[: live.index(b"\x1f\x43\xb6\x75") + 300]
    its = described(no_frame_is_whole, "video", "video/webm", 60)
    assert its.findings == ("its video (vp8) cannot be decoded", "nobody knows how long it is")
    assert (its.duration_s, its.bit_rate) == (0, 0)
    text = render_markdown(description(its), b"")
    assert "long" not in text
    assert "bit/s" not in text
    assert "- video: vp8, 128 x 96\n" in text


def test_of_what_nothing_understands_no_more_is_said() -> None:
    assert said("video", 100, container="", duration_s=0.0, streams=()) == ()


@pytest.mark.parametrize(
    ("kind", "its_s", "recording_s", "estimated", "odd"),
    [
        ("video", 98.0, 100.0, False, False),  # two seconds
        ("video", 97.9, 100.0, False, True),
        ("video", 102.0, 100.0, False, False),
        ("video", 102.1, 100.0, False, True),
        ("video", 990.0, 1000.0, False, False),  # or a hundredth
        ("video", 989.9, 1000.0, False, True),
        ("audio", 75.0, 100.0, True, False),  # or a quarter, where the length is a guess
        ("audio", 74.9, 100.0, True, True),
        ("audio", 125.1, 100.0, True, True),
        ("audio", 75.0, 100.0, False, True),
        ("tracks", 1.0, 100.0, False, False),  # participants come and go
        ("tracks", 102.1, 100.0, False, True),  # but not after the end
        ("video", 5.0, 0.0, False, False),
    ],
)
def test_lengths_differ_by_more_than_clocks_and_guesses_do_before_it_is_odd(
    kind: str, its_s: float, recording_s: float, *, estimated: bool, odd: bool
) -> None:
    told = said(kind, recording_s, duration_s=its_s, estimated=estimated)
    assert bool(told) == odd
    assert all(("about" in finding) == estimated for finding in told)


@pytest.mark.parametrize(("end_s", "odd"), [(98.0, False), (97.9, True), (0.0, False), (100.5, False)])
def test_a_file_ends_before_its_header_says_by_more_than_two_seconds_before_it_is_odd(
    *, end_s: float, odd: bool
) -> None:
    assert bool(said("video", 0, end_s=end_s)) == odd


def test_a_type_is_compared_with_each_of_the_names_of_a_format() -> None:
    assert said("video", 0, content_type="video/quicktime") == ()
    assert said("video", 0, content_type="video/webm") == ("it was sent as video/webm, but is mov,mp4",)
    assert said("video", 0, content_type="text/plain") == ()


def test_troubles_come_before_oddities() -> None:
    examination = Examination(Facts("mp3", 50.0, streams=(SOUND,)), b"", ("the decoder died over it",))
    told = describe_file(file("video", "video/mp4"), examination, 0).findings
    assert told == ("the decoder died over it", "it was sent as video/mp4, but is mp3", "there is no video in it")


def test_an_event_and_an_archive_disagree_about_what_is_missing_too_much_or_changed() -> None:
    one, two, three = (
        ArchivedFile(path=f"data/video/{name}", size=1, sha256="a", content_type="video/mp4") for name in "abc"
    )
    changed = two.model_copy(update={"size": 2})
    assert compare_files([one, two], [one, two]) == []
    assert compare_files([], [one]) == []
    assert [line.partition(":")[0] for line in compare_files([one, changed], [two, three])] == [
        "data/video/a", "data/video/b", "data/video/c",
    ]  # fmt: skip


def description(*files: MediaFile, **more: Any) -> Description:
    its: dict[str, Any] = {
        "recording_id": "one",
        "archive_url": "s3://bucket/one/",
        "duration_s": 7.0,
        "findings": (),
    } | more
    return Description(files=files, **its)


def test_as_json_it_has_all_keys_always_and_can_be_read_back() -> None:
    its = description(described(media.audio_mp3(), "audio", "audio/mpeg", 7.2), duration_s=None)
    told = json.loads(its.model_dump_json())
    assert told == {
        "recording_id": "one",
        "archive_url": "s3://bucket/one/",
        "duration_s": None,
        "findings": [],
        "files": [
            {
                "path": "data/audio/a.mp3",
                "size": len(media.audio_mp3()),
                "sha256": "a" * 64,
                "content_type": "audio/mpeg",
                "container": "mp3",
                "duration_s": 7.224,
                "duration_estimated": True,
                "bit_rate": 64000,
                "streams": [
                    {
                        "kind": "audio",
                        "codec": "mp3",
                        "bit_rate": 64000,
                        "width": 0,
                        "height": 0,
                        "frame_rate": 0.0,
                        "channels": 1,
                        "sample_rate": 48000,
                    }
                ],
                "findings": [],
            }
        ],
        "poster": "",
    }
    assert Description.model_validate(told) == its


def test_people_read_findings_first_then_see_a_picture_then_the_files() -> None:
    its = described(media.video_mp4(), "video", "video/mp4", VIDEO_S)
    text = render_markdown(description(its, findings=("one thing", "another")), b"\xff\xd8\xff")
    parts = ["## Recording one", "`s3://bucket/one/`", "- one thing\n- another", "](data:image/jpeg;base64,/9j/)",
             "`data/video/a.mp4`", "- mp4, 0:00:11 long, 592.8 KiB, 455 kbit/s",
             "- video: h264, 640 x 360, 24 frames/s", "- audio: aac, 1 ch, 48,000 Hz"]  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_without_findings_and_picture_nobody_is_told_to_look() -> None:
    text = render_markdown(description(described(media.audio_mp3(), "audio", "audio/mpeg", 7.2)), b"")
    assert "look" not in text
    assert "![" not in text
    assert "- mp3, about 0:00:07 long, " in text


def test_of_what_is_not_known_nothing_is_made_up() -> None:
    unknown = described(b"nothing", "video", "video/mp4")
    assert "\n- of no known format, 7 bytes\n" in render_markdown(description(unknown), b"")
    odd = describe_file(
        file("video", "video/webm"), Examination(Facts("mov,mp4", streams=(Stream("data", ""),)), b"", ()), 0
    )
    text = render_markdown(description(odd), b"")
    assert "- mov,mp4, " in text
    assert "\n- data: ?\n" in text


def test_people_read_how_the_meetings_summary_begins() -> None:
    summary = "# Weekly sync\n\n- **All** is well,\n  says Mary\n" + "1. and so on\n" * 9
    text = render_markdown(description(), b"", summary)
    assert "- Weekly sync\n- \\*\\*All\\*\\* is well,\n- says Mary\n" in text
    assert text.count("and so on") == 3
    assert "summary" not in render_markdown(description(), b"", " \n\n")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_a_summary_holds_it_is_read_and_does_nothing(hostile: str) -> None:
    text, tags = shown(render_markdown(description(), b"", f"{hostile}\nhttps://h.example/a?sig=leak-canary"))
    assert tags <= {"h2", "p", "code", "strong", "ul", "li"}
    assert "leak-canary" not in text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_names_names_and_messages_hold_it_is_read_and_does_nothing(hostile: str) -> None:
    stream = Stream("video", hostile)
    its = MediaFile(path=f"data/{hostile}", size=1, sha256="", content_type="", container=hostile, streams=(stream,))
    its_name = visible(f"data/{hostile}".replace("`", "'"))
    text, tags = shown(
        render_markdown(description(its, recording_id=hostile, archive_url=hostile, findings=(hostile,)), b"")
    )
    assert tags == {"h2", "p", "code", "strong", "ul", "li"}
    assert its_name in text
    assert text.count(visible(hostile)) >= 4 - ("`" in hostile)


def test_a_picture_is_part_of_the_text_as_it_is() -> None:
    poster = bytes(range(256)) * 100
    (encoded,) = re.findall(r"base64,([^)]*)\)", render_markdown(description(), poster))
    assert base64.b64decode(encoded) == poster
