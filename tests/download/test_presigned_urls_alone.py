"""What links do by themselves: who asks the API, who waits, who is told of its failure, and when it ends."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event, Lock

import pytest

from tasks.download.presigned_urls import REFUSALS_BELIEVED, Link, Links
from tasks.errors import ApiUnavailable, LinkRefused, SourceUnavailable, TransferStopped

LOG = logging.getLogger(__name__)
REFUSAL = LinkRefused("video", "HTTP 403 ExpiredRequest")
READERS = 8


class Api:
    """Hands out links that read alike, as an API with a cache does, or fails."""

    def __init__(self, *, expires_in: float | None = None) -> None:
        self.calls = 0
        self.failure: Exception | None = None
        self.labels = ["video", "audio"]
        self._expires_in = expires_in

    def __call__(self) -> Mapping[str, Link]:
        """Return the links, or fail."""
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        return self.links()

    def links(self) -> dict[str, Link]:
        """Return a link for each file."""
        seconds = self._expires_in
        expires_at = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
        return {label: Link(f"https://files.example/{label}?X-Amz-Signature=1", expires_at) for label in self.labels}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def stop() -> Event:
    return Event()


@pytest.fixture
def links(api: Api, stop: Event, monkeypatch: pytest.MonkeyPatch) -> Links:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("tasks.retry.LONGEST_PAUSE_S", 0.001)
    return Links(api.links(), api, stop, LOG)


def refused_until_it_ends(links: Links, *labels: str, works: str = "") -> None:
    """Have the links of these files refused in turn, while another one works."""
    for _ in range(100):
        links.worked(works)
        for label, link in {label: links.current(label) for label in labels}.items():
            links.refused(label, link, REFUSAL)


def test_links_that_come_back_the_same_are_counted_like_others(links: Links, api: Api) -> None:
    with pytest.raises(LinkRefused):
        refused_until_it_ends(links, "video")
    assert api.calls == REFUSALS_BELIEVED


def test_a_file_that_works_does_not_hide_another_that_is_always_refused(links: Links, api: Api) -> None:
    with pytest.raises(LinkRefused):
        refused_until_it_ends(links, "video", works="audio")
    assert api.calls == REFUSALS_BELIEVED


def test_two_files_that_are_refused_in_turn_cost_no_more_than_one(links: Links, api: Api) -> None:
    with pytest.raises(LinkRefused):
        refused_until_it_ends(links, "video", "audio")
    assert api.calls == REFUSALS_BELIEVED


def test_links_that_work_once_each_are_refreshed_for_as_long_as_it_takes(links: Links, api: Api) -> None:
    for _ in range(50):
        links.worked("video")
        links.refused("video", links.current("video"), REFUSAL)
    assert api.calls == 50


def test_late_news_of_an_old_link_causes_no_refresh(links: Links, api: Api) -> None:
    old = links.current("video")
    links.refresh("video", old, "once")
    links.refresh("video", old, "twice")
    links.refused("video", old, REFUSAL)
    assert (api.calls, links.refreshes) == (1, 1)


def test_a_refused_link_stays_refused_while_the_api_is_away_and_is_not_counted_again(links: Links, api: Api) -> None:
    api.failure = ApiUnavailable("HTTP 503", 1.0)
    for _ in range(REFUSALS_BELIEVED * 2):
        with pytest.raises(ApiUnavailable):
            links.refused("video", links.current("video"), REFUSAL)
    api.failure = None
    links.refused("video", links.current("video"), REFUSAL)
    assert links.refreshes == 1


class CountingLock:
    """A lock that counts who came for it."""

    def __init__(self, expected: int) -> None:
        self.all_came = Event()
        self._lock, self._count, self._left = Lock(), Lock(), expected

    def __enter__(self) -> None:
        """Count, then wait."""
        with self._count:
            self._left -= 1
            if self._left == 0:
                self.all_came.set()
        self._lock.acquire()

    def __exit__(self, *exc_info: object) -> None:
        """Let the next one in."""
        self._lock.release()


@pytest.mark.parametrize("refused", [True, False])
def test_readers_that_waited_for_a_refresh_are_told_how_it_failed_and_do_not_all_ask(
    links: Links,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    refused: bool,  # noqa: FBT001
) -> None:
    lock = CountingLock(READERS)
    monkeypatch.setattr(links, "_lock", lock)

    def away() -> Mapping[str, Link]:
        assert lock.all_came.wait(10)
        return api()

    monkeypatch.setattr(links, "_fetch", away)
    api.failure = ApiUnavailable("HTTP 503", 7.0)
    link = links.current("video")

    def lose(_: int) -> None:
        if refused:
            links.refused("video", link, REFUSAL)
        else:
            links.refresh("video", link, "it led to a page")

    with ThreadPoolExecutor(READERS) as pool:
        lost = [pool.submit(lose, turn) for turn in range(READERS)]
    failures = [future.exception() for future in lost]
    assert all(isinstance(failure, ApiUnavailable) and failure.retry_after == 7 for failure in failures)
    assert api.calls == 1


def test_a_stop_ends_the_pause_before_a_refresh(links: Links, stop: Event) -> None:
    stop.set()
    with pytest.raises(TransferStopped):
        links.refused("video", links.current("video"), REFUSAL)


def test_a_file_without_a_fresh_url_may_have_one_later(links: Links, api: Api) -> None:
    api.labels = ["audio"]
    with pytest.raises(SourceUnavailable, match="hands out no URL"):
        links.refresh("video", links.current("video"), "it led to a page")


def test_a_refresh_ahead_of_time_that_failed_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(expires_in=30)
    api.failure = ApiUnavailable("HTTP 503")
    links = Links(api.links(), api, Event(), LOG)
    old = links.current("video")
    with monkeypatch.context() as patch:
        patch.setattr("tasks.download.presigned_urls.FRESH_FOR_S", -1.0)
        assert links.current("video") is old
    assert [links.current("video") for _ in range(5)] == [old] * 5
    assert api.calls == 1


def test_a_stop_during_a_refresh_ahead_of_time_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.download.presigned_urls.FRESH_FOR_S", -1.0)
    api = Api(expires_in=30)
    api.failure = TransferStopped()
    links = Links(api.links(), api, Event(), LOG)
    with pytest.raises(TransferStopped):
        links.current("video")


def test_nobody_waits_while_another_reader_refreshes_ahead_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.download.presigned_urls.FRESH_FOR_S", -1.0)
    asked, answer = Event(), Event()

    def fetch() -> Mapping[str, Link]:
        asked.set()
        assert answer.wait(10)
        return {"video": Link("https://fresh.example/")}

    old = Link("https://old.example/", datetime.now(UTC))
    links = Links({"video": old}, fetch, Event(), LOG)
    with ThreadPoolExecutor(1) as pool:
        refreshed = pool.submit(links.current, "video")
        assert asked.wait(10)
        assert links.current("video") is old
        answer.set()
        assert refreshed.result(10).url == "https://fresh.example/"


def test_a_link_shows_no_url(links: Links) -> None:
    assert "Signature" not in repr(links.current("video"))
