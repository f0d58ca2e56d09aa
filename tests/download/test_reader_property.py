"""For any script of breaks, stalls, expiries and swaps: the bytes of the object that was opened, or one of our errors.

The stand-in's file server answers in this process and by a clock of its own, so that waiting costs nothing and there
can be many examples. What is read over real sockets is in `test_download_property`.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
from hypothesis import given
from hypothesis import strategies as st

from tasks.download.presigned_urls import PresignedUrl, PresignedUrls
from tasks.download.source import Source
from tasks.errors import ApiUnavailable, ArchiverError
from tasks.retry import LONGEST_PAUSE_S, Patience
from tests.standins.files import FileServer
from tests.standins.knobs import Knobs
from tests.standins.links import EXPIRED, LinkOffice
from tests.standins.loopback import Incoming
from tests.standins.realtimekit import (
    Answer,
    Chunked,
    ChunkedCut,
    ChunkedEndsEarly,
    Drop,
    HtmlPage,
    MediaSource,
    Refuse,
    ShortBody,
    Stall,
    SyntheticContent,
    WrongRange,
)
from tests.support.calling import NoWaits
from tests.support.strategies import examples, require_presentable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standins.faults import Fault
    from tests.standins.realtimekit import FileRequest
    from tests.standins.wire import Reply

PIECE = 1000
STALL_S = 30.0
PATIENCE_S = 300.0
FILE = "recording/video.mp4"
ROUNDING_S = 1e-6


class Pauses(NoWaits):
    """A clock that only waiting moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass."""
        self.now += timeout or 0.0
        return super().wait(timeout)


@dataclass(frozen=True)
class Turn:
    """What one request meets: a fault, and what happens to file and links right before it."""

    fault: Fault | None = None
    expire: bool = False
    swap: int | None = None  # to another object, of so many bytes more or less
    api_away: bool = False  # for the next refresh


@dataclass
class World:
    """A file, its server and its links, and all that was ever there."""

    media: MediaSource
    turns: list[Turn]
    clock: Pauses = field(default_factory=Pauses)
    knobs: Knobs = field(default_factory=Knobs)
    api_away: int = 0

    def __post_init__(self) -> None:
        """Put the server together."""
        self.knobs.file_faults = self.meet
        self.office = LinkOffice(self.knobs)
        self.office.origin = "http://files.example.com"
        self.server = FileServer(self.knobs, self.office, lambda key: self.media if key == f"/{FILE}" else None)
        self.knobs.on_file_request = self.happen
        self.versions = 0
        self._fault: Fault | None = None

    @property
    def content(self) -> bytes:
        """What the file holds now."""
        return self.media.content.read(0, self.media.size)

    def happen(self, _request: FileRequest) -> None:
        """Take the next turn."""
        turn = self.turns.pop(0) if self.turns else Turn()
        self._fault = turn.fault
        self.api_away += turn.api_away
        if turn.expire:
            self.office.expire_all()
        if turn.swap is not None:
            etag = self.media.object.etag
            # Without a strong validator nothing could tell.
            if etag is not None and not etag.startswith("W/"):
                self.versions += 1
                size = max(1, self.media.size + turn.swap)
                self.media.replace(SyntheticContent(size, seed=self.versions))

    def meet(self, _request: FileRequest) -> Fault | None:
        """Return what goes wrong with the request whose turn it is."""
        return self._fault

    def links(self) -> dict[str, PresignedUrl]:
        """Hand out fresh links, as the API does unless it is away."""
        if self.api_away:
            self.api_away -= 1
            raise ApiUnavailable("HTTP 503, away")
        return {"video": PresignedUrl(self.office.mint(f"/{FILE}", self.knobs.now()))}

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a request as the server would over the wire."""
        target = request.url.raw_path.decode()
        delivery = self.server.answer(Incoming(request.method, target, dict(request.headers)))
        try:
            return self._received(delivery.reply, request)
        finally:
            delivery.on_done()

    def _received(self, reply: Reply, request: httpx.Request) -> httpx.Response:
        if reply.cut is not None and reply.cut.after_bytes is None:
            raise self._broken(reply, request)
        lines = reply.head().decode("latin-1").split("\r\n")[1:-2]
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        return httpx.Response(reply.status, headers=headers, stream=_Body(self, reply, request))

    def _broken(self, reply: Reply, request: httpx.Request) -> httpx.TransportError:
        if reply.cut is not None and reply.cut.how == "stall":
            self.clock.wait(STALL_S)
            return httpx.ReadTimeout("timed out", request=request)
        return httpx.RemoteProtocolError("peer closed connection", request=request)

    def body(self, reply: Reply, request: httpx.Request) -> Iterator[bytes]:
        """Yield what comes of a body, and break where it breaks."""
        budget = reply.cut.after_bytes if reply.cut is not None else None
        announced = reply.announced if reply.framing == "length" else None
        sent = 0
        for piece in reply.pieces(PIECE):
            part = piece if budget is None else piece[: max(0, (budget or 0) - sent)]
            # A client reads no more than was announced.
            part = part if announced is None else part[: max(0, announced - sent)]
            sent += len(part)
            if part:
                yield part
        if reply.cut is not None or (announced is not None and sent < announced):
            raise self._broken(reply, request)


class _Body(httpx.SyncByteStream):
    def __init__(self, world: World, reply: Reply, request: httpx.Request) -> None:
        self._pieces = world.body(reply, request)

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


OFFSETS = st.integers(0, 12 * PIECE)
ENDINGS = st.sampled_from(["fin", "rst"])
FAULTS: st.SearchStrategy[Fault | None] = st.one_of(
    st.none(),
    st.none(),
    st.builds(Drop, OFFSETS, ENDINGS),
    st.builds(Stall, OFFSETS | st.none()),
    st.builds(Refuse, ENDINGS),
    st.builds(ChunkedCut, OFFSETS, ENDINGS),
    st.builds(ChunkedEndsEarly, OFFSETS),
    st.sampled_from([Chunked(), Answer(500), Answer.slow_down(7), Answer.slow_down(900), Answer(404), Answer(412)]),
    st.sampled_from([HtmlPage(), ShortBody(), WrongRange(3), *EXPIRED.values()]),
)
TURNS = st.builds(
    Turn,
    FAULTS,
    expire=st.sampled_from([False, False, False, True]),
    swap=st.sampled_from([None] * 9 + [0, 1, -7]),
    api_away=st.sampled_from([False] * 7 + [True]),
)
SCRIPTS = st.lists(TURNS, max_size=12) | st.builds(lambda turn, times: [turn] * times, TURNS, st.integers(1, 60))
SIZES = st.integers(0, 12 * PIECE) | st.sampled_from([1, PIECE, 2 * PIECE, 2 * PIECE + 1])
ETAGS = st.sampled_from(['"e"', '"e"', '"e"', 'W/"weak"', None])


def opened(world: World) -> Source:
    """Return a source of the file, and open nothing yet."""
    http = httpx.Client(transport=httpx.MockTransport(world.answer), trust_env=False)
    links = PresignedUrls(world.links(), world.links, world.clock, logging.getLogger(__name__))
    return Source(http, links, "video", Patience(PATIENCE_S, world.clock, lambda: world.clock.now))


def fetched(world: World, source: Source, part: int, readers: int) -> tuple[bytes, bytes]:
    """Return the file as it was when it was opened, and what was read of it."""
    size = source.open(part).size
    wanted = world.content
    if not source._known.ranged:
        return wanted, b"".join(source.read_all())
    with ThreadPoolExecutor(readers) as threads:
        ranges = [(start, min(start + part, size)) for start in range(0, size, part)]
        return wanted, b"".join(threads.map(lambda its: b"".join(source.read(*its)), ranges))


@examples(120)
@given(size=SIZES, etag=ETAGS, part=st.integers(300, 6 * PIECE), script=SCRIPTS, readers=st.sampled_from([1, 1, 3]))
def test_what_is_read_is_all_of_the_object_that_was_opened_or_an_error_of_ours(
    size: int, etag: str | None, part: int, script: list[Turn], readers: int
) -> None:
    world = World(MediaSource(SyntheticContent(size), etag=etag), [*script])
    try:
        wanted, found = fetched(world, opened(world), part, readers)
    except ArchiverError as error:
        require_presentable(error, "X-Amz-Signature=")
    else:
        assert found == wanted


@examples(40)
@given(
    size=st.integers(1, 12 * PIECE), part=st.integers(300, 6 * PIECE), script=st.lists(TURNS, min_size=1, max_size=3)
)
def test_a_source_that_never_moves_is_given_up_when_patience_is_over_and_not_much_later(
    size: int, part: int, script: list[Turn]
) -> None:
    nowhere = [Turn(turn.fault or Refuse(), turn.expire, None, turn.api_away) for turn in script]
    world = World(MediaSource(SyntheticContent(size)), [])
    source = opened(world)
    source.open(part)
    source.close()
    world.turns = nowhere * 400
    offset, moved_at, failure = 0, world.clock.now, None
    try:
        for piece in source.read(0, size):
            offset, moved_at = offset + len(piece), world.clock.now
    except ArchiverError as error:
        failure = error
    assert (offset == size) == (failure is None)
    # It counts from the first failure, which a stall takes its time to be; and it ends with one that began within it.
    assert world.clock.now - moved_at <= PATIENCE_S + 2 * STALL_S + LONGEST_PAUSE_S


@examples(100)
@given(
    st.lists(
        st.tuples(st.floats(0, 60), st.sampled_from([None, 0.0, 5.0, 200.0]), st.booleans()), min_size=1, max_size=40
    ),
    st.floats(0, 400),
)
def test_patience_lasts_as_long_as_it_was_given_and_begins_anew_with_any_progress(
    script: list[tuple[float, float | None, bool]], seconds: float
) -> None:
    clock = Pauses()
    patience = Patience(seconds, clock, lambda: clock.now)
    since: float | None = None
    for attempt, (took, retry_after, progress) in enumerate(script):
        clock.now += took
        if progress:
            patience.progressed()
            since = None
        since, before = clock.now if since is None else since, clock.now
        given_up = None
        try:
            patience.pause(ApiUnavailable("away", retry_after), attempt)
        except ApiUnavailable as error:
            given_up = error
        if given_up is not None:
            assert before + max(retry_after or 0.0, LONGEST_PAUSE_S) - since > seconds
            return
        assert clock.now - since <= seconds + ROUNDING_S
        assert clock.now - before >= (retry_after or 0.0) - ROUNDING_S
