"""Sources that break off, hang, crawl, push back or are not there: as long as anything moves, nothing is given up."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Literal

from tests.standins.realtimekit import (
    Answer,
    Chunked,
    ChunkedCut,
    ChunkedEndsEarly,
    Drip,
    Drop,
    Headers,
    InTurn,
    NotHttp,
    Preceded,
    Redirect,
    RedirectLoop,
    Refuse,
    Stall,
    SyntheticContent,
    Unframed,
)
from tests.torture.scenario import Expect
from tests.torture.source.scripts import (
    always,
    at_seeded_places,
    audio_only,
    by_rule,
    faulty,
    first_tries,
    in_turn,
    sized,
    tracks,
    when,
    with_source,
)
from tests.torture.source.trouble import SourceTrouble, faults_cleared

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import Fault, FileRequest, StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.source.scripts import Arrange, Rule

INTACT, REFUSED, RESUMED = Expect.INTACT, Expect.REFUSED, Expect.RESUMED
MOVES = 70_000
"""Bytes after which a connection may break time and again: more than what counts as moving."""
TO_THE_END = 10**12
"""Bytes after which nothing is left to be cut: the connection is closed, and the answer never said so."""


def _one_before_the_end(request: FileRequest) -> Fault | None:
    return Drop(request.stop - request.start - 1) if request.attempt == 1 else None


def _chunks(how: Literal["fin", "rst"]) -> Rule:
    """Send chunks that break off, but for the last ones: a body that never comes to its end is never the range."""
    return lambda r: ChunkedCut(MOVES, how) if r.stop - r.start > MOVES else Chunked()


def _crawling(share: float) -> Arrange:
    """Send so much of a part per second."""

    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        bench.kit.file_faults = lambda _: Drip(bench.part * share)
        return sized(bench, 1)

    return arrange


def _of_size(size: Callable[[int], int]) -> Arrange:
    """Have a video of a size that follows from a part's, each first answer cut one byte before its end."""

    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        bench.kit.file_faults = _one_before_the_end
        return bench.add(size(bench.part))

    return arrange


def _empty_audio(bench: Archiving, _seed: int) -> StandInRecording:
    return audio_only(bench, 0)


def _filled(bench: Archiving) -> None:
    faults_cleared(bench)
    for recording in bench.kit.recordings:
        assert recording.video is not None
        recording.video.replace(SyntheticContent(1000))


def _down_at_second_request(seconds: float | None) -> Arrange:
    """Take the file server down in mid-transfer, for some seconds or until it is brought back."""

    def crash(bench: Archiving, _recording: StandInRecording) -> None:
        # The server waits for its answers, so that it is not one of them that may end it.
        threading.Thread(target=_crash, args=(bench, seconds)).start()

    return when(lambda request: request.number == 2, crash, in_turn())


def _crash(bench: Archiving, seconds: float | None) -> None:
    bench.kit.take_files_down()
    if seconds is not None:
        threading.Event().wait(seconds)
        bench.kit.bring_files_back()


def _down_from_the_start(bench: Archiving, _seed: int) -> StandInRecording:
    bench.kit.take_files_down()
    return sized(bench)


def _brought_back(bench: Archiving) -> None:
    faults_cleared(bench)
    bench.kit.bring_files_back()


def _in_a_second(bench: Archiving, _seed: int) -> StandInRecording:
    when_ = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    bench.kit.file_faults = [None, Answer.slow_down(when_), Answer.too_many_requests(when_)]
    return sized(bench)


def _each_track_drops(bench: Archiving, _seed: int) -> StandInRecording:
    bench.kit.file_faults = lambda request: Drop(100) if request.number_of_file == 1 else None
    return tracks(bench, 30)


def _redirected(location: str) -> Fault:
    return Answer(307, {"Location": location})


NOBODY = "http://127.0.0.1:9/file.mp4?X-Amz-Signature=secret"
BUSY = Answer.slow_down(0)
GONE = Answer.xml(404, "NoSuchKey", "gone")
LONG_AGO = "2026-01-01T00:00:00Z"
TROUBLES: tuple[SourceTrouble, ...] = (
    SourceTrouble("cut-after-a-while", "a cut after some bytes", INTACT, in_turn(Drop(1000))),
    SourceTrouble("cut-every-connection", "every connection is cut after 70 kB", INTACT, always(Drop(MOVES))),
    SourceTrouble("cut-at-seeded-places", "every connection ends at random", INTACT, at_seeded_places("fin")),
    SourceTrouble("reset-at-seeded-places", "every connection is reset at random", INTACT, at_seeded_places("rst")),
    SourceTrouble("cut-and-reset-at-seeded-places", "both at random", INTACT, at_seeded_places("both")),
    SourceTrouble("cut-before-headers", "connections that end without an answer", INTACT,
                  in_turn(*[Refuse("fin"), Refuse("rst")] * 3)),
    SourceTrouble("cut-at-first-byte", "cuts at the first byte", INTACT,
                  in_turn(Drop(0), Drop(0, "rst"), Drop(1), Drop(1, "rst"))),
    SourceTrouble("cut-one-byte-before-the-end", "each first answer lacks its last byte", INTACT,
                  by_rule(_one_before_the_end)),
    SourceTrouble("closed-after-each-answer", "each connection is closed, unannounced", INTACT,
                  always(Drop(TO_THE_END))),
    SourceTrouble("reset-after-each-answer", "each connection is reset after its answer", INTACT,
                  always(Drop(TO_THE_END, "rst"))),
    SourceTrouble("connection-close-said", "Connection: close", INTACT, always(Headers("Connection", "close"))),
    SourceTrouble("unframed", "answers that end with the connection", INTACT, always(Unframed())),
    SourceTrouble("unframed-cut", "the same, cut at first", INTACT, first_tries(InTurn(Unframed(), Drop(1000)))),
    SourceTrouble("unframed-cut-always", "the same, each time", RESUMED, always(InTurn(Unframed(), Drop(1000)))),
    SourceTrouble("chunked-ends-early", "chunks that end politely, too early", INTACT,
                  first_tries(ChunkedEndsEarly(MOVES))),
    SourceTrouble("chunked-ends-early-always", "the same, each time", RESUMED, always(ChunkedEndsEarly(MOVES))),
    SourceTrouble("chunked-cut", "chunks that break off, wherever there are enough", INTACT, by_rule(_chunks("fin"))),
    SourceTrouble("chunked-reset", "chunks and a reset, each time", INTACT, by_rule(_chunks("rst"))),
    SourceTrouble("cut-without-ranges", "no ranges, and a cut", INTACT,
                  faulty(with_source(ranges=False), lambda r: Drop(100_000) if r.number < 4 else None)),
    SourceTrouble("cut-without-ranges-always", "no ranges, and a cut at the same place each time", RESUMED,
                  faulty(with_source(ranges=False), lambda _: Drop(100_000))),
    SourceTrouble("cut-growing-without-ranges", "no ranges, cut ever later", INTACT,
                  faulty(with_source(ranges=False), lambda r: Drop(40_000 * r.number)), stores=("rclone",)),
    SourceTrouble("no-etag-cut", "no ETag, and cuts", INTACT,
                  faulty(with_source(etag=None), lambda r: Drop(100_000) if r.number < 4 else None)),
    SourceTrouble("stall-before-headers", "an answer that never begins", INTACT, in_turn(Stall())),
    SourceTrouble("stall-in-mid-body", "an answer that stops flowing", INTACT, in_turn(Stall(1000))),
    SourceTrouble("stall-at-first-tries", "each first answer stops flowing", INTACT, first_tries(Stall(0))),
    SourceTrouble("stall-at-last-byte", "all but the last byte, and then nothing", INTACT,
                  by_rule(lambda r: Stall(r.stop - r.start - 1) if r.attempt == 1 else None), short=False),
    SourceTrouble("stall-for-ever", "nothing ever flows", RESUMED, always(Stall(0)), different={"patience_s": 1.5}),
    SourceTrouble("trickle-for-ever", "a few bytes, and nothing more, at each try", RESUMED, always(Stall(500)),
                  short=False),
    SourceTrouble("stall-in-chunks", "chunks that stop flowing", INTACT, in_turn(InTurn(Chunked(), Stall(1000)))),
    SourceTrouble("crawling", "a source so slow that it takes longer than the patience", INTACT, _crawling(0.5),
                  different={"patience_s": 1.5}),
    SourceTrouble("crawling-and-cut", "the same, in few bytes at a time", INTACT,
                  in_turn(InTurn(Drip(80_000), Drop(MOVES)), parts=1), stores=("rclone",)),
    SourceTrouble("server-down-for-a-while", "the file server crashes and comes back", INTACT,
                  _down_at_second_request(0.5), relieve=_brought_back),
    SourceTrouble("server-down", "the file server crashes in mid-transfer", RESUMED, _down_at_second_request(None),
                  relieve=_brought_back),
    SourceTrouble("server-down-from-the-start", "nobody answers", RESUMED, _down_from_the_start, relieve=_brought_back),
    SourceTrouble("busy-503", "503 SlowDown, five times each", INTACT,
                  by_rule(lambda r: Answer.slow_down(None) if r.attempt <= 5 else None)),
    SourceTrouble("busy-429", "429, five times each", INTACT,
                  by_rule(lambda r: Answer.too_many_requests(0) if r.attempt <= 5 else None)),
    SourceTrouble("busy-for-a-second", "503 and Retry-After in seconds", INTACT, in_turn(None, Answer.slow_down(1))),
    SourceTrouble("busy-until-a-date", "503, 429 and Retry-After as a date", INTACT, _in_a_second),
    SourceTrouble("busy-for-nonsense", "Retry-After that says nothing", INTACT,
                  in_turn(*(Answer.slow_down(value) for value in ("soon", "-5", "1.5", "9" * 400 + "x", "")))),
    SourceTrouble("busy-for-a-year", "503 and a Retry-After of a year", RESUMED, in_turn(Answer.slow_down(31_536_000))),
    SourceTrouble("busy-for-ever", "503 without end", RESUMED, always(BUSY)),
    SourceTrouble("storm-500", "500, five times each", INTACT,
                  by_rule(lambda r: Answer.internal_error() if r.attempt <= 5 else None)),
    SourceTrouble("storm-html", "proxies' error pages, of all kinds", INTACT,
                  by_rule(lambda r: Answer.html(500 + r.attempt) if r.attempt <= 5 else None)),
    SourceTrouble("storm-500-for-ever", "500 without end", RESUMED, always(Answer.internal_error())),
    SourceTrouble("interim-103", "early hints before each answer", INTACT, always(Preceded())),
    SourceTrouble("interim-storm", "a thousand interim answers before each", INTACT, always(Preceded(100, 1000))),
    SourceTrouble("huge-headers-at-first", "200 kB of headers at the first try", INTACT,
                  first_tries(Headers("X-Huge", "x" * 200_000))),
    SourceTrouble("huge-headers", "200 kB of headers each time", RESUMED, always(Headers("X-Huge", "x" * 200_000))),
    SourceTrouble("not-http-at-first", "another protocol at the first try", INTACT, first_tries(NotHttp())),
    SourceTrouble("not-http", "another protocol each time", RESUMED, always(NotHttp())),
    SourceTrouble("cookies", "a cookie that no header may hold", INTACT,
                  always(Headers("Set-Cookie", "a=\x01; Path=/"))),
    SourceTrouble("redirect", "one redirect before each answer", INTACT, always(Redirect())),
    SourceTrouble("redirect-five-times", "five redirects before each answer", INTACT, always(Redirect(5))),
    SourceTrouble("redirect-six-times", "six redirects before each answer", RESUMED, always(Redirect(6))),
    SourceTrouble("redirect-loop-at-first", "a loop at the first try", INTACT, first_tries(RedirectLoop())),
    SourceTrouble("redirect-loop", "a loop each time", RESUMED, always(RedirectLoop())),
    SourceTrouble("redirect-to-nobody-at-first", "to a port that refuses, at first", INTACT,
                  first_tries(_redirected(NOBODY))),
    SourceTrouble("redirect-to-nobody", "to a port that refuses, each time", RESUMED, always(_redirected(NOBODY))),
    SourceTrouble("redirect-to-file", "to a file of this machine", RESUMED, always(_redirected("file:///etc/hostname"))),
    SourceTrouble("redirect-to-nonsense", "to what is no URL", RESUMED, always(_redirected("http://[:1/?secret"))),
    SourceTrouble("gone-404", "404 for ever, though the API lists the file", RESUMED, always(GONE)),
    SourceTrouble("gone-404-in-mid-transfer", "404 from the second request on", RESUMED,
                  by_rule(lambda r: GONE if r.number > 1 else None)),
    SourceTrouble("gone-404-at-first", "404 at the first try of each range, as right after an upload", INTACT,
                  first_tries(GONE)),
    SourceTrouble("gone-404-for-a-while", "404 to the first five requests", INTACT, in_turn(*[GONE] * 5)),
    SourceTrouble("gone-404-of-audio", "404 for ever, of audio", RESUMED,
                  faulty(lambda bench, _: audio_only(bench), lambda _: GONE)),
    SourceTrouble("gone-after-seven-days", "404, and the seven days are over", REFUSED,
                  faulty(lambda bench, _: sized(bench, details={"stopped_time": LONG_AGO}), lambda _: GONE)),
    SourceTrouble("size-1", "a single byte, cut before it", INTACT, _of_size(lambda _part: 1)),
    SourceTrouble("size-a-part", "exactly a part, cut before its last byte", INTACT, _of_size(lambda part: part)),
    SourceTrouble("size-a-part-and-a-byte", "a byte more, with cuts", INTACT, _of_size(lambda part: part + 1)),
    SourceTrouble("size-two-parts-less-a-byte", "a byte less than two", INTACT, _of_size(lambda part: 2 * part - 1)),
    SourceTrouble("size-three-parts", "exactly three parts, with cuts", INTACT, _of_size(lambda part: 3 * part)),
    SourceTrouble("size-0", "an empty video", REFUSED, _of_size(lambda _part: 0), relieve=_filled),
    SourceTrouble("size-0-audio", "empty audio", INTACT, _empty_audio),
    SourceTrouble("each-of-thirty-drops", "each of thirty tracks breaks off", INTACT, _each_track_drops),
)  # fmt: skip
