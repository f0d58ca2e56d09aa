"""The list of recordings is read over all its pages, whatever happens meanwhile."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tasks.errors import AnswerTooLarge, ApiNonsense, ApiRefused, ApiUnavailable
from tasks.realtimekit import api_client, app_api
from tasks.realtimekit.models import Recording
from tasks.realtimekit.recordings import RealtimeKit
from tests.standins.faults import Answer
from tests.standins.realtimekit import MediaSource, RealtimeKitStandIn, StandInRecording
from tests.standins.requests import ApiRequest
from tests.support.calling import everything

START = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> Iterator[RealtimeKitStandIn]:
    monkeypatch.setattr(app_api, "PAGE_SIZES", (10, 5, 1))
    with RealtimeKitStandIn() as stand_in:
        yield stand_in


def number(index: int, **changed: object) -> StandInRecording:
    recording_id = str(uuid.UUID(int=index + 2**127))
    recording = StandInRecording(recording_id, video=MediaSource(b"1"), invoked_time=START + timedelta(minutes=index))
    for name, value in changed.items():
        setattr(recording, name, value)
    return recording


def ids(recordings: Iterator[Recording]) -> list[int]:
    return [uuid.UUID(recording.id).int - 2**127 for recording in recordings]


@pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 20, 35])
def test_all_pages_are_read_oldest_first_and_no_more_than_there_are(
    kit: RealtimeKitStandIn, api: RealtimeKit, total: int
) -> None:
    for index in range(total):
        kit.add(number(index))
    assert ids(everything(api, {})) == list(range(total))
    assert len(kit.api_requests) == max(1, -(-total // 10))


def test_filters_and_a_page_of_a_hundred_are_asked_for(
    kit: RealtimeKitStandIn, api: RealtimeKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    kit.add(number(0, status="RECORDING"))
    kit.add(number(1, expired=True))
    kit.add(number(2))
    kit.add(number(3, status="UPLOADING"))
    assert ids(everything(api, {"status": ["UPLOADED", "UPLOADING"], "expired": False})) == [2, 3]
    (request,) = kit.api_requests
    assert request.query["status"] == ["UPLOADED", "UPLOADING"]
    assert (request.query["expired"], request.query["per_page"]) == (["false"], ["100"])


def on_page(kit: RealtimeKitStandIn, page_no: int, *changes: StandInRecording) -> None:
    def change(request: ApiRequest) -> None:
        if request.query["page_no"] == [str(page_no)]:
            for recording in changes:
                kit.add(recording)

    kit.on_api_request = change


def test_recordings_that_arrive_while_paging_hide_none_and_repeat_none(
    kit: RealtimeKitStandIn, api: RealtimeKit
) -> None:
    for index in range(30):
        kit.add(number(index))
    on_page(kit, 2, *[number(100 + index) for index in range(7)])
    assert ids(everything(api, {})) == list(range(30))


def test_recordings_that_expire_while_paging_hide_none_of_the_others(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    for index in range(30):
        kit.add(number(index))
    on_page(kit, 2, *[number(index, expired=True) for index in range(5)])
    assert ids(everything(api, {"expired": False})) == list(range(5, 30))


def test_pages_that_repeat_come_to_an_end(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    data = [{"id": number(index).id} for index in range(10)]
    kit.api_faults = lambda _: Answer.json({"success": True, "data": data, "paging": {"total_count": 10**9}})
    assert sorted(ids(everything(api, {}))) == list(range(10))
    assert len(kit.api_requests) == 2


@pytest.mark.parametrize("paging", [None, {}, [], {"total_count": None}, {"total_count": "2"}, {"total_count": 99}])
def test_without_a_usable_total_an_empty_page_is_the_end(
    kit: RealtimeKitStandIn, api: RealtimeKit, paging: object
) -> None:
    pages = [[{"id": number(1).id}, {"id": number(1).id}], [{"id": number(0).id}], []]
    kit.api_faults = [Answer.json({"success": True, "data": data, "paging": paging}) for data in pages]
    assert ids(everything(api, {})) == [0, 1]


def test_one_entry_that_is_no_recording_does_not_stop_the_others(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    data = [None, 7, {"id": None}, {"id": "../.."}, {"id": number(5).id, "status": 7, "download_url": 3}]
    kit.api_faults = [Answer.json({"success": True, "data": data, "paging": {"total_count": 5}})]
    assert ids(everything(api, {})) == [5]


@pytest.mark.parametrize("data", [{}, "x", 7, {"recordings": []}, [None], [{"status": "UPLOADED"}]])
def test_a_list_that_is_none_is_told(kit: RealtimeKitStandIn, api: RealtimeKit, data: object) -> None:
    kit.api_faults = [Answer.json({"success": True, "data": data})]
    with pytest.raises(ApiNonsense, match="a list of recordings that is none"):
        list(everything(api, {}))


def test_a_page_that_fails_is_tried_again_and_not_passed_over(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    for index in range(25):
        kit.add(number(index))
    kit.api_faults = [None, Answer.html(502), Answer.too_many_requests(3), None]
    assert ids(everything(api, {})) == list(range(25))


def test_a_list_that_breaks_off_is_an_error_and_no_short_list(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    for index in range(25):
        kit.add(number(index))
    kit.api_faults = [None, Answer.too_many_requests(900)]
    with pytest.raises(ApiUnavailable):
        list(everything(api, {}))
    kit.api_faults = [None, Answer.failure(10000, "Authentication error", 403)]
    with pytest.raises(ApiRefused):
        list(everything(api, {}))


def test_a_list_of_the_newest_ends_with_the_page_that_reaches_older_ones(
    kit: RealtimeKitStandIn, api: RealtimeKit
) -> None:
    for index in range(35):
        kit.add(number(index))
    since = START + timedelta(minutes=17)
    assert ids(api.recordings({}, lambda recording: recording, since=since)) == list(range(17, 35))
    assert [request.query["page_no"] for request in kit.api_requests] == [["1"], ["2"]]


def test_a_list_of_the_oldest_ends_with_the_page_that_reaches_newer_ones(
    kit: RealtimeKitStandIn, api: RealtimeKit
) -> None:
    for index in range(35):
        kit.add(number(index))
    before = START + timedelta(minutes=12)
    assert ids(api.recordings({}, lambda recording: recording, before=before)) == list(range(20))
    assert [request.query["sort_order"] for request in kit.api_requests] == [["ASC"], ["ASC"]]


def test_a_list_in_another_order_than_asked_for_is_read_to_its_end(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    for index in range(35):
        kit.add(number(index))

    def turn_round(request: ApiRequest) -> None:
        request.query = {**request.query, "sort_order": ["ASC"]}

    kit.on_api_request = turn_round
    since = START + timedelta(minutes=30)
    assert sorted(ids(api.recordings({}, lambda recording: recording, since=since))) == list(range(30, 35))


@pytest.mark.parametrize(("largest", "asked"), [(30, [10, 5, 5, 5, 5, 5, 5, 5]), (6, [10, 5, 1, *[1] * 34])])
def test_where_a_page_is_too_large_smaller_ones_go_on_and_nothing_is_passed_over(
    kit: RealtimeKitStandIn, api: RealtimeKit, monkeypatch: pytest.MonkeyPatch, largest: int, asked: list[int]
) -> None:
    for index in range(35):
        kit.add(number(index))
    one = len(kit_page(kit, 1))
    monkeypatch.setattr(api_client, "LARGEST_ANSWER", one * largest // 4)
    assert ids(everything(api, {})) == list(range(35))
    assert [int(request.query["per_page"][0]) for request in kit.api_requests[1:]] == asked


def test_one_recording_that_is_too_large_by_itself_ends_the_list_loudly(
    kit: RealtimeKitStandIn, api: RealtimeKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.add(number(0))
    monkeypatch.setattr(api_client, "LARGEST_ANSWER", 100)
    with pytest.raises(AnswerTooLarge, match="more than 100 bytes"):
        list(everything(api, {}))


def kit_page(kit: RealtimeKitStandIn, per_page: int) -> bytes:
    """Return the body of a page of so many recordings."""
    headers = {"Authorization": f"Bearer {kit.token}"}
    return httpx.get(kit.recordings_url, params={"per_page": per_page}, headers=headers).content
