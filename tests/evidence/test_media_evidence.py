"""What a file's bytes prove: texts are no media in whatever encoding, and media that are cut off are found out."""

from __future__ import annotations

import io
import random
import tarfile
from functools import cache
from typing import TYPE_CHECKING

import av
import pytest

from tasks.download.body_checks import require_media
from tasks.errors import SourceLied, SourceUnavailable
from tasks.evidence.containers import HEAD, identify_container
from tasks.evidence.media_evidence import TEXT_HEAD, Evidence, is_text
from tests.standins.media import audio_mp3, boxes, track_webm, video_mp4
from tests.support.media_files import remuxed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def index_first(video: bytes) -> bytes:
    parts = {kind: video[at : at + size] for at, kind, size in boxes(video)}
    return parts.pop(b"ftyp") + parts.pop(b"moov") + b"".join(parts.values())


def wav() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="wav") as file:
        stream = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=4000)
        frame.planes[0].update(random.Random(1).randbytes(8000))
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as file:
        for number in range(3):
            member = tarfile.TarInfo(f"{'segments/' * 15}segment-{number}.ts")
            member.size = 3000 + number
            file.addfile(member, io.BytesIO(random.Random(number).randbytes(member.size)))
    return out.getvalue()


MEDIA: dict[str, Callable[[], bytes]] = {
    "mp4-fragmented": video_mp4,
    "mp4-index-last": lambda: remuxed(video_mp4(), "mp4"),
    "mp4-index-first": lambda: index_first(remuxed(video_mp4(), "mp4")),
    "mp3-bare": audio_mp3,
    "mp3-tagged": lambda: remuxed(audio_mp3(), "mp3", id3v2_version="3", write_id3v1="1"),
    "adts": lambda: remuxed(video_mp4(), "adts", only="audio"),
    "webm": lambda: track_webm(1),
    "webm-live": lambda: remuxed(track_webm(2), "webm", times=5, live="1"),
    "webm-small-clusters": lambda: remuxed(track_webm(2), "webm", times=20, cluster_time_limit="500"),
    "ogg": lambda: remuxed(track_webm(1), "ogg"),
    "wav": wav,
    "tar": tar,
}
each_medium = pytest.mark.parametrize("name", MEDIA)


@cache
def medium(name: str) -> bytes:
    return MEDIA[name]()


def findings(data: bytes, step: int = 8192, size: int | None = None) -> tuple[str, ...]:
    evidence = Evidence("data/a", len(data) if size is None else size)
    for start in range(0, len(data), step):
        evidence.feed(data[start : start + step])
    return evidence.findings()


@each_medium
@pytest.mark.parametrize("step", [7, 1000, 10**9])
def test_media_that_are_whole_leave_nothing_to_tell_in_whatever_pieces_they_come(name: str, step: int) -> None:
    assert findings(medium(name), step) == ()


@each_medium
def test_media_that_are_cut_off_are_told(name: str) -> None:
    data = medium(name)
    end = 10_240 - 1024 if name == "tar" else 1  # what comes after the mark of a tar's end is padding
    for missing in (end, 5 + end, 97 + end, len(data) // 3, len(data) // 2, len(data) - 700):
        (told,) = findings(data[: len(data) - missing])
        assert told.startswith("data/a may not be whole: its "), missing


@each_medium
def test_media_are_never_taken_for_text_whatever_pieces_they_come_in(name: str) -> None:
    data = medium(name)
    assert not is_text(data[:TEXT_HEAD])
    for step in (5, 1460, len(data)):
        pieces = (data[start : start + step] for start in range(0, len(data), step))
        assert b"".join(require_media("audio", pieces, len(data), doubt="Content-Type text/plain")) == data


def test_a_video_without_its_index_and_bytes_of_no_container_are_told() -> None:
    begun = remuxed(video_mp4(), "mp4")
    assert "index" in findings(begun[: begun.index(b"moov") - 4])[0]
    assert "no container that is known (07 07" in findings(b"\7" * 5000)[0]
    assert "is empty" in findings(b"")[0]
    assert "not looked at" in findings(b"\7" * 5000, size=5001)[0]


def test_no_bytes_at_all_make_the_look_at_them_fail() -> None:
    dice = random.Random(7)
    for name in MEDIA:
        for _ in range(10):
            data = bytearray(medium(name)[:20_000])
            for _ in range(dice.choice([1, 3, 200])):
                data[dice.randrange(len(data))] = dice.randrange(256)
            findings(bytes(data), dice.choice([1, 333, 8192]))
    for _ in range(200):
        identify_container(dice.randbytes(dice.randrange(HEAD)))


PAGE = "<!DOCTYPE html><html><body>Bitte warten Sie …</body></html>"
TEXTS: dict[str, bytes] = {
    "newline-first": b"\n" + PAGE.encode(),
    "half-a-bom": b"\xef\xbb" + PAGE.encode(),
    "bom": PAGE.encode("utf-8-sig"),
    "bom-and-blanks": b"\xef\xbb\xbf \r\n\t" + PAGE.encode(),
    "utf-16": PAGE.encode("utf-16"),
    "utf-16-be-bom": b"\xfe\xff" + "Доступ запрещён".encode("utf-16-be"),
    "utf-16-le": "<Error>Try again</Error>".encode("utf-16-le"),
    "utf-16-be": b"\0A\0c\0c\0e\0s\0s",
    "utf-32": PAGE.encode("utf-32"),
    "utf-32-be": "Access denied".encode("utf-32-be"),
    "plain": b"upstream connect error or disconnect/reset before headers",
    "latin-1": "Accès refusé".encode("latin-1"),
    "csv": b"id;name\r\n1;Ann\r\n" * 900,
    "json": b'{"success": false}',
    "page-with-a-control": b"  <html>\x01\x02 spoilt",
    "one-letter": b"x",
    "terminal": b"\x1b[31mError\x1b[0m",
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("step", [1, 2, 3, 100_000])
def test_a_text_is_no_media_whatever_it_begins_with_and_however_little_of_it_comes_first(name: str, step: int) -> None:
    text = TEXTS[name]
    pieces = (text[start : start + step] for start in range(0, len(text), step))
    with pytest.raises(SourceLied, match="a text or a document"):
        list(require_media("audio", pieces, len(text)))


def test_media_are_handed_on_at_their_first_bytes_and_texts_are_held_back() -> None:
    def endless(first: bytes) -> Iterator[bytes]:
        yield first
        pytest.fail("it asked for more")

    assert next(require_media("video", endless(video_mp4()[:16]), 10**6)) == video_mp4()[:16]


@pytest.mark.parametrize(
    ("first", "kept"), [(b"\0\0\0", True), (b"\x1aE", True), (b"<ht", False), (b"\xef\xbb", False)]
)
def test_what_a_broken_connection_brought_counts_unless_it_may_be_the_beginning_of_a_text(
    first: bytes,
    kept: bool,  # noqa: FBT001
) -> None:
    def breaking() -> Iterator[bytes]:
        yield first
        raise SourceUnavailable("video", "it broke")

    handed_on = require_media("video", breaking(), 10**6)
    if kept:
        assert next(handed_on) == first
    with pytest.raises(SourceUnavailable):
        next(handed_on)


def test_a_mistake_in_following_a_container_costs_no_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.evidence.media_evidence.identify_container", lambda _: "tar")
    monkeypatch.setattr("tasks.evidence.containers._is_tar_header", bool)
    header = bytes(124) + b"not a number" + bytes(376)
    assert "could not be followed (ValueError)" in findings(header * 8)[0]
