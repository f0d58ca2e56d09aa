"""Media files of every layout for tests, made without a file: whole, live, long, hostile."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import av


@cache
def vp8() -> bytes:
    """Return two seconds of a moving pattern, as VP8 in WebM, with a key frame every second."""
    return _filmed("libvpx", "webm", 0)


def vp9(blank: int) -> bytes:
    """Return the same as VP9 in MP4, with an index; so many of its 50 frames, from the first on, show nothing."""
    return _filmed("libvpx-vp9", "mp4", blank)


def _filmed(codec: str, container: str, blank: int) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        # Negative: always that fast, and not as fast as the machine's load asks for; the bytes are the same each time.
        stream: Any = file.add_stream(codec, rate=25, options={"deadline": "realtime", "cpu-used": "-8"})
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.gop_size = 128, 96, "yuv420p", 25
        stream.bit_rate = 400_000
        for number in range(50):
            frame = _gray(128, 96) if number < blank else _pattern(128, 96, number)
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def _gray(width: int, height: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        plane.update(b"\x80" * plane.buffer_size)
    return frame


def _pattern(width: int, height: int, number: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        rows = (bytes((x * 3 + y * 5 + number * 7) & 255 for x in range(plane.line_size)) for y in range(plane.height))
        plane.update(b"".join(rows))
    return frame


def remuxed(source: bytes, container: str, times: int = 1, only: str = "", **options: str) -> bytes:
    """Return the packets of a file, so many times over, in a container: long media without an encoder.

    Args:
        only: the kind of streams to take, `audio` or `video`; empty for all.
    """
    out = io.BytesIO()
    with av.open(io.BytesIO(source), "r") as original, av.open(out, "w", format=container, options=options) as file:
        templates: dict[int, Any] = {its.index: its for its in original.streams if only in ("", its.type)}
        streams = {index: file.add_stream_from_template(stream) for index, stream in templates.items()}
        packets = [packet for packet in original.demux(*templates.values()) if packet.size]
        ends = {i: max(p.pts + p.duration for p in packets if p.stream_index == i) for i in templates}
        for turn in range(times):
            for packet in packets:
                index, copy = packet.stream_index, av.Packet(bytes(packet))
                copy.stream, copy.time_base = streams[index], templates[index].time_base
                copy.pts = packet.pts + turn * ends[index]
                copy.dts = (packet.pts if packet.dts is None else packet.dts) + turn * ends[index]
                copy.duration, copy.is_keyframe = packet.duration, packet.is_keyframe
                file.mux(copy)
    return out.getvalue()
