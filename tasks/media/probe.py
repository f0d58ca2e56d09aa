"""Media files, read by PyAV (FFmpeg): their streams, how far they can be played, and a frame to look at.

What it reads may be damaged or made to do harm: it is run in a process of its own, see `sandbox`. It decodes the
formats that recordings come in and no others, opens nothing but the one file, and decodes no frame beyond a size.
PyAV is an optional extra, and imported only here.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from tasks.media import fragments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.container import InputContainer
    from av.video.frame import VideoFrame

    from tasks.media.ranged_file import RangedFile

MAX_PIXELS = 4096 * 4096
MAX_STREAMS = 64
MAX_PACKETS = 20_000
"""Looked at near the end of a file: a minute or more of picture and sound."""
MOST_FRAMES = 1000
"""In a second, exclusive; where no frame is to be had, FFmpeg takes the ticks of the file's clock for them."""
TRIED_FRAGMENTS = 3
TRIED_PACKETS = 500
"""After so many packets without a single frame, a stream counts as one that cannot be decoded."""
BUFFER = 64 * 1024
POSTER_SIZES = (480, 320, 160)
"""Pixels of the longer side, tried in turn until the picture is small enough."""
JPEG_QUALITIES = (4, 9, 20)
"""FFmpeg's scale from 1, the best, to 31."""
MICROSECONDS = 1_000_000
POSTER_BYTES = 28_000
"""As base64 in a data URL a third more, less than 40 KB."""
POSTER_PLACES = (0.1, 0.3, 0.5, 0.7, 0.0)
FLAT = 24
"""A frame whose brightness varies by less, of 255, is a blank one."""

# A playlist is media to FFmpeg as well, and would have it open whatever file or address is in it.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mp3,aac,ogg,wav,flac"
_DECODERS = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "aac", "mp3", "mp3float", "opus", "vorbis", "flac",
             "pcm_s16le")  # fmt: skip
_OPTIONS = {
    "format_whitelist": _FORMATS,
    "codec_whitelist": ",".join(_DECODERS),
    "max_streams": str(MAX_STREAMS),
    "max_pixels": str(MAX_PIXELS),
    "threads": "1",
}
_ESTIMATED = {"mp3", "aac"}
"""Formats without an index, whose length FFmpeg guesses from the bit rate."""


@dataclass(frozen=True)
class Stream:
    """One stream of a media file; what is not known, or does not apply, is 0."""

    kind: str  # video, audio, …
    codec: str
    bit_rate: int = 0  # bits per second
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    channels: int = 0
    sample_rate: int = 0  # Hz


@dataclass(frozen=True)
class Facts:
    """What a media file is, as far as it could be made out."""

    container: str = ""  # FFmpeg's names of the format; empty if nothing is known of the file
    duration_s: float = 0.0  # 0 if nobody knows
    estimated: bool = False  # whether the duration is a guess, from the bit rate
    end_s: float = 0.0  # where the last packet that is there ends; 0 if that is not known
    streams: tuple[Stream, ...] = ()
    troubles: tuple[str, ...] = ()  # what did not work, in words

    def of(self, kind: str) -> Stream | None:
        """Return the first stream of a kind."""
        return next((stream for stream in self.streams if stream.kind == kind), None)


def examine(file: RangedFile, tell: Callable[[Facts], None], show: Callable[[bytes], None] | None) -> None:
    """Find out what a media file is.

    Args:
        file: the file.
        tell: is given the facts, and again whenever more is known: the last ones count.
        show: is given a JPEG of a frame, if a frame is wanted and there is one.
    """
    layout: fragments.FragmentLayout | None = None
    facts = Facts()
    steps: list[tuple[str, Callable[[], Facts]]] = [
        ("nothing understands it as media", lambda: _described(file, layout)),
        ("it cannot be read to its end", lambda: _measured(file, layout, facts)),
        ("its video cannot be decoded", lambda: _decoded(file, layout, facts, "video")),
        ("its audio cannot be decoded", lambda: _decoded(file, layout, facts, "audio")),
    ]
    with _ignored():
        layout = fragments.read_layout(file)
    for what, step in steps:
        try:
            facts = step()
        except _failures() as error:
            facts = replace(facts, troubles=(*facts.troubles, f"{what}: {_reason(error)}"))
        tell(facts)
        if not facts.streams:
            return
    if show is not None and facts.of("video"):
        poster = _poster(file, layout, facts)
        if poster:
            show(poster)


@contextmanager
def _opened(file: RangedFile) -> Iterator[InputContainer]:
    import av  # noqa: PLC0415 - see above

    file.seek(0)
    with av.open(
        file, "r", options=_OPTIONS, metadata_errors="replace", buffer_size=BUFFER, io_open=_nothing_else
    ) as container:
        yield container


def _nothing_else(*_: object) -> None:
    message = "it refers to another file"
    raise OSError(message)


def _described(file: RangedFile, layout: fragments.FragmentLayout | None) -> Facts:
    """Read what the header says; a live one says nothing of the duration, or nothing that is true."""
    live = layout is not None and layout.mp4
    with _opened(fragments.end_after_first(file, layout) if layout and live else file) as container:
        duration_s = 0.0 if live else (container.duration or 0) / MICROSECONDS
        streams = tuple(_stream(stream) for stream in container.streams)
        name = container.format.name
    troubles = () if streams else ("it has no stream at all",)
    return Facts(name, max(duration_s, 0.0), name in _ESTIMATED, streams=streams, troubles=troubles)


def _stream(stream: Any) -> Stream:
    context = stream.codec_context
    codec = context.codec.canonical_name if context else ""
    known = Stream(stream.type or "unknown", codec, int(stream.bit_rate or 0) if context else 0)
    if known.kind == "video":
        rate = round(float(stream.average_rate or stream.guessed_rate or 0), 3)
        frame_rate = rate if rate < MOST_FRAMES else 0.0
        return replace(known, width=context.width, height=context.height, frame_rate=frame_rate)
    if known.kind == "audio":
        return replace(known, channels=context.channels, sample_rate=context.sample_rate)
    return known


def _measured(file: RangedFile, layout: fragments.FragmentLayout | None, known: Facts) -> Facts:
    """Look how far the packets go that are really there."""
    if known.estimated or not known.streams:
        return known
    if layout is None:
        with _opened(file) as container:
            container.seek(int(known.duration_s * MICROSECONDS))
            end_s = _end_s(container)
    else:
        near_end = fragments.find_last_fragments(file, layout)
        last = next(near_end, None)
        if last is None:
            return replace(known, troubles=(*known.troubles, "no fragment is to be found near its end"))
        # Of a file that was cut, the last one may hold no whole packet.
        tried = chain([last], islice(near_end, TRIED_FRAGMENTS - 1))
        end_s = next(filter(None, (_end_of_fragment_s(file, layout, fragment) for fragment in tried)), 0.0)
    return replace(known, duration_s=known.duration_s or end_s, end_s=end_s)


def _end_of_fragment_s(file: RangedFile, layout: fragments.FragmentLayout, fragment: int) -> float:
    with _ignored(), _opened(fragments.skip_to_fragment(file, layout, fragment)) as container:
        return _end_s(container)
    return 0.0


def _end_s(container: InputContainer) -> float:
    end_s = 0.0
    with _ignored():
        for packet in islice(container.demux(), MAX_PACKETS):
            if packet.pts is not None and packet.time_base is not None and not packet.is_corrupt:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return end_s


def _decoded(file: RangedFile, layout: fragments.FragmentLayout | None, known: Facts, kind: str) -> Facts:
    """Decode one frame of the first stream of a kind, or say that it is not to be had."""
    stream = known.of(kind)
    if stream is None:
        return known
    if stream.width * stream.height > MAX_PIXELS:
        trouble = f"its picture is {stream.width} x {stream.height}, more than is decoded here"
        return replace(known, troubles=(*known.troubles, trouble))
    with _opened(fragments.end_after_first(file, layout) if layout and layout.mp4 else file) as container:
        if _first_frame(container, kind) is not None:
            return known
    return replace(
        known, troubles=(*known.troubles, f"its {kind} ({stream.codec or 'of no known codec'}) cannot be decoded")
    )


def _first_frame(container: InputContainer, kind: str) -> Any:
    """Return the first frame from here on, None if there is none soon."""
    stream: Any = next((stream for stream in container.streams if stream.type == kind), None)
    if stream is None or stream.codec_context is None or stream.codec_context.name not in _DECODERS:
        return None
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS), "threads": "1"}
    for packet in islice(container.demux(stream), TRIED_PACKETS):
        with _ignored():
            for frame in packet.decode():
                return frame
    return None


def _poster(file: RangedFile, layout: fragments.FragmentLayout | None, known: Facts) -> bytes:
    """Return a frame as a JPEG: the first of a few that is not blank, or a blank one."""
    blank: VideoFrame | None = None
    for place in POSTER_PLACES:
        with _ignored():
            frame = _frame_at(file, layout, known, place)
            if frame is not None and not _is_flat(frame):
                return _jpeg(frame)
            blank = blank or frame
    return _jpeg(blank) if blank else b""


def _frame_at(
    file: RangedFile, layout: fragments.FragmentLayout | None, known: Facts, place: float
) -> VideoFrame | None:
    view = file
    if layout is not None:
        fragment = fragments.find_fragment_after(file, layout, layout.first + int(place * (file.size - layout.first)))
        if fragment is None:
            return None
        view = fragments.skip_to_fragment(file, layout, fragment)
    with _opened(view) as container:
        if layout is None and place:
            container.seek(int(place * known.duration_s * MICROSECONDS))
        frame: VideoFrame | None = _first_frame(container, "video")
        return frame


def _is_flat(frame: VideoFrame) -> bool:
    plane = frame.reformat(32, 32, "gray").planes[0]
    row = plane.line_size
    grays = [gray for y in range(32) for gray in bytes(plane)[y * row : y * row + 32]]
    return max(grays) - min(grays) < FLAT


def _jpeg(frame: VideoFrame) -> bytes:
    """Return a frame as a JPEG that is small enough; nothing if it cannot be made so."""
    for size in POSTER_SIZES:
        scale = min(1.0, size / frame.width, size / frame.height)
        width, height = (max(2, int(side * scale) // 2 * 2) for side in (frame.width, frame.height))
        for quality in JPEG_QUALITIES:
            jpeg = _encoded(frame, width, height, quality)
            if len(jpeg) <= POSTER_BYTES:
                return jpeg
    return b""


def _encoded(frame: VideoFrame, width: int, height: int, quality: int) -> bytes:
    import av  # noqa: PLC0415 - see above

    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "yuvj420p", Fraction(1, 1)
    encoder.options = {"qmin": str(quality), "qmax": str(quality)}
    picture = frame.reformat(width, height, "yuvj420p")
    picture.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])


@contextmanager
def _ignored() -> Iterator[None]:
    with suppress(*_failures()):
        yield


def _failures() -> tuple[type[Exception], ...]:
    """Return what a file can make PyAV raise; what else may come is not the file's."""
    import av  # noqa: PLC0415 - see above

    return (av.FFmpegError, OSError, MemoryError, ValueError, ArithmeticError)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
