"""Real, playable media of any length from a few small files.

The files in `media/` were encoded once with PyAV: 256 frames of a moving noisy pattern and a tone as H.264 and AAC in a
fragmented MP4, whose two fragments start with a key frame and whose two tracks are equally long to the last sample; a
tone as MP3 of constant bit rate without a bit reservoir, a Xing frame or an ID3 tag; and two tones as Opus in WebM.
That is what lets fragments and frames be repeated here without an encoder and without a seam.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

VIDEO_LOOP_SECONDS = 32 / 3
"""How long the shipped video is, and every repetition of it."""

AUDIO_FRAME_SECONDS = 0.024
"""How long one frame of the MP3 is: 1152 samples at 48 kHz."""

AUDIO_FRAME_BYTES = 192
"""How big every frame of the MP3 is: 64 kbit/s."""

TRACK_SECONDS = {1: 3.0, 2: 2.0}
"""How long each WebM track is."""

_FOLDER = Path(__file__).with_suffix("")
# How far one repetition carries each track's clock, in the track's own time scale: 12288 (video) and 48000 (audio) Hz.
_LOOP_TICKS = {1: 131_072, 2: 512_000}
_CONTAINERS = {b"moof", b"traf"}


def video_mp4(min_bytes: int = 0) -> bytes:
    """Make a fragmented MP4 of at least `min_bytes`, with a picture and sound, by repeating the shipped fragments."""
    shipped = (_FOLDER / "video.mp4").read_bytes()
    start = next(offset for offset, kind, _ in boxes(shipped) if kind == b"moof")
    header, fragments = shipped[:start], shipped[start:]
    loops = max(1, -(-(min_bytes - len(header)) // len(fragments)))
    return header + b"".join(_later(fragments, loop) for loop in range(loops))


def video_seconds(video: bytes) -> float:
    """Tell how long a video from `video_mp4` is."""
    fragments = sum(kind == b"mdat" for _, kind, _ in boxes(video))
    return fragments / 2 * VIDEO_LOOP_SECONDS


def audio_mp3(min_bytes: int = 0) -> bytes:
    """Make an MP3 of at least `min_bytes` by repeating the shipped frames."""
    shipped = (_FOLDER / "audio.mp3").read_bytes()
    return shipped * max(1, -(-min_bytes // len(shipped)))


def audio_seconds(audio: bytes) -> float:
    """Tell how long an MP3 from `audio_mp3` is."""
    return len(audio) / AUDIO_FRAME_BYTES * AUDIO_FRAME_SECONDS


def track_webm(number: int) -> bytes:
    """Read one of the two short Opus tracks, 1 or 2."""
    return (_FOLDER / f"track-{number}.webm").read_bytes()


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes, int]]:
    """Walk over the MP4 boxes between two offsets, as (offset, kind, size)."""
    offset, end = start, len(data) if end is None else end
    while offset < end:
        size, kind = struct.unpack_from(">I4s", data, offset)
        yield offset, kind, size
        offset += size


def fragment_clocks(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Walk over the tracks of all fragments, as (mfhd's offset, its number, the track, tfdt's offset, its time)."""
    sequence_at = track = 0
    for offset, kind, _ in _inner_boxes(data, 0, len(data)):
        # A full box: size, kind, version and flags come before what counts.
        payload = offset + 12
        if kind == b"mfhd":
            sequence_at = payload
        elif kind == b"tfhd":
            (track,) = struct.unpack_from(">I", data, payload)
        elif kind == b"tfdt":
            (sequence,) = struct.unpack_from(">I", data, sequence_at)
            (time,) = struct.unpack_from(">Q", data, payload)
            yield sequence_at, sequence, track, payload, time


def _inner_boxes(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes, int]]:
    for offset, kind, size in boxes(data, start, end):
        yield offset, kind, size
        if kind in _CONTAINERS:
            yield from _inner_boxes(data, offset + 8, offset + size)


def _later(fragments: bytes, loop: int) -> bytes:
    """Move the fragments `loop` repetitions on: their numbers and the times at which they begin."""
    moved = bytearray(fragments)
    clocks = list(fragment_clocks(fragments))
    count = max(sequence for _, sequence, *_ in clocks)
    for sequence_at, sequence, track, time_at, time in clocks:
        struct.pack_into(">I", moved, sequence_at, sequence + loop * count)
        struct.pack_into(">Q", moved, time_at, time + loop * _LOOP_TICKS[track])
    return bytes(moved)
