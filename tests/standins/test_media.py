"""The media that stand in for recordings are what they say, and as long as one likes."""

import itertools
from collections import defaultdict

import pytest

from tests.standins import media

MIB = 1024 * 1024


def kinds(video: bytes) -> list[bytes]:
    return [kind for _, kind, _ in media.boxes(video)]


def test_the_shipped_video_is_one_loop_of_two_fragments() -> None:
    video = media.video_mp4()
    assert kinds(video) == [b"ftyp", b"moov", b"moof", b"mdat", b"moof", b"mdat"]
    assert b"mvex" in video[: video.index(b"moof")]
    assert media.video_seconds(video) == pytest.approx(10.667, abs=0.001)


@pytest.mark.parametrize("size", [1, 607_063, 607_064, 3 * MIB + 1])
def test_a_video_is_at_least_as_big_as_asked_and_no_loop_bigger(size: int) -> None:
    loop = len(media.video_mp4())
    assert size <= len(media.video_mp4(size)) < size + loop


def test_a_long_video_is_whole_boxes_to_its_last_byte() -> None:
    video = media.video_mp4(3 * MIB)
    offset, kind, size = list(media.boxes(video))[-1]
    assert (kind, offset + size) == (b"mdat", len(video))
    assert kinds(video) == [b"ftyp", b"moov", *[b"moof", b"mdat"] * kinds(video).count(b"moof")]


def test_the_fragments_of_a_long_video_are_numbered_without_a_gap() -> None:
    numbers = [number for _, number, *_ in media.fragment_clocks(media.video_mp4(3 * MIB))]
    assert numbers == [number for number in range(1, len(numbers) // 2 + 1) for _track in (1, 2)]


def test_picture_and_sound_of_a_long_video_go_on_at_an_even_pace() -> None:
    starts: dict[int, list[int]] = defaultdict(list)
    for _, _, track, _, time in media.fragment_clocks(media.video_mp4(3 * MIB)):
        starts[track].append(time)
    steps = {track: {b - a for a, b in itertools.pairwise(times)} for track, times in starts.items()}
    half_a_loop = media.VIDEO_LOOP_SECONDS / 2
    assert steps == {1: {round(half_a_loop * 12_288)}, 2: {round(half_a_loop * 48_000)}}


def test_a_video_is_the_same_bytes_every_time() -> None:
    assert media.video_mp4(MIB) == media.video_mp4(MIB)


def test_a_long_mp3_is_nothing_but_frames() -> None:
    audio = media.audio_mp3(200_000)
    assert len(audio) >= 200_000
    assert len(audio) % media.AUDIO_FRAME_BYTES == 0
    assert {audio[at : at + 3] for at in range(0, len(audio), media.AUDIO_FRAME_BYTES)} == {b"\xff\xfb\x54"}
    assert media.audio_seconds(media.audio_mp3()) == pytest.approx(7.224)


def test_the_two_tracks_are_different_webm_files() -> None:
    tracks = [media.track_webm(number) for number in media.TRACK_SECONDS]
    assert all(track.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in track[:64] for track in tracks)
    assert tracks[0] != tracks[1]
