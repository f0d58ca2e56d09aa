"""The stand-in answers as RealtimeKit and its object store do, and its links expire in every dialect."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest

from tests.standins.realtimekit import (
    DROP,
    LEAKY_STORAGE_CONFIG,
    Answer,
    Drop,
    ExpiryDialect,
    HtmlPage,
    MediaSource,
    RealtimeKitStandIn,
    StandInRecording,
    SyntheticContent,
)

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
SIZE = 300_000
CONTENT = SyntheticContent(SIZE, seed=7)
WHOLE = CONTENT.read(0, SIZE)
ASKED = WHOLE[1000:201_000]
TOKEN = "stand-in-token"
RANGE = {"Range": "bytes=1000-200999"}


@pytest.fixture
def kit() -> Iterator[RealtimeKitStandIn]:
    with RealtimeKitStandIn() as stand_in:
        stand_in.add(StandInRecording(ID, video=MediaSource(CONTENT)))
        yield stand_in


@pytest.fixture
def api(kit: RealtimeKitStandIn) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {kit.token}"}
    with httpx.Client(base_url=kit.recordings_url, headers=headers, trust_env=False) as client:
        yield client


@pytest.fixture
def web() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as client:
        yield client


@pytest.fixture
def url(api: httpx.Client) -> str:
    return link(api)


def link(api: httpx.Client, recording_id: str = ID) -> str:
    return str(api.get(f"/{recording_id}").json()["data"]["download_url"])


# Content


def test_synthetic_content_is_the_same_however_it_is_read() -> None:
    content = SyntheticContent(3_000_001, seed=3)
    whole = content.read(0, content.size)
    cuts = [0, 1, 4095, 4097, 70_000, 1_048_576, 1_048_577, 2_500_000, 3_000_001]
    assert b"".join(content.read(start, stop) for start, stop in pairwise(cuts)) == whole
    assert content.sha256() == hashlib.sha256(whole).hexdigest()
    assert content.read(2_999_999, 9_999_999) == whole[-2:]


def test_synthetic_content_differs_by_seed_and_from_page_to_page() -> None:
    content = SyntheticContent(10 * 2**30, seed=1)
    pages = [content.read(start, start + 4096) for start in (0, 4096, 2**20, 2**32, 10 * 2**30 - 4096)]
    assert len(set(pages)) == 5
    assert SyntheticContent(4096, seed=2).read(0, 4096) != pages[0]


# The API


def test_details_carry_the_documented_fields(api: httpx.Client) -> None:
    answer = api.get(f"/{ID}").json()
    assert answer["success"] is True
    details = answer["data"]
    assert (details["id"], details["status"], details["file_size"]) == (ID, "UPLOADED", SIZE)
    assert details["output_file_name"] == f"{ID}.mp4"
    assert details["audio_download_url"] is None
    assert datetime.fromisoformat(details["invoked_time"]) < datetime.now(UTC)
    assert datetime.fromisoformat(details["download_url_expiry"]) > datetime.now(UTC)


def test_every_get_mints_another_link(api: httpx.Client) -> None:
    links = [httpx.URL(link(api)) for _ in range(3)]
    assert len({url.params["X-Amz-Signature"] for url in links}) == 3
    assert {url.params["X-Amz-Expires"] for url in links} == {"3600"}
    assert all(datetime.strptime(url.params["X-Amz-Date"], "%Y%m%dT%H%M%S%z") for url in links)


def test_statuses_pass_one_per_get_and_only_uploaded_has_links(kit: RealtimeKitStandIn, api: httpx.Client) -> None:
    kit.add(StandInRecording(ID, video=MediaSource(b"x"), statuses=("RECORDING", "UPLOADING", "UPLOADED")))
    seen = [api.get(f"/{ID}").json()["data"] for _ in range(4)]
    assert [details["status"] for details in seen] == ["RECORDING", "UPLOADING", "UPLOADED", "UPLOADED"]
    assert [details["download_url"] is None for details in seen] == [True, True, False, False]
    assert [details["stopped_time"] is None for details in seen] == [True, False, False, False]
    assert [details["file_size"] for details in seen] == [None, None, 1, 1]


def test_a_disabled_bucket_has_no_links(kit: RealtimeKitStandIn, api: httpx.Client) -> None:
    kit.add(StandInRecording(ID, video=MediaSource(b"x"), bucket_enabled=False))
    details = api.get(f"/{ID}").json()["data"]
    assert (details["download_url"], details["download_url_expiry"]) == (None, None)


def test_fields_can_be_overridden_dropped_and_leaky(kit: RealtimeKitStandIn, api: httpx.Client) -> None:
    overrides = {"session_id": DROP, "download_audio_url": "https://example.com"}
    kit.add(StandInRecording(ID, details=overrides, file_size="2044680", storage_config=LEAKY_STORAGE_CONFIG))
    answer = api.get(f"/{ID}")
    details = answer.json()["data"]
    assert "session_id" not in details
    assert (details["file_size"], details["download_audio_url"]) == ("2044680", "https://example.com")
    assert answer.text.count("leak-canary") == 4


def test_tracks_and_audio_have_links_of_their_own(
    kit: RealtimeKitStandIn, api: httpx.Client, web: httpx.Client
) -> None:
    audio = MediaSource(b"audio", "audio/mpeg")
    tracks = {"default": {"a b.webm": MediaSource(b"one", "audio/webm"), "c.webm": MediaSource(b"two")}}
    kit.add(StandInRecording(ID, audio=audio, tracks=tracks))
    details = api.get(f"/{ID}").json()["data"]
    assert details["file_size"] == 0
    assert web.get(details["audio_download_url"]).content == b"audio"
    [layer] = details["download_url"]
    assert layer["layer_name"] == "default"
    files = {name: web.get(entry["download_url"]).content for name, entry in layer["download_urls"].items()}
    assert files == {"a b.webm": b"one", "c.webm": b"two"}
    assert kit.bytes_served("a b.webm") == 3


@pytest.mark.parametrize(
    ("path", "token", "refusal"),
    [
        ("{recordings}/{id}", "wrong", (401, 10000, "Authentication error")),
        ("{recordings}", None, (401, 10000, "Authentication error")),
        ("{base}/accounts/other/realtime/kit/{app}/recordings/{id}", TOKEN, (403, 10000, "Authentication error")),
        ("{base}/accounts/{account}/realtime/kit/other/recordings/{id}", TOKEN, (404, 404, "App not found")),
        ("{recordings}/00000000-0000-0000-0000-000000000000", TOKEN, (404, 404, "Recording not found")),
        ("{base}/accounts/{account}/nothing", TOKEN, (404, 7003, "Could not route to the requested path")),
    ],
)
def test_the_edge_refuses_in_cloudflares_envelope_and_realtimekit_in_its_own(
    kit: RealtimeKitStandIn, web: httpx.Client, path: str, token: str | None, refusal: tuple[int, int, str]
) -> None:
    names = {"id": ID, "app": kit.app_id, "account": kit.account_id}
    url = path.format(recordings=kit.recordings_url, base=kit.base_url, **names)
    answer = web.get(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    told = answer.json()
    (error,) = told["errors"] if "errors" in told else (told["error"],)
    assert told["success"] is False
    assert (answer.status_code, error["code"], error["message"]) == refusal


def test_the_list_pages_filters_and_sorts(kit: RealtimeKitStandIn, api: httpx.Client) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC)
    for day, status in enumerate(("UPLOADED", "ERRORED", "RECORDING", "UPLOADED", "UPLOADED")):
        moment = start + timedelta(days=day)
        kit.add(StandInRecording(f"r{day}", status, invoked_time=moment, meeting_id=f"m{day % 2}", expired=day == 0))

    def ids(query: str) -> list[str]:
        answer = api.get(f"{kit.recordings_url}?end_time=2026-11-10T00:00:00Z&{query}").json()
        return [item["id"] for item in answer["data"]]

    assert ids("") == ["r4", "r3", "r2", "r1", "r0"]
    assert ids("sort_by=invokedTime&sort_order=ASC&per_page=2&page_no=2") == ["r2", "r3"]
    assert ids("status=ERRORED&status=RECORDING") == ["r2", "r1"]
    assert ids("expired=false&status=UPLOADED") == ["r4", "r3"]
    assert ids("expired=true") == ["r0"]
    assert ids("meeting_id=m1") == ["r3", "r1"]
    assert ids("start_time=2026-11-04T00:00:00.000Z") == ["r4", "r3"]


def test_paging_says_which_of_how_many(kit: RealtimeKitStandIn, api: httpx.Client) -> None:
    for number in range(4):
        kit.add(StandInRecording(f"r{number}"))
    pages = [api.get(kit.recordings_url, params={"page_no": page, "per_page": 2}).json() for page in (1, 3, 4)]
    assert [page["paging"] for page in pages] == [
        {"total_count": 5, "start_offset": 1, "end_offset": 2},
        {"total_count": 5, "start_offset": 5, "end_offset": 5},
        {"total_count": 5, "start_offset": 0, "end_offset": 0},
    ]
    assert pages[0]["data"][0]["meeting"]["id"]
    assert api.get(kit.recordings_url, params={"page_no": "x"}).status_code == 400
    assert api.get(kit.recordings_url, params={"sort_order": "up"}).status_code == 400


def test_api_faults_are_taken_in_turn(kit: RealtimeKitStandIn, api: httpx.Client) -> None:
    date = "Wed, 25 Nov 2026 09:00:00 GMT"
    kit.api_faults = [
        Answer.html(502),
        Answer.too_many_requests(3),
        Answer.too_many_requests(date),
        Answer.failure(1000, "Nope"),
        Answer.no_data(),
        Answer.garbage_json(),
        HtmlPage(),
        None,
    ]
    answers = [api.get(f"/{ID}") for _ in range(9)]
    assert [answer.status_code for answer in answers] == [502, 429, 429, 200, 200, 200, 200, 200, 200]
    assert [answer.headers.get("Retry-After") for answer in answers[1:4]] == ["3", date, None]
    assert answers[3].json()["success"] is False
    assert answers[4].json() == {"success": True, "data": None}
    with pytest.raises(ValueError, match="Unterminated"):
        answers[5].json()
    assert answers[6].headers["Content-Type"].startswith("text/html")
    assert [answer.json()["data"]["id"] for answer in answers[7:]] == [ID, ID]
    assert [request.status for request in kit.api_requests[:2]] == [502, 429]


def test_an_api_fault_by_rule_can_break_the_connection(kit: RealtimeKitStandIn, api: httpx.Client) -> None:
    kit.api_faults = lambda request: Drop(10) if request.recording_id else None
    with pytest.raises(httpx.RemoteProtocolError):
        api.get(f"/{ID}")
    assert api.get(kit.recordings_url).status_code == 200


# Honest files


def test_a_range_is_answered_exactly(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    answer = web.get(url, headers=RANGE)
    assert (answer.status_code, answer.content) == (206, ASKED)
    assert answer.headers["Content-Range"] == f"bytes 1000-200999/{SIZE}"
    assert answer.headers["Content-Length"] == "200000"
    assert (answer.headers["Content-Type"], answer.headers["Accept-Ranges"]) == ("video/mp4", "bytes")
    assert {"ETag", "Last-Modified", "Date"} <= {name.title().replace("Etag", "ETag") for name in answer.headers}
    [request] = kit.file_requests
    assert (request.name, request.range, request.start, request.stop) == (f"{ID}.mp4", RANGE["Range"], 1000, 201_000)
    assert (request.status, request.sent, request.expired, request.fault) == (206, 200_000, False, None)
    assert kit.bytes_served() == kit.bytes_served(f"{ID}.mp4") == 200_000


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=299999-", (206, f"bytes 299999-299999/{SIZE}", 1)),
        ("bytes=-10", (206, f"bytes 299990-299999/{SIZE}", 10)),
        ("bytes=299990-999999", (206, f"bytes 299990-299999/{SIZE}", 10)),
        ("bytes=300000-", (416, f"bytes */{SIZE}", 0)),
        ("bytes=5-1", (200, None, SIZE)),
        ("bytes=0-1,4-5", (200, None, SIZE)),
        ("lines=1-2", (200, None, SIZE)),
    ],
)
def test_ranges_of_all_kinds(
    kit: RealtimeKitStandIn, web: httpx.Client, url: str, asked: str, expected: tuple[int, str | None, int]
) -> None:
    answer = web.get(url, headers={"Range": asked})
    assert (answer.status_code, answer.headers.get("Content-Range"), kit.bytes_served()) == expected


def test_no_range_of_an_empty_file_can_be_satisfied(
    kit: RealtimeKitStandIn, api: httpx.Client, web: httpx.Client
) -> None:
    kit.add(StandInRecording(ID, video=MediaSource(b"")))
    url = link(api)
    refused = web.get(url, headers={"Range": "bytes=0-9"})
    assert (refused.status_code, refused.headers["Content-Range"]) == (416, "bytes */0")
    assert (web.get(url).status_code, web.get(url).content) == (200, b"")


def test_if_match_holds_until_the_object_is_replaced(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    etag = web.get(url, headers=RANGE).headers["ETag"]
    assert web.get(url, headers={"If-Match": etag, **RANGE}).status_code == 206
    source = MediaSource(CONTENT)
    kit.add(StandInRecording(ID, video=source))
    source.replace(SyntheticContent(SIZE, seed=8))
    refused = web.get(url, headers={"If-Match": etag, **RANGE})
    assert refused.status_code == 412
    assert web.get(url).headers["ETag"] != etag


@pytest.mark.parametrize("etag", ['W/"weak"', None])
def test_a_weak_or_missing_etag_never_matches(
    kit: RealtimeKitStandIn, api: httpx.Client, web: httpx.Client, etag: str | None
) -> None:
    kit.add(StandInRecording(ID, video=MediaSource(b"abc", etag=etag)))
    url = link(api)
    assert web.get(url).headers.get("ETag") == etag
    assert web.get(url, headers={"If-Match": etag or '"any"'}).status_code == 412


def test_a_source_without_ranges_sends_the_whole(kit: RealtimeKitStandIn, api: httpx.Client, web: httpx.Client) -> None:
    kit.add(StandInRecording(ID, video=MediaSource(WHOLE, ranges=False)))
    answer = web.get(link(api), headers=RANGE)
    assert (answer.status_code, answer.content) == (200, WHOLE)
    assert "Accept-Ranges" not in answer.headers


def test_a_file_that_left_the_bucket_is_no_such_key(kit: RealtimeKitStandIn, web: httpx.Client, url: str) -> None:
    kit.add(StandInRecording(ID, video=MediaSource(CONTENT), expired=True))
    answer = web.get(url)
    assert (answer.status_code, "<Code>NoSuchKey</Code>" in answer.text) == (404, True)


def test_only_an_untouched_get_link_without_a_token_is_served(web: httpx.Client, url: str) -> None:
    touched = [url.replace("X-Amz-Expires=3600", "X-Amz-Expires=9999"), url.replace(".mp4", ".mp3"), url + "&x=1"]
    answers = [web.get(other) for other in touched]
    assert {answer.status_code for answer in answers} == {403}
    assert all("SignatureDoesNotMatch" in answer.text for answer in answers)
    assert web.head(url).status_code == 403
    assert web.get(url, headers={"Authorization": "Bearer leaked"}).status_code == 400


# Expiry


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("r2-403", (403, "<Code>ExpiredRequest</Code><Message>Request has expired</Message>")),
        ("r2-400", (400, "<Code>ExpiredRequest</Code><Message>Request has expired</Message>")),
        ("s3-403", (403, "<Code>AccessDenied</Code><Message>Request has expired</Message>")),
        ("gcs-400", (400, "<Code>ExpiredToken</Code>")),
        ("cdn-401", (401, "")),
        ("cdn-403", (403, "")),
        ("cdn-410", (410, "")),
        ("signature-403", (403, "<Code>SignatureDoesNotMatch</Code>")),
    ],
)
def test_an_expired_link_says_so_in_every_dialect(
    kit: RealtimeKitStandIn, web: httpx.Client, url: str, dialect: ExpiryDialect, expected: tuple[int, str]
) -> None:
    kit.expiry_dialect = dialect
    kit.advance_clock(3599)
    assert web.get(url).status_code == 200
    kit.advance_clock(1)
    answer = web.get(url)
    status, text = expected
    assert answer.status_code == status
    assert text in answer.text
    assert bool(text) == bool(answer.content)
    assert [request.expired for request in kit.file_requests] == [False, True]


def test_a_link_can_be_good_for_so_many_requests(kit: RealtimeKitStandIn, api: httpx.Client, web: httpx.Client) -> None:
    kit.links_expire_after_requests = 2
    url = link(api)
    assert [web.get(url).status_code for _ in range(3)] == [200, 200, 403]
    assert web.get(link(api)).status_code == 200


def test_expiry_is_checked_only_when_a_request_begins(
    kit: RealtimeKitStandIn, api: httpx.Client, web: httpx.Client, url: str
) -> None:
    with web.stream("GET", url) as response:
        kit.expire_all_links()
        assert len(response.read()) == SIZE
    assert web.get(url).status_code == 403
    assert web.get(link(api)).status_code == 200


def test_a_link_lives_as_long_as_it_is_set_to(kit: RealtimeKitStandIn, api: httpx.Client) -> None:
    kit.link_lifetime = 60
    details = api.get(f"/{ID}").json()["data"]
    left = datetime.fromisoformat(details["download_url_expiry"]) - datetime.now(UTC)
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)
    assert httpx.URL(details["download_url"]).params["X-Amz-Expires"] == "60"
