"""Sources that lie: each lie on the first try only, which costs an attempt, and for ever, which nothing may believe.

One lie is not here, as nobody could tell it from the truth: other bytes of the right number under the right headers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.standins.faults import HTML
from tests.standins.lies import ShortRange
from tests.standins.realtimekit import (
    Answer,
    Chunked,
    Drip,
    Drop,
    Empty200,
    Gzip,
    Headers,
    HtmlPage,
    IgnoreRange,
    InTurn,
    LongBody,
    OtherETag,
    OtherType,
    ShortBody,
    SyntheticContent,
    WrongRange,
    WrongTotal,
)
from tests.torture.scenario import Expect
from tests.torture.source.scripts import (
    always,
    audio_only,
    by_rule,
    faulty,
    first_try,
    in_turn,
    later_ranges,
    sized,
    tracks,
    when,
    with_source,
)
from tests.torture.source.trouble import SourceTrouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.standins.realtimekit import Fault, FileRequest, StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.source.scripts import Arrange, Rule

INTACT, REFUSED, RESUMED = Expect.INTACT, Expect.REFUSED, Expect.RESUMED
OF_OTHERS_TOO = {"html-in-pieces", "text-plain", "part-as-whole"}
"""Lies that the normal suite hears of audio and of videos without an announced size, too."""
RIGHT_AFTER_ALL = {"html-200", "html-as-media", "gzip-unsaid-chunked", "later-range", "short-body", "long-chunked"}
"""Lies whose end the normal suite waits for, too; of the others it hears the one that has none."""


def _of_video(rule: Rule) -> Arrange:
    return faulty(lambda bench, _: sized(bench), rule)


def _of_unannounced(rule: Rule) -> Arrange:
    return faulty(lambda bench, _: sized(bench, file_size=None), rule)


def _of_audio(rule: Rule) -> Arrange:
    return faulty(lambda bench, _: audio_only(bench), rule)


@dataclass(frozen=True)
class Lie:
    """A lie that is told once of each range, or for ever: of a video, of one without an announced size, of audio."""

    name: str
    what: str
    fault: Fault

    def troubles(self) -> Iterator[SourceTrouble]:
        """Yield the troubles that come of it."""
        of_others = self.name in OF_OTHERS_TOO
        yield from self._told_of("", "", _of_video, once=self.name in RIGHT_AFTER_ALL, always=True)
        yield from self._told_of(
            "-of-unannounced",
            ", of a video without an announced size",
            _of_unannounced,
            once=of_others,
            always=of_others,
        )
        yield from self._told_of("-of-audio", ", of audio", _of_audio, once=of_others, always=of_others)

    def _told_of(
        self, name: str, what: str, arrange: Callable[[Rule], Arrange], *, once: bool, always: bool
    ) -> Iterator[SourceTrouble]:
        """Yield the troubles of one kind of file.

        Args:
            once: the normal suite meets the lie that is told at the first try.
            always: it meets the one that is told every time.
        """
        what = f"{self.what}{what}"
        yield SourceTrouble(
            f"{self.name}{name}-at-first",
            f"{what}, at the first try",
            INTACT,
            arrange(first_try(self.fault)),
            short=once,
        )
        yield SourceTrouble(
            f"{self.name}{name}", f"{what}, every time", REFUSED, arrange(lambda _: self.fault), short=always
        )


def _page(content_type: str | None, body: bytes = HTML) -> Answer:
    return Answer(200, {} if content_type is None else {"Content-Type": content_type}, body)


FEWER_BY_LENGTH = InTurn(ShortRange(4096), Headers("Accept-Ranges", "bytes", 200))
IN_PIECES = InTurn(_page("audio/mpeg", b"\n<p>No</p>"), Drip(39))
JSON, XML = b'{"error": "try again"}', b'<?xml version="1.0"?><Error><Code>InternalError</Code></Error>'
LIES: tuple[Lie, ...] = (
    Lie("html-200", "a web page with status 200", HtmlPage()),
    Lie("html-as-media", "a web page with status 200 that calls itself a video", _page("video/mp4")),
    Lie("html-in-pieces", "a web page of which a newline comes first, and the rest byte by byte", IN_PIECES),
    Lie("html-half-a-bom", "a web page after half a byte order mark", _page("audio/mpeg", b"\xef\xbb" + HTML)),
    Lie("html-utf-16", "a web page in UTF-16", _page("video/webm", HTML.decode().encode("utf-16"))),
    Lie("text-plain", "a message without any markup, as media", _page("video/mp4", b"upstream connect error\n")),
    Lie("text-csv", "a table, as audio", _page("audio/mpeg", b"id;name\r\n" + b"1;Ann\r\n" * 9000)),
    Lie("html-untyped", "a web page with status 200 and no type", _page(None)),
    Lie("json-200", "JSON with status 200", _page("application/json", JSON)),
    Lie("json-as-bytes", "JSON with status 200 that calls itself bytes", _page("application/octet-stream", JSON)),
    Lie("xml-200", "an S3 error document with status 200", Answer.xml(200, "InternalError", "Try again.")),
    Lie("xml-as-media", "an S3 error document that calls itself a video", _page("video/mp4", XML)),
    Lie("empty-200", "status 200 and not a byte", Empty200()),
    Lie("part-as-whole", "the first 4096 bytes with status 200, and Content-Range says more", FEWER_BY_LENGTH),
    Lie("later-range", "a range one byte on, and says so", WrongRange(1)),
    Lie("earlier-range", "a range 4096 bytes before, or another end, and says so", WrongRange(-4096)),
    Lie("later-range-in-header", "the right bytes under another range", WrongRange(1, lie="header")),
    Lie("total-unknown", "a range of a file of unknown size", WrongTotal(None)),
    Lie("range-unsaid", "206 without Content-Range", Headers("Content-Range", None)),
    Lie("range-in-items", "206 with a Content-Range of another unit", Headers("Content-Range", "items 0-99/100")),
    Lie("short-body", "a byte less than the range, announced", ShortBody()),
    Lie("short-range", "a byte less than asked for, and says so", ShortBody(honest_range=True)),
    Lie("long-body", "a byte more than the range, announced", LongBody()),
    Lie("long-chunked", "a byte more than the range, in chunks", InTurn(LongBody(), Chunked())),
    Lie("long-chunked-start", "70 kB more than the range, in chunks", InTurn(LongBody(70_000), Chunked())),
    Lie("gzip", "the range compressed", Gzip()),
    Lie("gzip-unsaid", "the range compressed, and no word of it", Gzip(said=False)),
    Lie("gzip-unsaid-chunked", "the same in chunks", InTurn(Gzip(said=False), Chunked())),
    Lie("brotli-said", "plain bytes that call themselves compressed", Headers("Content-Encoding", "br")),
    Lie("text", "the right bytes as text/plain", OtherType("text/plain")),
    Lie("no-content-204", "status 204", Answer(204)),
    Lie("multi-status-207", "status 207", Answer(207, {}, XML)),
    Lie("not-modified-304", "status 304", Answer(304)),
    Lie("redirect-nowhere", "a redirect without a target", Answer(302)),
    Lie("byte-ranges", "multipart/byteranges with status 203", Headers("Content-Type", "multipart/byteranges", 203)),
)


def _replaced(_bench: Archiving, recording: StandInRecording, shorter_by: int = 0, **source: object) -> None:
    video = recording.video
    assert video is not None
    video.replace(SyntheticContent(video.size - shorter_by, seed=99), **source)  # type: ignore[arg-type]


def _second(request: FileRequest) -> bool:
    return request.number_of_file == 2


def _each_another_etag(bench: Archiving, _seed: int) -> StandInRecording:
    bench.kit.file_faults = lambda request: OtherETag(f'"object-{request.number}"')
    return sized(bench)


def _kept_etag(bench: Archiving, recording: StandInRecording) -> None:
    assert recording.video is not None
    _replaced(bench, recording, 5000, etag=recording.video.object.etag)


def _audio_lies(bench: Archiving, _seed: int) -> StandInRecording:
    bench.kit.file_faults = lambda _: _page("audio/mpeg")
    return audio_only(bench)


def _audio_lies_at_first(bench: Archiving, _seed: int) -> StandInRecording:
    bench.kit.file_faults = first_try(_page("audio/mpeg"))
    return audio_only(bench)


def _video_lies(bench: Archiving, _seed: int) -> StandInRecording:
    recording = audio_only(bench)
    recording.video = sized(bench).video
    bench.kit.file_faults = lambda request: HtmlPage() if request.name == recording.video_name else None
    return recording


def _one_track(fault: Fault, tries: int) -> Arrange:
    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        bench.kit.file_faults = lambda r: fault if r.name == "track_17.webm" and r.number_of_file <= tries else None
        return tracks(bench, 30)

    return arrange


def _replaced_while_dropping(etag: str | None) -> Arrange:
    """Let a source without a strong ETag break off, and be another object when it is asked again."""
    arrange = faulty(with_source(etag=etag), lambda r: Drop(100_000) if r.number_of_file == 1 else None)
    return when(_second, lambda bench, recording: _replaced(bench, recording, etag=etag), arrange)


def _flapping(bench: Archiving, _seed: int) -> StandInRecording:
    """Let two servers that hold different objects answer in turn."""
    recording = sized(bench)
    assert recording.video is not None
    size = recording.video.size
    bench.kit.on_file_request = lambda r: _replaced(bench, recording) if r.number % 2 else _restored(recording, size)
    return recording


def _audio_of_three_parts(bench: Archiving, _seed: int) -> StandInRecording:
    bench.kit.file_faults = lambda _: WrongTotal(3 * bench.part)
    return audio_only(bench)


def _restored(recording: StandInRecording, size: int) -> None:
    assert recording.video is not None
    recording.video.replace(SyntheticContent(size, seed=size))


TOTAL = WrongTotal(10_000_000_000)
WHOLE = IgnoreRange()
TROUBLES: tuple[SourceTrouble, ...] = (
    *(trouble for lie in LIES for trouble in lie.troubles()),
    SourceTrouble("total-other", "a range of a larger file than the API names", REFUSED, always(TOTAL)),
    SourceTrouble("total-smaller", "a range of a smaller file", REFUSED, always(WrongTotal(100))),
    SourceTrouble(
        "total-other-later", "a larger file at the first try of later ranges", INTACT,
        by_rule(lambda r: TOTAL if r.start and r.attempt == 1 else None),
    ),
    SourceTrouble("ranges-ignored", "the whole file for each range", INTACT, always(WHOLE)),
    SourceTrouble("ranges-ignored-at-first", "the whole file at first, then ranges", INTACT, in_turn(WHOLE)),
    SourceTrouble("ranges-ignored-later", "the whole file for all later ranges", INTACT,
                  by_rule(later_ranges(WHOLE))),
    SourceTrouble("long-unannounced", "a byte after the end of each body", INTACT,
                  always(LongBody(1, announced=False))),
    SourceTrouble("chunked", "ranges in chunks", INTACT, always(Chunked())),
    SourceTrouble("etag-other-later", "another ETag at the first try of later ranges", INTACT,
                  by_rule(lambda r: OtherETag() if r.start and r.attempt == 1 else None)),
    SourceTrouble("etag-changing", "another ETag with each answer", RESUMED, _each_another_etag),
    SourceTrouble("etag-weak", "a weak ETag", INTACT, with_source(etag='W/"weak"')),
    SourceTrouble("etag-missing", "no ETag", INTACT, with_source(etag=None)),
    SourceTrouble("etag-empty", "an empty ETag", INTACT, with_source(etag='""')),
    SourceTrouble("etag-huge", "an ETag of 6 kB", INTACT, with_source(etag=f'"{"e" * 6000}"')),
    SourceTrouble("etag-odd", "an ETag of letters that no header has", INTACT, with_source(etag='"\xe9 \x01"')),
    SourceTrouble("etag-injecting", "an ETag that brings another header", INTACT,
                  with_source(etag='W/"a"\r\nX-A: "b"')),
    SourceTrouble("type-injecting", "a type that brings another header", INTACT,
                  with_source(content_type="video/mp4\r\nX-Amz-Meta-Sha256: 0")),
    SourceTrouble("type-odd", "a type with letters that no header has", INTACT,
                  with_source(content_type="video/m\xe9")),
    SourceTrouble("type-huge", "a type of 6 kB", INTACT, with_source(content_type="video/" + "x" * 6000)),
    SourceTrouble("type-missing", "no type", INTACT, always(OtherType(None))),
    SourceTrouble("type-with-parameters", "a type with parameters", INTACT,
                  with_source(content_type='video/mp4; codecs="avc1.42E01E, mp4a.40.2"')),
    SourceTrouble("replaced", "another object of the same size in mid-transfer", RESUMED,
                  when(_second, _replaced, in_turn())),
    SourceTrouble("replaced-shorter", "a shorter object in mid-transfer", RESUMED,
                  when(_second, lambda b, r: _replaced(b, r, 5000), in_turn())),
    SourceTrouble("replaced-same-etag", "a shorter object under the same ETag", RESUMED,
                  when(_second, _kept_etag, in_turn())),
    SourceTrouble("replaced-weak", "a drop, then another object under the same weak ETag", RESUMED,
                  _replaced_while_dropping('W/"same"')),
    SourceTrouble("replaced-untagged", "a drop, then another object, both without ETag", RESUMED,
                  _replaced_while_dropping(None)),
    SourceTrouble("flapping", "two objects in turn", RESUMED, _flapping),
    SourceTrouble("audio-html-as-media", "a web page that calls itself audio", REFUSED, _audio_lies),
    SourceTrouble("audio-html-as-media-at-first", "the same, at the first try", INTACT, _audio_lies_at_first),
    SourceTrouble("video-lies-beside-audio", "good audio, and a web page for the video", REFUSED, _video_lies),
    SourceTrouble("one-of-thirty-lies", "one of thirty tracks is a web page", REFUSED, _one_track(HtmlPage(), 999)),
    SourceTrouble("one-of-thirty-lies-once", "one of thirty tracks is a web page once", INTACT,
                  _one_track(HtmlPage(), 1)),
    SourceTrouble("audio-total-larger", "audio of a larger total than there is", RESUMED, _audio_of_three_parts),
)  # fmt: skip
