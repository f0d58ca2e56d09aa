"""Presigned URLs without a server: who asks the API, who waits, who learns of a failure, and when refreshing ends."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event, Lock

import pytest

from tasks.download.presigned_urls import MAX_REFUSED_URLS, PresignedUrl, PresignedUrls
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

    def __call__(self) -> Mapping[str, PresignedUrl]:
        """Return the links, or fail."""
        self.calls += 1
        if self.failure is not None:
            raise self.failure
        return self.urls()

    def urls(self) -> dict[str, PresignedUrl]:
        """Return a link for each file."""
        seconds = self._expires_in
        expires_at = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
        return {
            label: PresignedUrl(f"https://files.example/{label}?X-Amz-Signature=1", expires_at) for label in self.labels
        }


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def stop() -> Event:
    return Event()


@pytest.fixture
def urls(api: Api, stop: Event, monkeypatch: pytest.MonkeyPatch) -> PresignedUrls:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("tasks.retry.LONGEST_PAUSE_S", 0.001)
    return PresignedUrls(api.urls(), api, stop, LOG)


def refused_until_it_ends(urls: PresignedUrls, *labels: str, works: str = "") -> None:
    """Have the links of these files refused in turn, while another one works."""
    for _ in range(100):
        urls.note_success(works)
        for label, url in {label: urls.current(label) for label in labels}.items():
            urls.replace_refused(label, url, REFUSAL)


def test_links_that_come_back_the_same_are_counted_like_others(urls: PresignedUrls, api: Api) -> None:
    with pytest.raises(LinkRefused):
        refused_until_it_ends(urls, "video")
    assert api.calls == MAX_REFUSED_URLS


def test_a_file_that_works_does_not_hide_another_that_is_always_refused(urls: PresignedUrls, api: Api) -> None:
    with pytest.raises(LinkRefused):
        refused_until_it_ends(urls, "video", works="audio")
    assert api.calls == MAX_REFUSED_URLS


def test_two_files_that_are_refused_in_turn_cost_no_more_than_one(urls: PresignedUrls, api: Api) -> None:
    with pytest.raises(LinkRefused):
        refused_until_it_ends(urls, "video", "audio")
    assert api.calls == MAX_REFUSED_URLS


def test_links_that_work_once_each_are_refreshed_for_as_long_as_it_takes(urls: PresignedUrls, api: Api) -> None:
    for _ in range(50):
        urls.note_success("video")
        urls.replace_refused("video", urls.current("video"), REFUSAL)
    assert api.calls == 50


def test_late_news_of_an_old_link_causes_no_refresh(urls: PresignedUrls, api: Api) -> None:
    old = urls.current("video")
    urls.refresh("video", old, "once")
    urls.refresh("video", old, "twice")
    urls.replace_refused("video", old, REFUSAL)
    assert (api.calls, urls.refreshes) == (1, 1)


def test_a_refused_link_stays_refused_while_the_api_is_away_and_is_not_counted_again(
    urls: PresignedUrls, api: Api
) -> None:
    api.failure = ApiUnavailable("HTTP 503", 1.0)
    for _ in range(MAX_REFUSED_URLS * 2):
        with pytest.raises(ApiUnavailable):
            urls.replace_refused("video", urls.current("video"), REFUSAL)
    api.failure = None
    urls.replace_refused("video", urls.current("video"), REFUSAL)
    assert urls.refreshes == 1


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
    urls: PresignedUrls,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    refused: bool,  # noqa: FBT001
) -> None:
    lock = CountingLock(READERS)
    monkeypatch.setattr(urls, "_lock", lock)

    def away() -> Mapping[str, PresignedUrl]:
        assert lock.all_came.wait(10)
        return api()

    monkeypatch.setattr(urls, "_fetch", away)
    api.failure = ApiUnavailable("HTTP 503", 7.0)
    url = urls.current("video")

    def lose(_: int) -> None:
        if refused:
            urls.replace_refused("video", url, REFUSAL)
        else:
            urls.refresh("video", url, "it led to a page")

    with ThreadPoolExecutor(READERS) as pool:
        lost = [pool.submit(lose, turn) for turn in range(READERS)]
    failures = [future.exception() for future in lost]
    assert all(isinstance(failure, ApiUnavailable) and failure.retry_after == 7 for failure in failures)
    assert api.calls == 1


def test_a_stop_ends_the_pause_before_a_refresh(urls: PresignedUrls, stop: Event) -> None:
    stop.set()
    with pytest.raises(TransferStopped):
        urls.replace_refused("video", urls.current("video"), REFUSAL)


def test_a_file_without_a_fresh_url_may_have_one_later(urls: PresignedUrls, api: Api) -> None:
    api.labels = ["audio"]
    with pytest.raises(SourceUnavailable, match="hands out no URL"):
        urls.refresh("video", urls.current("video"), "it led to a page")


def test_a_refresh_ahead_of_time_that_failed_is_not_repeated_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api(expires_in=30)
    api.failure = ApiUnavailable("HTTP 503")
    urls = PresignedUrls(api.urls(), api, Event(), LOG)
    old = urls.current("video")
    with monkeypatch.context() as patch:
        patch.setattr("tasks.download.presigned_urls.MIN_REFRESH_INTERVAL_S", -1.0)
        assert urls.current("video") is old
    assert [urls.current("video") for _ in range(5)] == [old] * 5
    assert api.calls == 1


def test_a_stop_during_a_refresh_ahead_of_time_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.download.presigned_urls.MIN_REFRESH_INTERVAL_S", -1.0)
    api = Api(expires_in=30)
    api.failure = TransferStopped()
    urls = PresignedUrls(api.urls(), api, Event(), LOG)
    with pytest.raises(TransferStopped):
        urls.current("video")


def test_nobody_waits_while_another_reader_refreshes_ahead_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.download.presigned_urls.MIN_REFRESH_INTERVAL_S", -1.0)
    asked, answer = Event(), Event()

    def fetch() -> Mapping[str, PresignedUrl]:
        asked.set()
        assert answer.wait(10)
        return {"video": PresignedUrl("https://fresh.example/")}

    old = PresignedUrl("https://old.example/", datetime.now(UTC))
    urls = PresignedUrls({"video": old}, fetch, Event(), LOG)
    with ThreadPoolExecutor(1) as pool:
        refreshed = pool.submit(urls.current, "video")
        assert asked.wait(10)
        assert urls.current("video") is old
        answer.set()
        assert refreshed.result(10).url == "https://fresh.example/"


def test_a_link_shows_no_url(urls: PresignedUrls) -> None:
    assert "Signature" not in repr(urls.current("video"))
