"""Sources that are odd, and within HTTP's rules or close to them: what they send is believed as far as it is proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.standins.lies import RestOfFile
from tests.standins.media import video_mp4
from tests.standins.realtimekit import (
    Answer,
    Chunked,
    Headers,
    IgnoreRange,
    InTurn,
    MediaSource,
    NoLength,
    OtherETag,
    OtherType,
    ShortBody,
    WrongTotal,
)
from tests.torture.scenario import Expect
from tests.torture.source.scripts import always, faulty, first_tries, first_try, later_ranges, with_source
from tests.torture.source.trouble import SourceTrouble

if TYPE_CHECKING:
    from tests.standins.realtimekit import Fault, FileRequest, StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.source.scripts import Arrange, Rule

INTACT, REFUSED = Expect.INTACT, Expect.REFUSED


def _real(bench: Archiving, rule: Rule) -> StandInRecording:
    """Have a real video of which the API names no size."""
    bench.kit.file_faults = rule
    return bench.add(MediaSource(video_mp4(3 * bench.part)), file_size=None)


def _odd(fault: Fault) -> Arrange:
    return lambda bench, _: _real(bench, lambda _: fault)


def _odd_by(rule: Rule) -> Arrange:
    return lambda bench, _: _real(bench, rule)


def _refusing_its_etag(request: FileRequest) -> Fault | None:
    return Answer.xml(412, "PreconditionFailed", "no") if "if-match" in request.headers else None


def _second_server(fault: Fault) -> Rule:
    """Let a second server of the same file answer each second request."""
    return lambda request: fault if request.number % 2 == 0 else None


TROUBLES: tuple[SourceTrouble, ...] = (
    SourceTrouble("odd-etag-refused", "412 to the ETag that it has just named", INTACT, _odd_by(_refusing_its_etag)),
    SourceTrouble("odd-text", "media as text/plain", INTACT, _odd(OtherType("text/plain"))),
    SourceTrouble("odd-html", "media as text/html", INTACT, _odd(OtherType("text/html"))),
    SourceTrouble("odd-aws-chunked", "media that call themselves aws-chunked", INTACT,
                  _odd(Headers("Content-Encoding", "aws-chunked"))),
    SourceTrouble("odd-brotli", "plain media that call themselves compressed", INTACT,
                  _odd(Headers("Content-Encoding", "br"))),
    SourceTrouble("odd-no-accept-ranges", "ranges, and no word of them", INTACT, _odd(Headers("Accept-Ranges", None))),
    SourceTrouble("odd-rest", "all the rest of the file for each range", INTACT, _odd(RestOfFile())),
    SourceTrouble("odd-rest-chunked", "the same in chunks", INTACT, _odd(InTurn(RestOfFile(), Chunked()))),
    SourceTrouble("odd-less", "a thousand bytes less than asked for, at first", INTACT,
                  _odd_by(first_try(ShortBody(1000, honest_range=True)))),
    SourceTrouble("odd-status", "ranges with status 200", INTACT, _odd(Headers("Accept-Ranges", "bytes", 200))),
    SourceTrouble("odd-unit", "ranges in BYTES", INTACT,
                  _odd_by(lambda r: None if r.range is None else Headers(
                      "Content-Range", f"BYTES  {r.start}-{r.stop - 1}/*"))),
    SourceTrouble("odd-total", "ranges of an unknown total", INTACT,
                  _odd_by(lambda r: WrongTotal(None) if r.range else None)),
    SourceTrouble("odd-weak-later", "the same ETag, weak, for later ranges", INTACT,
                  faulty(with_source(etag='"same"'), later_ranges(OtherETag('W/"same"')))),
    SourceTrouble("odd-unquoted-later", "the same ETag without quotes for later ranges", INTACT,
                  faulty(with_source(etag='"same"'), later_ranges(OtherETag("same")))),
    SourceTrouble("odd-no-etag-later", "no ETag for later ranges", INTACT,
                  faulty(with_source(etag='"same"'), later_ranges(OtherETag(None)))),
    SourceTrouble("odd-two-servers", "a second server that knows no ranges", INTACT,
                  _odd_by(_second_server(IgnoreRange()))),
    SourceTrouble("odd-two-servers-weak", "a second server whose ETags are weak", INTACT,
                  faulty(with_source(etag='"same"'), _second_server(OtherETag('W/"same"')))),
    SourceTrouble("odd-two-servers-text", "a second server that knows no types", INTACT,
                  _odd_by(_second_server(OtherType("text/plain")))),
    SourceTrouble("odd-no-length", "the whole file without a length, of an announced size", INTACT, always(NoLength())),
    SourceTrouble("odd-no-length-at-first", "the same, at the first try", INTACT, first_tries(NoLength())),
    SourceTrouble("no-length-unannounced", "the whole file without a length, of no announced size", REFUSED,
                  _odd(NoLength())),
)  # fmt: skip
