"""For any size, ranges and script of faults: the bytes that come out are the bytes that went in."""

from contextlib import suppress
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.download.recovery import MAX_LIES
from tasks.errors import ArchiverError
from tests.standins.realtimekit import (
    Answer,
    Chunked,
    ChunkedCut,
    ChunkedEndsEarly,
    Drop,
    Exchange,
    Fault,
    HtmlPage,
    IgnoreRange,
    LongBody,
    MediaSource,
    Redirect,
    Refuse,
    ShortBody,
    SyntheticContent,
    WrongRange,
    WrongTotal,
)
from tests.standins.wire import Reply
from tests.support.reading import PIECE, reading
from tests.support.strategies import examples

SIZES = st.one_of(
    st.integers(0, 300), st.integers(0, 5 * PIECE), st.sampled_from([PIECE - 1, PIECE, PIECE + 1, 2 * PIECE])
)
OFFSETS = st.one_of(st.integers(0, 300), st.integers(0, 5 * PIECE), st.sampled_from([PIECE - 1, PIECE, PIECE + 1]))
ENDINGS = st.sampled_from(["fin", "rst"])
CUTS: st.SearchStrategy[Fault | None] = st.one_of(
    st.none(),
    st.builds(Drop, OFFSETS, ENDINGS),
    st.builds(Refuse, ENDINGS),
    st.builds(Redirect, st.integers(1, 5)),
    st.sampled_from([Answer(500), Answer.slow_down(None)]),
)
CHUNKS: st.SearchStrategy[Fault | None] = st.one_of(
    st.just(Chunked()), st.builds(ChunkedCut, OFFSETS, ENDINGS), st.builds(ChunkedEndsEarly, OFFSETS)
)
BREAKS = st.one_of(CUTS, CHUNKS)
# Only such as do not hang together: a first answer that lies consistently about the size is for the API's to tell.
LIES: list[Fault | None] = [
    Answer(403), HtmlPage(), IgnoreRange(), WrongRange(1), WrongRange(-5), WrongTotal(None), ShortBody(), LongBody()
]  # fmt: skip


def mixed(breaks: list[Fault | None], lies: list[tuple[int, Fault | None]]) -> list[Fault | None]:
    """Put the lies among the breaks."""
    script = list(breaks)
    for place, lie in lies:
        script.insert(place % (len(script) + 1), lie)
    return script


def scripts(breaks: st.SearchStrategy[Fault | None], lies: list[Fault | None]) -> st.SearchStrategy[list[Fault | None]]:
    """Make scripts of many breaks and of no more lies than are believed."""
    placed = st.tuples(st.integers(0, 20), st.sampled_from(lies))
    scripts_of_all = st.builds(mixed, st.lists(breaks, max_size=20), st.lists(placed, max_size=MAX_LIES - 1))
    return scripts_of_all.filter(lambda script: not _hides_the_size(script))


def _hides_the_size(script: list[Fault | None]) -> bool:
    """Tell whether no answer may state the size before one that is consistently of another size."""
    is_unstated = any(isinstance(fault, WrongTotal) and fault.total is None for fault in script)
    return is_unstated and any(isinstance(fault, ShortBody | LongBody) for fault in script)


@examples(25)
@given(size=SIZES, part=st.integers(1, 3 * PIECE), script=scripts(BREAKS, LIES))
def test_the_bytes_that_come_out_are_the_bytes_that_went_in(size: int, part: int, script: list[Fault | None]) -> None:
    with reading(SyntheticContent(size), file_faults=script) as it:
        assert it.fetch(max(part, size // 20)) == it.content


@examples(20)
@given(
    size=st.integers(1, 5 * PIECE),
    etag=st.sampled_from(['W/"weak"', None]),
    script=scripts(CUTS, [HtmlPage(), Answer(403)]),
)
@pytest.mark.parametrize("ranges", [True, False])
def test_so_do_those_of_a_source_that_is_read_in_one_go(
    size: int,
    etag: str | None,
    script: list[Fault | None],
    ranges: bool,  # noqa: FBT001
) -> None:
    with reading(MediaSource(SyntheticContent(size), etag=etag, ranges=ranges), file_faults=script) as it:
        assert it.fetch(1 + size // 2) == it.content


NAMES = st.sampled_from(
    ["ETag", "Content-Range", "Content-Type", "Content-Encoding", "Location", "Retry-After", "Set-Cookie", "X-Any"]
)
# What may stand in a header at all; the parser refuses the rest before anybody sees it.
VALUES = st.one_of(
    st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60),
    st.from_regex(r'(W/)?"?[ -~]*"?', fullmatch=True),
    st.from_regex(r"bytes [0-9*]{1,30}(-[0-9]{1,30})?/[0-9*]{1,30}", fullmatch=True),
    st.from_regex(r"(https?|ftp|//)?:?/{0,3}[\[\]@:a-z\xe0-\xff%?#.]{0,20}", fullmatch=True),
    st.sampled_from(["9" * 5000, "bytes */0", "bytes 0-0/1", "\xb2", "a=\xe9; path=/", "gzip, gzip", "-1", "1e9"]),
)


@dataclass(frozen=True)
class Odd:
    """An answer under odd headers."""

    status: int
    headers: dict[str, str]

    def shape(self, exchange: Exchange) -> Reply:
        """Return what is put on the wire."""
        return replace(exchange.honest.having(dict(self.headers)), status=self.status)


ODDITIES = st.builds(
    Odd,
    st.sampled_from([200, 200, 206, 206, 206, 301, 302, 308, 400, 412, 416, 429, 503]),
    st.dictionaries(NAMES, VALUES, max_size=3),
)


@examples(40)
@given(st.lists(ODDITIES, min_size=1, max_size=4), st.lists(ODDITIES, max_size=4))
def test_whatever_headers_say_the_bytes_are_right_or_the_error_is_ours(first: list[Fault], later: list[Fault]) -> None:
    with reading(SyntheticContent(1000), patience_s=0.5) as it:
        it.kit.file_faults = [*first]
        with suppress(ArchiverError):
            it.fetch(300)
        it.kit.file_faults = [None, *later]
        with suppress(ArchiverError):
            assert it.fetch(300) == it.content


@examples(15)
@given(size=st.integers(1, 5 * PIECE), part=st.integers(PIECE // 4, 2 * PIECE), script=st.lists(BREAKS, max_size=30))
def test_so_do_those_of_many_readers_whose_links_expire(size: int, part: int, script: list[Fault | None]) -> None:
    with reading(SyntheticContent(size), file_faults=script, links_expire_after_requests=4) as it:
        assert it.fetch_in_parallel(part) == it.content
