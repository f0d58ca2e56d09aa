"""A source without ranges, or without a strong validator, is read from beginning to end and proved after each drop."""

import pytest

from tasks.errors import SourceChanged, SourceLied
from tests.standins.realtimekit import (
    Answer,
    Drop,
    Fault,
    HtmlPage,
    LongBody,
    MediaSource,
    OtherETag,
    Redirect,
    Refuse,
    Stall,
    SyntheticContent,
)
from tests.support.reading import PIECE, reading

SIZE = 3 * PIECE + 1234
CONTENT = SyntheticContent(SIZE, seed=6)
UNPROVEN_ETAGS = [None, 'W/"weak"', "bare", '""', '"', '"caf\u00e9"', '"two words"']


@pytest.mark.parametrize("etag", UNPROVEN_ETAGS)
def test_without_a_strong_etag_a_file_is_read_in_one_go(etag: str | None) -> None:
    with reading(MediaSource(CONTENT, etag=etag)) as it:
        assert not it.source.open(PIECE).ranged
        assert b"".join(it.source.read_all()) == it.content
        assert [request.range for request in it.requests] == [f"bytes=0-{PIECE - 1}", None]
        assert "if-match" not in it.requests[1].headers


@pytest.mark.parametrize("etag", ['"strong"', None])
def test_a_server_without_ranges_is_asked_once(etag: str | None) -> None:
    with reading(MediaSource(CONTENT, etag=etag, ranges=False)) as it:
        found = it.source.open(PIECE)
        assert (found.size, found.ranged) == (SIZE, False)
        assert b"".join(it.source.read_all()) == it.content
        assert len(it.requests) == 1


@pytest.mark.parametrize("etag", ['W/"weak"', None])
@pytest.mark.parametrize("after", [0, 1, PIECE, 100_000, SIZE - 1])
@pytest.mark.parametrize("ranges", [True, False])
def test_after_a_drop_it_begins_again_and_carries_on_at_the_byte(
    etag: str | None,
    after: int,
    ranges: bool,  # noqa: FBT001
) -> None:
    with reading(MediaSource(CONTENT, etag=etag, ranges=ranges)) as it:
        it.kit.file_faults = [Drop(after), Drop(after + 100, how="rst"), Answer(503), Redirect(), None]
        assert it.fetch(PIECE) == it.content


def test_a_stall_and_an_expired_link_are_survived_as_well() -> None:
    with reading(MediaSource(CONTENT, etag=None, ranges=False), stall_s=0.2, links_expire_after_requests=1) as it:
        it.kit.file_faults = [Stall(PIECE), Refuse(), HtmlPage()]
        assert it.fetch() == it.content
        assert it.links.refreshes == 3


def test_another_beginning_after_a_drop_is_noticed_although_size_and_headers_are_the_same() -> None:
    with reading(MediaSource(CONTENT, etag=None, ranges=False)) as it:
        it.kit.file_faults = [Drop(PIECE)]
        pieces = it.source.read_all() if it.source.open(SIZE) else iter(())
        assert next(pieces)
        it.media.replace(SyntheticContent(SIZE, seed=7), etag=None)
        with pytest.raises(SourceChanged):
            list(pieces)


@pytest.mark.parametrize("content", [SyntheticContent(SIZE - 1), SyntheticContent(SIZE + 1), b"x"], ids=repr)
def test_another_size_after_a_drop_is_noticed(content: bytes | SyntheticContent) -> None:
    with reading(MediaSource(CONTENT, etag=None, ranges=False)) as it:
        it.kit.file_faults = [Drop(PIECE)]
        it.source.open(SIZE)
        it.media.replace(content, etag=None)
        with pytest.raises(SourceChanged):
            list(it.source.read_all())


@pytest.mark.parametrize("lie", [HtmlPage(), OtherETag('W/"2"'), LongBody(), Answer(200, {}, b"short")], ids=str)
def test_a_lie_after_a_drop_is_survived_if_it_passes_and_raised_if_it_stays(lie: Fault) -> None:
    with reading(MediaSource(CONTENT, etag='W/"1"', ranges=False)) as it:
        it.kit.file_faults = [Drop(PIECE), lie, lie, lie]
        assert it.fetch() == it.content
        it.kit.file_faults = [Drop(PIECE), *[lie] * 4]
        with pytest.raises((SourceLied, SourceChanged)):
            it.fetch()
