"""What cannot be the file is never taken for it: not in a range, not as a whole, and not for ever."""

import pytest

from tasks.errors import SourceChanged, SourceLied
from tests.reading import PIECE, reading
from tests.standins.oddities import Headers, InTurn
from tests.standins.realtimekit import (
    Answer,
    Chunked,
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

SIZE = 3 * PIECE + 1234
CONTENT = SyntheticContent(SIZE, seed=4)
OTHER = SyntheticContent(SIZE, seed=5)


# Chunks of a whole body end where pieces do: the byte too many comes in a piece of its own.
TOO_LONG = InTurn(LongBody(1), Chunked())
LIES: list[Fault] = [
    HtmlPage(),
    Empty200(),
    IgnoreRange(),
    NoLength(),
    WrongRange(1),
    WrongRange(-1),
    WrongRange(1, lie="header"),
    WrongTotal(None),
    WrongTotal(10),
    ShortBody(),
    ShortBody(honest_range=True),
    LongBody(),
    TOO_LONG,
    Gzip(),
    Headers("Content-Encoding", "br"),
    OtherType("text/html; charset=utf-8"),
    OtherType("application/json"),
    OtherType("application/problem+json"),
    OtherType("image/svg+xml"),
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
    WrongTotal(10_000_000),
    OtherETag(),
    OtherETag(None),
    OtherETag('W/"weak"'),
    Answer.xml(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
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


@pytest.mark.parametrize("change", CHANGES, ids=lambda fault: str(fault)[:70])
def test_another_object_than_the_one_that_was_begun_is_worth_a_new_beginning(change: Fault) -> None:
    with reading(CONTENT) as it:
        it.source.open(PIECE)
        it.kit.file_faults = lambda _: change
        with pytest.raises(SourceChanged) as caught:
            it.read(PIECE, SIZE)
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
def test_an_empty_file_is_believed_on_no_other_word(said: str | None) -> None:
    with reading(b"") as it:
        it.kit.file_faults = lambda _: Headers("Content-Range", said)
        with pytest.raises(SourceLied):
            it.source.open(1000)


def test_an_empty_200_is_nobodys_file() -> None:
    with reading(MediaSource(b"", ranges=False)) as it, pytest.raises(SourceLied):
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
