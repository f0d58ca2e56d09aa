"""Each fault does on the wire what it claims, and the stand-in tells what it saw and sent."""

import gzip
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.standins.realtimekit import (
    Answer,
    Chunked,
    ChunkedCut,
    ChunkedEndsEarly,
    Drip,
    Drop,
    Empty200,
    Fault,
    FileRequest,
    Gzip,
    Headers,
    HtmlPage,
    IgnoreRange,
    InTurn,
    LongBody,
    MediaSource,
    NoLength,
    NotHttp,
    OtherETag,
    OtherType,
    Preceded,
    RealtimeKitStandIn,
    Redirect,
    RedirectLoop,
    Refuse,
    ShortBody,
    Stall,
    StandInRecording,
    SyntheticContent,
    Unframed,
    WrongRange,
    WrongTotal,
    at_random,
)

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
SIZE = 300_000
CONTENT = SyntheticContent(SIZE, seed=7)
WHOLE = CONTENT.read(0, SIZE)
ASKED = WHOLE[1000:201_000]
RANGE = {"Range": "bytes=1000-200999"}


@pytest.fixture
def kit() -> Iterator[RealtimeKitStandIn]:
    with RealtimeKitStandIn() as stand_in:
        stand_in.add(StandInRecording(ID, video=MediaSource(CONTENT)))
        yield stand_in


@pytest.fixture
def web() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def url(kit: RealtimeKitStandIn, web: httpx.Client) -> str:
    return link(kit, web)


def link(kit: RealtimeKitStandIn, web: httpx.Client) -> str:
    answer = web.get(f"{kit.recordings_url}/{ID}", headers={"Authorization": f"Bearer {kit.token}"})
    return str(answer.json()["data"]["download_url"])


def received(web: httpx.Client, url: str) -> tuple[bytes, Exception | None]:
    """Fetch the asked range and return what came of it before what went wrong."""
    got = bytearray()
    try:
        with web.stream("GET", url, headers=RANGE) as response:
            for piece in response.iter_raw():
                got += piece
    except httpx.HTTPError as error:
        return bytes(got), error
    return bytes(got), None


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Drop(0), (0, httpx.RemoteProtocolError)),
        (Drop(100_000), (100_000, httpx.RemoteProtocolError)),
        (Drop(100_000, how="rst"), (100_000, httpx.ReadError)),
        (Drop(999_999), (200_000, type(None))),
        (Refuse(), (0, httpx.RemoteProtocolError)),
        (Refuse(how="rst"), (0, httpx.ReadError)),
        (ChunkedEndsEarly(100_000), (100_000, type(None))),
        (ChunkedCut(100_000), (100_000, httpx.RemoteProtocolError)),
        (ChunkedCut(65_536), (65_536, httpx.RemoteProtocolError)),
        (ChunkedCut(70_000, how="rst"), (70_000, httpx.ReadError)),
        (ShortBody(missing=5), (199_995, type(None))),
        (LongBody(extra=5), (200_005, type(None))),
        (Chunked(), (200_000, type(None))),
        (Empty200(), (0, type(None))),
        (Unframed(), (200_000, type(None))),
        (InTurn(Unframed(), Drop(1000)), (1000, type(None))),
        (InTurn(LongBody(extra=5), Chunked()), (200_005, type(None))),
        (Preceded(times=3), (200_000, type(None))),
        (NotHttp(), (0, httpx.RemoteProtocolError)),
    ],
    ids=repr,
)
def test_a_broken_body_brings_so_many_bytes_and_that_error(
    kit: RealtimeKitStandIn, web: httpx.Client, url: str, fault: Fault, outcome: tuple[int, type]
) -> None:
    kit.file_faults = [fault]
    got, problem = received(web, url)
    assert (len(got), type(problem)) == outcome
    assert got[:200_000] == ASKED[: len(got)]
    assert kit.wait_idle()
    assert [(request.fault, request.sent) for request in kit.file_requests] == [(fault, len(got))]
    # On a connection of its own: the one before may be about to close.
    assert httpx.get(url, headers=RANGE).content == ASKED, "the next request is answered honestly"


def test_a_drop_counts_no_byte_more_than_it_sent(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.file_faults = [Drop(1), Drop(2)]
    received(web, url)
    received(web, url)
    assert kit.bytes_served() == 3


@pytest.mark.parametrize("after", [None, 0, 1000])
def test_a_stall_sends_nothing_more_and_ends_with_its_client(
    kit: RealtimeKitStandIn, web: httpx.Client, url: str, after: int | None
) -> None:
    kit.file_faults = [Stall(after)]
    got = bytearray()

    def fetch() -> None:
        with web.stream("GET", url, headers=RANGE, timeout=0.1) as response:
            for piece in response.iter_raw():
                got.extend(piece)

    with pytest.raises(httpx.ReadTimeout):
        fetch()
    assert len(got) == (after or 0)
    assert kit.wait_idle()


def test_the_stand_in_stops_at_once_though_requests_stall_or_nobody_reads() -> None:
    with RealtimeKitStandIn() as kit, httpx.Client(trust_env=False) as web:
        kit.add(StandInRecording(ID, video=MediaSource(SyntheticContent(10**10))))
        url = link(kit, web)
        kit.file_faults = [Stall(10), Drip(1), None]
        for _ in range(3):
            web.send(web.build_request("GET", url), stream=True)
        began = time.monotonic()
        kit.close()
        assert time.monotonic() - began < 0.5
        assert kit.wait_idle(0)


def test_a_drip_keeps_its_pace(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.file_faults = [Drip(1_000_000)]
    began = time.monotonic()
    assert web.get(url, headers=RANGE).content == ASKED
    assert time.monotonic() - began > 0.1


def test_the_bandwidth_of_a_connection_can_be_capped(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.bandwidth_per_connection = 1_000_000
    began = time.monotonic()
    assert web.get(url, headers=RANGE).content == ASKED
    assert time.monotonic() - began > 0.1


@pytest.mark.parametrize(
    ("fault", "said", "start"),
    [
        (WrongRange(100), f"bytes 1100-201099/{SIZE}", 1100),
        (WrongRange(100, "header"), f"bytes 1100-201099/{SIZE}", 1000),
        (WrongRange(100, "body"), f"bytes 1000-200999/{SIZE}", 1100),
    ],
    ids=repr,
)
def test_a_wrong_range_lies_in_header_or_body_or_both(
    kit: RealtimeKitStandIn, web: httpx.Client, url: str, fault: WrongRange, said: str, start: int
) -> None:
    kit.file_faults = [fault]
    answer = web.get(url, headers=RANGE)
    assert (answer.status_code, answer.headers["Content-Range"]) == (206, said)
    assert answer.content == WHOLE[start : start + 200_000]


def test_a_wrong_range_at_the_files_end_wraps_or_shortens(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.file_faults = [WrongRange(10, "body"), WrongRange(10), WrongRange(-10)]
    last = {"Range": "bytes=299950-"}
    assert web.get(url, headers=last).content == WHOLE[-40:] + WHOLE[:10]
    assert web.get(url, headers=last).headers["Content-Range"] == f"bytes 299960-299999/{SIZE}"
    assert web.get(url, headers=last).headers["Content-Range"] == f"bytes 299940-299989/{SIZE}"


@pytest.mark.parametrize(("total", "said"), [(5, "5"), (None, "*")])
def test_a_wrong_total_is_only_that(
    kit: RealtimeKitStandIn, web: httpx.Client, url: str, total: int | None, said: str
) -> None:
    kit.file_faults = [WrongTotal(total)]
    answer = web.get(url, headers=RANGE)
    assert (answer.headers["Content-Range"], answer.content) == (f"bytes 1000-200999/{said}", ASKED)


def test_an_ignored_range_gets_the_whole_with_or_without_length(
    kit: RealtimeKitStandIn, web: httpx.Client, url: str
) -> None:
    kit.file_faults = [IgnoreRange(), NoLength()]
    with_length, without = web.get(url, headers=RANGE), web.get(url, headers=RANGE)
    assert (with_length.status_code, with_length.headers["Content-Length"]) == (200, str(SIZE))
    assert (without.status_code, without.headers["Connection"]) == (200, "close")
    assert "Content-Length" not in without.headers
    assert with_length.content == without.content == WHOLE
    assert "Content-Range" not in with_length.headers


def test_a_short_body_may_admit_it_in_its_content_range(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.file_faults = [ShortBody(5), ShortBody(5, honest_range=True)]
    answers = [web.get(url, headers=RANGE) for _ in range(2)]
    assert [answer.headers["Content-Length"] for answer in answers] == ["199995", "199995"]
    said = [answer.headers["Content-Range"] for answer in answers]
    assert said == [f"bytes 1000-200999/{SIZE}", f"bytes 1000-200994/{SIZE}"]


def test_a_long_body_may_hide_behind_the_honest_length(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.file_faults = [LongBody(5, announced=False)]
    assert web.get(url, headers=RANGE).content == ASKED
    assert kit.wait_idle()
    assert kit.bytes_served() == 200_005


def test_headers_can_name_another_encoding_object_or_type(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.file_faults = [Gzip(), OtherETag(), OtherETag(None), OtherType()]
    with web.stream("GET", url, headers=RANGE) as packed:
        raw = b"".join(packed.iter_raw())
    assert (packed.headers["Content-Encoding"], gzip.decompress(raw)) == ("gzip", ASKED)
    other, none, html = (web.get(url, headers=RANGE) for _ in range(3))
    assert (other.headers["ETag"], none.headers.get("ETag")) == ('"another-object"', None)
    assert html.headers["Content-Type"] == "text/html"
    assert other.content == none.content == html.content == ASKED


def test_redirects_lead_to_the_file_or_round_in_circles(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.file_faults = [Redirect(hops=3), RedirectLoop(), Redirect(status=307)]
    answer = web.get(url, headers=RANGE, follow_redirects=True)
    assert ([step.status_code for step in answer.history], answer.content) == ([302, 302, 302], ASKED)
    with pytest.raises(httpx.TooManyRedirects):
        web.get(url, follow_redirects=True)
    assert web.get(url).status_code == 307


def test_answers_of_object_stores_and_proxies(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.file_faults = [Answer.slow_down(7), Answer.internal_error(), HtmlPage(), Answer(418, {"X-Tea": "yes"}, b"pot")]
    slow, broken, page, tea = (web.get(url, headers=RANGE) for _ in range(4))
    assert (slow.status_code, slow.headers["Retry-After"], "SlowDown" in slow.text) == (503, "7", True)
    assert (broken.status_code, "InternalError" in broken.text) == (500, True)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
    assert (tea.status_code, tea.headers["X-Tea"], tea.content) == (418, "yes", b"pot")
    assert kit.bytes_served() == 0


def test_lies_about_bytes_leave_answers_without_any_alone(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.file_faults = lambda _: WrongRange(1)
    assert web.get(url, headers={"Range": "bytes=999999-"}).status_code == 416
    assert web.get(url, headers={"If-Match": '"other"'}).status_code == 412


# Scripts and observation


def test_a_rule_sees_name_range_and_running_numbers(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    seen: list[tuple[str, int, int, int, int, int]] = []

    def rule(request: FileRequest) -> Fault | None:
        numbers = (request.number, request.number_of_file, request.attempt)
        seen.append((request.name, request.start, request.stop, *numbers))
        return Answer(503) if request.number == 2 else None

    kit.file_faults = rule
    answers = [web.get(url, headers={"Range": f"bytes={start}-{start + 9}"}) for start in (0, 10, 10)]
    assert [answer.status_code for answer in answers] == [206, 503, 206]
    name = f"{ID}.mp4"
    assert seen == [(name, 0, 10, 1, 1, 1), (name, 10, 20, 2, 2, 1), (name, 10, 20, 3, 3, 2)]


def test_a_random_script_breaks_the_same_requests_again() -> None:
    def outcome() -> list[Fault | None]:
        script = at_random(5, 0.5, [Drop(1), Stall()])
        requests = [FileRequest("GET", "k", "k", None, start, 0, {}, attempt=1) for start in range(40)]
        return [script(request) for request in requests]

    assert outcome() == outcome()
    assert {type(fault) for fault in outcome()} == {type(None), Drop, Stall}


def test_a_refused_link_uses_up_no_fault(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.file_faults = [Answer(503)]
    assert web.get(url + "0").status_code == 403
    assert web.get(url).status_code == 503


def test_a_callback_can_act_before_the_answer_and_requests_overlap(
    kit: RealtimeKitStandIn, web: httpx.Client, url: str
) -> None:
    both = threading.Barrier(2)

    def meet(_: FileRequest) -> None:
        both.wait(5)

    kit.on_file_request = meet
    threads = [threading.Thread(target=web.get, args=(url,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kit.most_file_requests_at_once == 2
    kit.on_file_request = lambda _: kit.expire_all_links()
    assert web.get(url).status_code == 403


def test_an_error_in_a_script_is_raised_when_the_stand_in_closes() -> None:
    def broken(_: object) -> None:
        message = "the script is wrong"
        raise LookupError(message)

    def run() -> None:
        with RealtimeKitStandIn() as kit:
            kit.api_faults = broken
            with pytest.raises(httpx.RemoteProtocolError):
                httpx.get(kit.recordings_url, trust_env=False)

    with pytest.raises(LookupError, match="the script is wrong"):
        run()


def test_a_small_send_buffer_keeps_the_count_near_what_was_read() -> None:
    with RealtimeKitStandIn(send_buffer=4096) as kit, httpx.Client(trust_env=False) as web:
        kit.add(StandInRecording(ID, video=MediaSource(SyntheticContent(10**10))))
        url = link(kit, web)
        with web.stream("GET", url) as response:
            next(response.iter_raw())
            assert kit.bytes_served() < 20_000_000
        assert kit.wait_idle()


def test_a_header_can_be_anything_and_a_compression_go_unsaid(
    kit: RealtimeKitStandIn, web: httpx.Client, url: str
) -> None:
    kit.file_faults = [Headers("X-Odd", "a\r\nX-More: b", 203), Headers("ETag", None), Gzip(said=False)]
    odd = web.get(url, headers=RANGE)
    assert (odd.status_code, odd.headers["X-Odd"], odd.headers["X-More"]) == (203, "a", "b")
    assert "ETag" not in web.get(url, headers=RANGE).headers
    packed = web.get(url, headers=RANGE)
    assert "Content-Encoding" not in packed.headers
    assert gzip.decompress(packed.content) == ASKED


def test_the_file_server_can_crash_and_come_back_on_its_port(
    kit: RealtimeKitStandIn, web: httpx.Client, url: str
) -> None:
    kit.take_files_down()
    with pytest.raises(httpx.ConnectError):
        web.get(url)
    assert link(kit, web) != url
    kit.bring_files_back()
    kit.bring_files_back()
    assert web.get(url).content == WHOLE
    kit.take_files_down()


def test_links_can_lead_elsewhere(kit: RealtimeKitStandIn, web: httpx.Client) -> None:
    kit.lead_links_to("http://files.invalid")
    assert link(kit, web).startswith("http://files.invalid/realtimekit-recordings/")
    kit.lead_links_to(None)
    assert link(kit, web).startswith(kit.files_url)
    assert [recording.id for recording in kit.recordings] == [ID]
