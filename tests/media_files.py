"""Media files of every layout for tests, made without a file: whole, live, long, hostile."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import av


@cache
def vp8() -> bytes:
    """Return two seconds of a moving pattern, as VP8 in WebM, with a key frame every second."""
    out = io.BytesIO()
    with av.open(out, "w", format="webm") as file:
        stream: Any = file.add_stream("libvpx", rate=25, options={"deadline": "realtime", "cpu-used": "8"})
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.gop_size = 128, 96, "yuv420p", 25
        stream.bit_rate = 400_000
        for number in range(50):
            frame = _pattern(128, 96, number)
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


def _pattern(width: int, height: int, number: int) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        rows = (bytes((x * 3 + y * 5 + number * 7) & 255 for x in range(plane.line_size)) for y in range(plane.height))
        plane.update(b"".join(rows))
    return frame


def remuxed(source: bytes, container: str, times: int = 1, **options: str) -> bytes:
    """Return the packets of a file, so many times over, in a container: long media without an encoder."""
    out = io.BytesIO()
    with av.open(io.BytesIO(source), "r") as original, av.open(out, "w", format=container, options=options) as file:
        templates: dict[int, Any] = {stream.index: stream for stream in original.streams}
        streams = {index: file.add_stream_from_template(stream) for index, stream in templates.items()}
        packets = [packet for packet in original.demux() if packet.size]
        ends = {i: max(p.pts + p.duration for p in packets if p.stream_index == i) for i in templates}  # type: ignore[operator]
        for turn in range(times):
            for packet in packets:
                index, copy = packet.stream_index, av.Packet(bytes(packet))
                copy.stream, copy.time_base = streams[index], templates[index].time_base
                copy.pts = packet.pts + turn * ends[index]  # type: ignore[operator]
                copy.dts = (packet.pts if packet.dts is None else packet.dts) + turn * ends[index]  # type: ignore[operator]
                copy.duration, copy.is_keyframe = packet.duration, packet.is_keyframe
                file.mux(copy)
    return out.getvalue()
