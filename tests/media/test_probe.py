"""Media files are told for what they are, from next to nothing of their bytes."""

from __future__ import annotations

import io
import random
import re
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import av
import pytest

from tasks.media.fragments import (
    SEARCHED,
    WINDOW,
    FragmentLayout,
    _boxes,
    find_fragment_after,
    find_last_fragments,
    read_layout,
    skip_to_fragment,
)
from tasks.media.probe import MAX_PIXELS, POSTER_BYTES, Facts, _jpeg, examine
from tasks.media.ranged_file import BLOCK, KEPT_BLOCKS, BlockReader, BudgetSpent, RangedFile
from tests.standins import media
from tests.support.media_files import remuxed, vp8, vp9

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1024 * 1024
BUDGET = 64 * MIB


def ranges_of(data: bytes, budget: int = BUDGET) -> BlockReader:
    return BlockReader(lambda start, stop: data[start:stop], len(data), budget)


def found(ranges: BlockReader) -> tuple[Facts, bytes]:
    """Return what is known in the end, and the poster."""
    told: list[Facts] = []
    shown = [b""]
    examine(RangedFile(ranges.read_at, ranges.size), told.append, shown.append)
    return told[-1], shown[-1]


LONG: dict[str, tuple[Callable[[], bytes], str, float]] = {
    "mp4 with an index": (lambda: remuxed(media.video_mp4(), "mp4", 20), "mp4", 20 * 32 / 3),
    "mp4 in fragments": (lambda: media.video_mp4(12 * MIB), "mp4", 21 * 32 / 3),
    "webm with cues": (lambda: remuxed(vp8(), "webm", 100), "webm", 200),
    "webm recorded live": (lambda: remuxed(vp8(), "webm", 100, live="1"), "webm", 200),
}


@pytest.mark.parametrize(("make", "container", "seconds"), LONG.values(), ids=LONG)
def test_a_long_video_is_known_to_its_end_from_a_little_of_it(
    make: Callable[[], bytes], container: str, seconds: float
) -> None:
    ranges = ranges_of(make())
    assert ranges.size > 5 * MIB
    facts, poster = found(ranges)
    assert facts.troubles == ()
    assert container in facts.container.split(",")
    assert facts.duration_s == pytest.approx(seconds, abs=0.1)
    assert facts.end_s == pytest.approx(seconds, abs=0.1)
    assert is_picture(poster)
    assert ranges.fetched < 2 * MIB


def is_picture(poster: bytes) -> bool:
    """Tell whether it is a small JPEG of something."""
    with av.open(io.BytesIO(poster), "r") as file:
        gray = bytes(next(file.decode(video=0)).reformat(format="gray").planes[0])
    return len(poster) <= POSTER_BYTES and max(gray) - min(gray) > 100


def test_a_picture_is_shown_of_what_is_not_blank_if_there_is_something() -> None:
    _, poster = found(ranges_of(vp9(blank=25)))
    assert is_picture(poster)
    _, poster = found(ranges_of(vp9(blank=50)))
    with av.open(io.BytesIO(poster), "r") as file:
        assert len(list(file.decode(video=0))) == 1


def test_a_picture_is_made_worse_and_smaller_until_it_is_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = av.VideoFrame(480, 480, "yuv420p")
    for plane in frame.planes:
        plane.update(random.Random(1).randbytes(plane.buffer_size))
    sizes = []
    for limit in (200_000, POSTER_BYTES, 5_000):
        monkeypatch.setattr("tasks.media.probe.POSTER_BYTES", limit)
        jpeg = _jpeg(frame)
        assert 0 < len(jpeg) <= limit
        with av.open(io.BytesIO(jpeg), "r") as file:
            sizes.append(next(file.decode(video=0)).width)
    assert sizes[0] == 480 > sizes[-1] == 160
    monkeypatch.setattr("tasks.media.probe.POSTER_BYTES", 500)
    assert _jpeg(frame) == b""


def test_all_that_a_table_of_facts_has_is_known() -> None:
    facts, _ = found(ranges_of(media.video_mp4()))
    video, audio = facts.of("video"), facts.of("audio")
    assert video is not None
    assert (video.codec, video.width, video.height, video.frame_rate) == ("h264", 640, 360, 24)
    assert audio is not None
    assert (audio.codec, audio.channels, audio.sample_rate) == ("aac", 1, 48_000)
    assert not facts.estimated


@pytest.mark.parametrize(
    ("sound", "codec", "seconds"), [(media.audio_mp3(), "mp3", 7.224), (media.track_webm(2), "opus", 2.0)]
)
def test_sound_alone_is_known_and_has_no_picture(sound: bytes, codec: str, seconds: float) -> None:
    facts, poster = found(ranges_of(sound))
    assert [stream.codec for stream in facts.streams] == [codec]
    assert facts.duration_s == pytest.approx(seconds, abs=0.05)
    assert facts.troubles == ()
    assert poster == b""


def test_a_file_that_was_cut_ends_before_its_header_says() -> None:
    track = media.track_webm(1)
    facts, _ = found(ranges_of(track[: len(track) // 2]))
    assert facts.duration_s == pytest.approx(3, abs=0.05)
    assert facts.end_s < 2


def test_where_a_fragment_begins_is_not_taken_from_what_is_in_a_picture() -> None:
    video = bytearray(media.video_mp4())
    video[-5000:-4996] = b"moof"
    file = file_of(bytes(video))
    assert list(find_last_fragments(file, layout_of(bytes(video)))) == moofs(media.video_mp4())
    facts, _ = found(ranges_of(bytes(video)))
    assert facts.end_s == pytest.approx(32 / 3, abs=0.1)
    assert facts.troubles == ()


def moofs(video: bytes) -> list[int]:
    return [offset for offset, kind, _ in media.boxes(video) if kind == b"moof"][::-1]


def test_fragments_are_found_last_one_first_and_on_the_border_of_two_reads() -> None:
    live = remuxed(vp8(), "webm", 4, live="1")
    clusters = [match.start() for match in re.finditer(rb"\x1f\x43\xb6\x75", live)]
    assert len(clusters) > 1
    assert list(find_last_fragments(file_of(live), layout_of(live))) == clusters[::-1]
    far = live[:4] + bytes(WINDOW - 6) + live[clusters[0] :]
    assert layout_of(far).first == WINDOW - 2


def test_boxes_that_count_in_64_bits_or_reach_to_the_end_are_understood() -> None:
    video = media.video_mp4()
    first = video.index(b"moof") - 4
    empty, wide = struct.pack(">I4s", 8, b"free"), struct.pack(">I4sQ", 1, b"free", 24) + bytes(8)
    layout = layout_of(video[:first] + empty + wide + video[first:])
    assert layout == replace(layout_of(video), first=first + 32, second=layout_of(video).second + 32)
    last = video.rindex(b"mdat") - 4
    open_end = video[:last] + struct.pack(">I", 0) + video[last + 4 :]
    facts, _ = found(ranges_of(open_end))
    assert facts.end_s == pytest.approx(32 / 3, abs=0.1)


def layout_of(data: bytes) -> FragmentLayout:
    layout = read_layout(file_of(data))
    assert layout is not None
    return layout


def file_of(data: bytes) -> RangedFile:
    ranges = ranges_of(data)
    return RangedFile(ranges.read_at, ranges.size)


@pytest.mark.parametrize(
    "make",
    [lambda: media.video_mp4(), lambda: remuxed(vp8(), "webm", live="1")],  # noqa: PLW0108 - as the other
    ids=["mp4", "webm"],
)
def test_a_file_whose_end_holds_no_fragment_is_said_to_be_so(make: Callable[[], bytes]) -> None:
    facts, _ = found(ranges_of(make() + bytes(SEARCHED + WINDOW)))
    assert "no fragment is to be found near its end" in facts.troubles
    assert (facts.duration_s, facts.end_s) == (0, 0)


def test_what_is_not_made_of_fragments_has_no_layout() -> None:
    for data in (b"", b"1234567", remuxed(media.video_mp4(), "mp4"), b"\0\0\0\x07ftyp" * 9, media.audio_mp3()):
        assert read_layout(file_of(data)) is None


def test_between_the_header_and_a_fragment_there_is_nothing_left() -> None:
    video = media.video_mp4(2 * MIB)
    layout, file = layout_of(video), file_of(video)
    last = next(find_last_fragments(file, layout))
    assert last == moofs(video)[0]
    view = skip_to_fragment(file, layout, last)
    seen = view.read_at(0, view.size)
    assert [kind for _, kind, _ in _boxes(view)] == [b"ftyp", b"moov", b"free", b"moof", b"mdat"]
    assert (seen[: layout.first], seen[last:]) == (video[: layout.first], video[last : view.size])
    pieces = b"".join(view.read_at(at, 5) for at in range(layout.first - 20, layout.first + 40, 5))
    assert pieces == seen[layout.first - 20 : layout.first + 40]
    assert skip_to_fragment(file, layout, layout.first).read_at(0, layout.second) == video[: layout.second]
    assert find_fragment_after(file, layout, layout.first) == layout.first
    assert find_fragment_after(file, layout, last + 8) is None


@pytest.mark.parametrize(
    ("make", "start", "cut"),
    [
        (lambda: remuxed(vp8(), "webm", 4, live="1"), b"\x1f\x43\xb6\x75", b"\x1f\x43\xb6\x75"),
        (lambda: media.video_mp4(), b"moof", b"mdat"),  # noqa: PLW0108 - as the other
    ],
    ids=["webm", "mp4"],
)
def test_a_file_that_was_cut_in_its_last_fragments_first_packet_ends_with_the_one_before(
    make: Callable[[], bytes], start: bytes, cut: bytes
) -> None:
    whole = make()
    facts, _ = found(ranges_of(whole[: whole.rindex(cut) + 50]))
    before, _ = found(ranges_of(whole[: whole.rindex(start) - 4]))
    assert facts.troubles == ()
    assert facts.duration_s == facts.end_s == pytest.approx(before.end_s, abs=0.05)
    assert facts.end_s > 4


NO_MEDIA: dict[str, Callable[[], bytes]] = {
    "nothing": bytes,
    "text": lambda: b"video" * 1000,
    "page": lambda: b"<!DOCTYPE html><html>no</html>",
    "mere beginning": lambda: vp8()[:20],
}


@pytest.mark.parametrize("make", NO_MEDIA.values(), ids=NO_MEDIA)
def test_what_is_no_media_is_said_to_be_none(make: Callable[[], bytes]) -> None:
    facts, _ = found(ranges_of(make()))
    assert facts.streams == ()
    assert facts.container == ""
    assert "nothing understands it as media" in facts.troubles[0]


def test_a_file_without_streams_is_said_to_have_none() -> None:
    header = b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00"
    mvhd = struct.pack(">I4s", 108, b"mvhd") + bytes(12) + struct.pack(">II", 1000, 5000) + bytes(80)
    facts, _ = found(ranges_of(header + struct.pack(">I4s", 116, b"moov") + mvhd))
    assert facts.streams == ()
    assert len(facts.troubles) == 1


def test_an_endless_index_is_given_up_when_too_much_would_have_to_be_read() -> None:
    header = b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + struct.pack(">I4sQ", 1, b"moov", 1 << 40)
    block = struct.pack(">I4s", 4096, b"udta") + bytes(4088)
    endless = BlockReader(
        lambda start, stop: (header + block * 64)[start:stop] or block * (BLOCK // 4096), 1 << 41, 2 * MIB
    )
    facts, _ = found(endless)
    assert facts.streams == ()
    assert endless.fetched <= 2 * MIB


def test_a_frame_of_monstrous_size_is_not_decoded() -> None:
    """VP8 has the size in each key frame: RFC 6386, section 9.1."""
    small, start = vp8(), b"\x9d\x01\x2a"
    assert start in small
    monstrous = re.sub(re.escape(start) + rb"....", start + b"\xff\x3f\xff\x3f", small, flags=re.DOTALL)
    assert MAX_PIXELS < 0x3FFF * 0x3FFF
    facts, poster = found(ranges_of(monstrous))
    assert any("video" in trouble for trouble in facts.troubles), facts
    assert poster == b""


def test_a_playlist_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg itself would follow it, to any file whose name is relative."""
    (tmp_path / "somebodys.mp4").write_bytes(media.video_mp4())
    monkeypatch.chdir(tmp_path)
    facts, _ = found(ranges_of(b"ffconcat version 1.0\nfile somebodys.mp4\n"))
    assert facts.streams == ()


def test_blocks_are_read_once_and_few_are_kept() -> None:
    read: list[tuple[int, int]] = []

    def fetch(start: int, stop: int) -> bytes:
        read.append((start, stop))
        return bytes(stop - start)

    ranges = BlockReader(fetch, 100 * BLOCK + 5, budget=200 * BLOCK)
    assert len(ranges.read_at(BLOCK - 1, 2)) == 2
    assert ranges.read_at(100 * BLOCK + 3, 10) == bytes(2)
    assert ranges.read_at(1 << 50, 1) == ranges.read_at(-1, 5) == b""
    assert read == [(0, BLOCK), (BLOCK, 2 * BLOCK), (100 * BLOCK, 100 * BLOCK + 5)]
    for number in range(100):
        ranges.read_at(number * BLOCK, 1)
    assert len(ranges._blocks) == KEPT_BLOCKS
    with pytest.raises(BudgetSpent):
        ranges_of(bytes(3 * BLOCK), budget=2 * BLOCK).read_at(0, 3 * BLOCK)
