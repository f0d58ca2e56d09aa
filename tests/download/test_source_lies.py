"""What cannot be the file is never taken for it: not in a range, not as a whole, and not for ever."""

from typing import Any

import pytest

from tasks.errors import SourceChanged, SourceLied, SourceUnavailable
from tests.standins.lies import RestOfFile
from tests.standins.media import audio_mp3, video_mp4
from tests.standins.oddities import Headers, InTurn
from tests.standins.realtimekit import (
    AUTO,
    Answer,
    Chunked,
    Drip,
    Drop,
    Empty200,
    Fault,
    Gzip,
    HtmlPage,
    IgnoreRange,
    LongBody,
    MediaSource,
    NoLength,
    OtherETag,
    OtherType,
    ShortBody,
    SyntheticContent,
    WrongRange,
    WrongTotal,
)
from tests.support.reading import PIECE, reading

SIZE = 3 * PIECE + 1234
CONTENT = SyntheticContent(SIZE, seed=4)
OTHER = SyntheticContent(SIZE, seed=5)


REFUSED = Answer.xml(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
# Chunks of a whole body end where pieces do: the byte too many comes in a piece of its own.
TOO_LONG = InTurn(LongBody(1), Chunked())
LIES: list[Fault] = [
    HtmlPage(),
    Empty200(),
    WrongRange(1),
    WrongRange(-1),
    WrongRange(1, lie="header"),
    WrongTotal(10),
    ShortBody(),
    LongBody(),
    TOO_LONG,
    Gzip(),
    Headers("Content-Encoding", "br"),
    Headers("Content-Encoding", "aws-chunked, gzip"),
    Headers("Content-Range", f"bytes 0-9/{SIZE}", 200),
    Headers("Content-Range", None),
    Headers("Content-Range", "bytes 9999999999999999999-99999999999999999999/" + "9" * 5000),
    Headers("Content-Range", "items 0-99/100"),
    Headers("Content-Type", "multipart/byteranges; boundary=x", 203),
    Answer(204),
    Answer(304),
    Answer(302),
    Answer(405),
]
CHANGES: list[Fault] = [
    IgnoreRange(),
    NoLength(),
    InTurn(RestOfFile(), Chunked()),
    WrongTotal(10_000_000),
    OtherETag(),
    OtherETag(None),
    OtherETag('W/"weak"'),
    REFUSED,
    Answer.xml(416, "InvalidRange", "The requested range is not satisfiable", Content_Range="bytes */5"),
]


@pytest.mark.parametrize("lie", [*LIES, *CHANGES], ids=lambda fault: str(fault)[:70])
def test_a_lie_that_passes_is_never_taken_for_the_range(lie: Fault) -> None:
    with reading(CONTENT) as it:
        it.source.open(PIECE)
        it.kit.file_faults = [lie, lie, None, lie]
        assert it.read(PIECE, 2 * PIECE) == it.content[PIECE : 2 * PIECE]
        assert it.read(2 * PIECE, SIZE) == it.content[2 * PIECE :]


@pytest.mark.parametrize("lie", LIES, ids=lambda fault: str(fault)[:70])
def test_a_lie_that_stays_is_final_after_a_few_attempts_through_fresh_links(lie: Fault) -> None:
    with reading(CONTENT) as it:
        it.source.open(PIECE)
        it.kit.file_faults = lambda _: lie
        with pytest.raises(SourceLied) as caught:
            it.read(PIECE, 2 * PIECE)
        assert not caught.value.retryable
        assert (len(it.requests), it.links.refreshes) == (5, 3)


ALLOWED: list[Fault] = [
    WrongTotal(None),
    RestOfFile(),
    OtherType("text/html; charset=utf-8"),
    Headers("Accept-Ranges", None),
    Headers("Accept-Ranges", "bytes", 200),
    Headers("Content-Encoding", "aws-chunked"),
    Headers("Content-Encoding", "Identity, AWS-Chunked"),
    Headers("ETag", SyntheticContent(SIZE, seed=4).fingerprint),
    InTurn(WrongTotal(None), Chunked()),
]


@pytest.mark.parametrize("oddity", ALLOWED, ids=lambda fault: str(fault)[:70])
def test_what_is_odd_and_proves_the_range_all_the_same_is_taken(oddity: Fault) -> None:
    with reading(CONTENT) as it:
        it.source.open(PIECE)
        it.kit.file_faults = lambda _: oddity
        assert it.read(PIECE, SIZE) == it.content[PIECE:]
        assert len(it.requests) == 2


@pytest.mark.parametrize("said", [f"BYTES  0-{PIECE - 1}/{SIZE}", f"bytes\t0-{PIECE - 1}/{SIZE}"])
def test_a_range_is_understood_however_it_is_spelled(said: str) -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [Headers("Content-Range", said)]
        found = it.source.open(PIECE)
        assert (found.size, found.ranged, len(it.requests)) == (SIZE, True, 1)


@pytest.mark.parametrize(
    ("claim", "size"),
    [
        (Headers("Content-Range", f"bytes 0-{PIECE - 1}/{SIZE}", 200), SIZE),
        (InTurn(IgnoreRange(), Headers("Content-Range", f"bytes 0-{SIZE - 1}/{SIZE}")), SIZE),
        (InTurn(IgnoreRange(), Headers("Content-Range", "items")), SIZE),
        (InTurn(IgnoreRange(), Headers("Content-Range", f"bytes */{SIZE + 1}")), None),
        (InTurn(IgnoreRange(), Headers("Content-Range", f"bytes 0-{SIZE - 2}/{SIZE - 1}")), None),
        (InTurn(IgnoreRange(), Headers("Content-Range", f"bytes 0-{SIZE - 1}/{2 * SIZE}")), 2 * SIZE),
        (Headers("Content-Range", f"bytes 0-{SIZE - 1}/{SIZE}", 200), None),
    ],
    ids=str,
)
def test_a_200_with_a_content_range_is_the_range_it_names_and_never_more_than_that(
    claim: Fault, size: int | None
) -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = lambda _: claim
        if size is None:
            with pytest.raises(SourceLied):
                it.source.open(PIECE)
        else:
            assert it.source.open(PIECE).size == size


def test_a_range_that_ends_early_and_says_so_is_taken_and_the_rest_asked_for() -> None:
    with reading(CONTENT) as it:
        it.source.open(PIECE)
        it.kit.file_faults = [ShortBody(1000, honest_range=True)]
        assert it.read(PIECE, SIZE) == it.content[PIECE:]
        assert [request.start for request in it.requests] == [0, PIECE, SIZE - 1000]


def test_a_source_that_sends_a_few_bytes_a_time_is_given_up_like_one_that_trickles() -> None:
    with reading(CONTENT, patience_s=0.2, pause_s=0.01) as it:
        it.source.open(PIECE)
        it.kit.file_faults = lambda request: ShortBody(request.stop - request.start - 10, honest_range=True)
        with pytest.raises(SourceUnavailable, match="10 bytes at a time"):
            it.read(PIECE, SIZE)


def test_a_source_that_refuses_its_own_etag_is_read_without_the_condition_and_its_etags_compared() -> None:
    with reading(CONTENT) as it:
        it.source.open(PIECE)
        it.kit.file_faults = lambda request: REFUSED if "if-match" in request.headers else None
        assert it.read(PIECE, 2 * PIECE) == it.content[PIECE : 2 * PIECE]
        it.media.replace(OTHER)
        with pytest.raises(SourceChanged):
            it.read(2 * PIECE, SIZE)


def test_a_first_range_of_an_unknown_total_is_asked_for_as_a_whole() -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = lambda request: WrongTotal(None) if request.range else None
        found = it.source.open(PIECE)
        assert (found.size, found.ranged) == (SIZE, False)
        assert b"".join(it.source.read_all()) == it.content


@pytest.mark.parametrize(
    "doubt", [OtherType("text/plain"), OtherType("text/html"), Headers("Content-Encoding", "gzip")]
)
@pytest.mark.parametrize("ranged", [True, False])
def test_a_header_that_media_do_not_have_is_overruled_by_a_container_that_is_known(
    doubt: Fault,
    ranged: bool,  # noqa: FBT001
) -> None:
    for content, believed in ((video_mp4(), True), (audio_mp3(), True), (SyntheticContent(100_000), False)):
        with reading(MediaSource(content, ranges=ranged)) as it:
            it.kit.file_faults = lambda _: doubt
            if believed:
                assert it.fetch(40_000) == it.content
            else:
                with pytest.raises(SourceLied):
                    it.source.open(40_000)


@pytest.mark.parametrize("change", CHANGES, ids=lambda fault: str(fault)[:70])
def test_another_object_than_the_one_that_was_begun_is_worth_a_new_beginning(change: Fault) -> None:
    with reading(CONTENT) as it:
        it.source.open(PIECE)
        it.kit.file_faults = lambda _: change
        with pytest.raises(SourceChanged) as caught:
            it.read(PIECE, 2 * PIECE)
        assert caught.value.retryable


@pytest.mark.parametrize("lie", [HtmlPage(), Empty200(), NoLength(), WrongRange(1), Gzip(), Answer(412)], ids=str)
def test_no_file_begins_with_a_lie(lie: Fault) -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [lie, lie, lie]
        assert it.fetch() == it.content
        it.kit.file_faults = lambda _: lie
        with pytest.raises(SourceLied):
            it.source.open(SIZE)


@pytest.mark.parametrize("trouble", [Answer(503), Drop(0)], ids=str)
def test_one_lie_among_many_other_failures_is_not_final(trouble: Fault) -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [*[trouble] * 10, HtmlPage(), *[trouble] * 10]
        assert it.fetch() == it.content


def test_the_byte_too_many_is_noticed_even_in_a_piece_of_its_own() -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = lambda _: TOO_LONG
        it.source.open(2 * PIECE)
        got = bytearray()
        with pytest.raises(SourceLied):
            got.extend(b"".join(it.source.read(0, 2 * PIECE)))
        assert len(got) < 2 * PIECE


@pytest.mark.parametrize("packed", [b"", bytes(SIZE)], ids=["more", "fewer"])
def test_bytes_that_somebody_has_compressed_without_a_word_are_not_kept(packed: bytes) -> None:
    with reading(packed or CONTENT) as it:
        it.kit.file_faults = [InTurn(Gzip(said=False), Chunked()), None]
        assert it.fetch() == it.content
        assert [request.start for request in it.requests] == [0, 0]


@pytest.mark.parametrize("page", [b"<!DOCTYPE html>", b'\xef\xbb\xbf\n {"error": 1}', b"[]"])
def test_a_document_under_the_type_of_media_is_not_taken_for_a_file(page: bytes) -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [Answer(200, {"Content-Type": "audio/mpeg"}, page)]
        assert it.source.open(PIECE).size == SIZE
        it.kit.file_faults = lambda _: Answer(200, {}, page)
        with pytest.raises(SourceLied, match="a document"):
            it.source.open(PIECE)


PAGE = b"\n<h1>Not here</h1>"
LATE: list[Fault] = [
    InTurn(Answer(200, {"Content-Type": "audio/mpeg"}, PAGE), Drip(100)),
    InTurn(
        Answer(
            206,
            {"Content-Range": f"bytes 0-{len(PAGE) - 1}/{len(PAGE)}", "ETag": '"page"', "Content-Type": "audio/mpeg"},
            PAGE,
        ),
        Drip(100),
    ),
]


@pytest.mark.parametrize("page", LATE, ids=["200", "206"])
def test_a_document_of_which_a_newline_comes_first_and_the_rest_later_is_not_taken_for_a_file(page: Fault) -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [page]
        assert it.fetch() == it.content
        it.kit.file_faults = lambda _: page
        with pytest.raises(SourceLied, match="a document"):
            it.fetch()


@pytest.mark.parametrize("said", ["video/m\xe9", "video/" + "x" * 200, "video", "video/a b"])
def test_a_type_that_is_none_is_not_handed_on(said: str) -> None:
    with reading(MediaSource(CONTENT, said)) as it:
        assert it.source.open(PIECE).content_type == ""


@pytest.mark.parametrize("content", [OTHER, SyntheticContent(SIZE - 1), SyntheticContent(SIZE + 1), b"x"], ids=repr)
def test_ranges_of_two_objects_are_never_mixed(content: bytes | SyntheticContent) -> None:
    with reading(CONTENT) as it:
        it.source.open(PIECE)
        assert it.read(0, PIECE) == it.content[:PIECE]
        it.media.replace(content)
        it.kit.expire_all_links()
        with pytest.raises(SourceChanged):
            it.read(PIECE, SIZE)


def test_a_read_under_way_goes_on_with_its_object_and_is_not_resumed_with_another() -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [Drop(PIECE)]
        it.source.open(SIZE)
        it.media.replace(OTHER)
        with pytest.raises(SourceChanged):
            it.read(0, SIZE)


def test_other_bytes_under_the_right_headers_pass_here_as_nothing_in_http_tells_them() -> None:
    with reading(CONTENT) as it:
        it.source.open(PIECE)
        it.kit.file_faults = [WrongRange(1, lie="body")]
        assert it.read(PIECE, 2 * PIECE) == it.content[PIECE + 1 : 2 * PIECE + 1]


def test_an_empty_file_is_believed_from_a_store_that_knows_the_object() -> None:
    with reading(b"") as it:
        found = it.source.open(1000)
        assert (found.size, found.ranged, b"".join(it.source.read_all())) == (0, False, b"")
        assert it.requests[0].status == 416


@pytest.mark.parametrize("said", [None, "bytes */*", "bytes */1", "bytes 0-0/0", ""])
def test_an_empty_file_is_believed_on_no_other_word_than_the_etag_of_nothing(said: str | None) -> None:
    for etag in (AUTO, '"another"', None):
        with reading(MediaSource(b"", etag=etag)) as it:
            it.kit.file_faults = lambda request: Headers("Content-Range", said) if request.range else None
            if etag is AUTO:
                assert it.source.open(1000).size == 0
                assert b"".join(it.source.read_all()) == b""
            else:
                with pytest.raises(SourceLied):
                    it.source.open(1000)


@pytest.mark.parametrize(("etag", "believed"), [(AUTO, True), ('"another"', False), (None, False)])
def test_an_empty_200_is_nobodys_file_without_the_etag_of_nothing(etag: Any, believed: bool) -> None:  # noqa: FBT001
    with reading(MediaSource(b"", etag=etag, ranges=False)) as it:
        if believed:
            assert it.source.open(1000).size == 0
        else:
            with pytest.raises(SourceLied):
                it.source.open(1000)


def test_a_lie_about_the_size_at_the_beginning_does_not_pass_for_a_whole_file() -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [WrongTotal(SIZE + 5)]
        assert it.source.open(PIECE).size == SIZE + 5
        with pytest.raises(SourceChanged):
            it.read(0, SIZE + 5)


@pytest.mark.parametrize("shown", ["video/mp4", "application/octet-stream", "binary/octet-stream", "audio/webm", None])
def test_types_that_can_be_media_are_taken(shown: str | None) -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [OtherType(shown)]
        found = it.source.open(SIZE)
        assert found.content_type == (shown or "")


def test_an_empty_content_encoding_is_none() -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = lambda _: Headers("Content-Encoding", "")
        assert it.fetch(PIECE) == it.content


def test_cookies_are_not_taken_as_an_odd_one_would_spoil_all_later_requests() -> None:
    with reading(CONTENT) as it:
        it.kit.file_faults = [Answer(503, {"Set-Cookie": "odd=\xa1; Path=/"})]
        assert it.fetch() == it.content
        assert "cookie" not in it.requests[-1].headers
