"""The library in a real browser: search, filter, play, the transcript, downloads; on a phone, by keyboard, no script.

Opt-in, as it needs Chromium: `apt-get install chromium`, then `uv run --group browser pytest -m browser`. The store is
Swift, which answers a range as Amazon does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.s3 import new_s3_client
from tests.standins import media
from tests.standins.realtimekit import MediaSource, RealtimeKitStandIn
from tests.support.browser import browsing, picture
from tests.support.cataloguing import update
from tests.support.library import SCRIPT, TITLE, UNRECORDED, Sample, add, fill, serving
from tests.torture.stage import CONNECTIONS, archive_in, lead_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standins.realtimekit import StandInRecording
    from tests.standins.stores import Store

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PASSWORD = "correct horse battery"
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
LONG_MIB = 6


@pytest.fixture(scope="module")
def served(swift_server: Store) -> Iterator[tuple[Sample, StandInRecording, str]]:
    with pytest.MonkeyPatch.context() as patch, RealtimeKitStandIn() as kit:
        lead_to(swift_server, patch)
        bench = archive_in(swift_server, new_s3_client(CONNECTIONS), kit)
        sample = fill(bench)
        video = media.video_mp4(LONG_MIB * 2**20)
        invoked = sample.tracks.invoked_time
        long = add(bench, MediaSource(video), invoked, "Long", "Bob", duration=media.video_seconds(video))
        bench.archived(long)
        update(bench)
        with serving(bench) as url:
            yield sample, long, url


@pytest.fixture
def sample(served: tuple[Sample, StandInRecording, str]) -> Sample:
    return served[0]


@pytest.fixture
def long(served: tuple[Sample, StandInRecording, str]) -> StandInRecording:
    return served[1]


@pytest.fixture
def url(served: tuple[Sample, StandInRecording, str]) -> str:
    return served[2]


@pytest.fixture
def page() -> Iterator[Any]:
    with browsing() as page:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        yield page
        # Nor of what the page's own policy forbids; a filter that cannot be understood is answered with 400.
        assert [text for text in said if "status of 400" not in text] == []


def titles(page: Any) -> list[str]:
    return [str(title) for title in page.locator("#results .title").all_inner_texts()]


def wait_for_titles(page: Any, *wanted: str) -> None:
    shown = "document.querySelectorAll('#results .title')"
    page.wait_for_function(f"wanted => [...{shown}].map(e => e.innerText).join('|') === wanted", arg="|".join(wanted))


def playing_after(page: Any, seconds: float) -> None:
    """Wait until the player has passed a time, and plays."""
    page.wait_for_function("t => !player.paused && player.currentTime > t && player.readyState > 2", arg=seconds)


def test_a_person_types_and_sees_what_is_meant(url: str, sample: Sample, page: Any) -> None:
    page.goto(url)
    assert titles(page)[0] == "Réunion du conseil"
    page.get_by_role("searchbox").press_sequentially("reunion")
    wait_for_titles(page, "Réunion du conseil")
    assert page.url.endswith("/?q=reunion")
    assert page.get_by_role("status").inner_text().startswith("1 recording found")
    page.get_by_role("searchbox").fill("")
    page.get_by_text("Filters").click()
    page.get_by_label("Minutes, at least").fill("1")
    wait_for_titles(page, "Long")
    page.get_by_label("Minutes, at least").fill("-1")
    page.get_by_text("This must be a number of minutes").wait_for()
    page.get_by_label("Minutes, at least").fill("1")
    page.get_by_label("Only damaged").check()
    page.get_by_text("No recording is like that.").wait_for()
    page.reload()
    assert page.get_by_label("Only damaged").is_checked()
    page.get_by_label("Only damaged").uncheck()
    page.get_by_label("Minutes, at least").fill("")
    page.get_by_label("From").fill(f"{sample.full.invoked_time:%Y-%m-%d}")
    wait_for_titles(page, "Réunion du conseil")
    page.get_by_role("searchbox").press("Enter")
    page.locator(".entry").click()
    assert page.locator("h1").inner_text() == "Réunion du conseil"
    page.go_back()
    assert titles(page) == ["Réunion du conseil"]


def test_a_list_shows_posters_and_finds_people_and_meetings_without_a_recording(url: str, page: Any) -> None:
    elsewhere: list[str] = []
    page.on("request", lambda request: elsewhere.append(request.url) if not request.url.startswith(url) else None)
    page.goto(url, wait_until="networkidle")
    loaded = "[...document.querySelectorAll('.thumbnail')].map(image => image.complete && image.naturalWidth > 0)"
    assert page.evaluate(loaded) == [True] * 5
    assert "/poster.jpg" in page.locator(".thumbnail").first.get_attribute("src")
    assert elsewhere == []
    picture(page, "list")
    page.get_by_role("searchbox").fill("mary 1 conseil")
    wait_for_titles(page, TITLE)
    page.get_by_role("searchbox").fill("åberg")
    wait_for_titles(page, UNRECORDED)
    page.locator(".entry").click()
    assert page.locator("h1").inner_text() == UNRECORDED
    assert page.get_by_text("The budget comes first.").is_visible()
    picture(page, "session")


def test_a_long_recording_plays_and_seeks_and_asks_the_store_for_nothing_before(
    url: str, long: StandInRecording, page: Any
) -> None:
    asked: list[Any] = []
    page.on("response", lambda answer: asked.append((answer.status, answer.url)) if "X-Amz" in answer.url else None)
    page.goto(f"{url}/recordings/{long.id}", wait_until="networkidle")
    assert asked == []
    page.evaluate("player.muted = true, player.play()")
    playing_after(page, 0.3)
    page.evaluate("player.currentTime = 90")
    playing_after(page, 90.3)
    assert {status for status, _ in asked} == {206}
    assert page.evaluate("player.seekable.end(0)") > 95


def test_a_link_that_has_ended_is_renewed_where_the_player_was(url: str, long: StandInRecording, page: Any) -> None:
    page.goto(f"{url}/recordings/{long.id}")
    page.evaluate("player.muted = true, player.play()")
    playing_after(page, 0.5)
    page.evaluate("player.currentTime = 50")
    playing_after(page, 50.2)
    page.evaluate("player.dispatchEvent(new Event('error'))")
    page.wait_for_function("() => player.src.includes('again=')")
    playing_after(page, 50.3)


def test_a_line_of_the_transcript_leads_the_player(url: str, sample: Sample, page: Any) -> None:
    page.goto(f"{url}/recordings/{sample.full.id}")
    page.evaluate("player.muted = true")
    line = page.get_by_role("link", name="Any questions?")
    line.click()
    playing_after(page, 8.2)
    assert line.get_attribute("aria-current") == "true"
    page.get_by_role("link", name="The budget comes first.").click()
    page.wait_for_function("() => player.currentTime > 4.2 && player.currentTime < 8")
    assert page.locator("[aria-current]").inner_text().endswith("The budget comes first.")
    page.evaluate("player.textTracks[0].mode = 'showing'")
    page.wait_for_function("() => player.textTracks[0].cues?.length === 3")
    picture(page, "recording")


def test_files_and_the_whole_bag_are_downloaded(url: str, sample: Sample, page: Any, tmp_path: Path) -> None:
    page.goto(f"{url}/recordings/{sample.full.id}")
    with page.expect_download() as download:
        page.get_by_role("link", name=f"Download {sample.full.video_name}").click()
    assert download.value.suggested_filename == sample.full.video_name
    download.value.save_as(tmp_path / "video.mp4")
    assert (tmp_path / "video.mp4").read_bytes() == media.video_mp4()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download everything").click()
    assert download.value.suggested_filename == f"{sample.full.id}.zip"
    assert Path(download.value.path()).stat().st_size > len(media.video_mp4())


def test_script_in_names_and_chats_does_nothing(url: str, sample: Sample, page: Any) -> None:
    for path in (
        "/",
        f"/recordings/{sample.hostile.id}",
        f"/recordings/{sample.full.id}",
        f"/sessions/{sample.meeting.id}",
    ):
        page.goto(url + path, wait_until="networkidle")
        assert page.get_by_text(SCRIPT).count() > 0
        assert page.title() != "run"
        assert page.locator("img[src=x]").count() == 0
    page.goto(url)
    page.get_by_role("searchbox").fill(SCRIPT)
    wait_for_titles(page, TITLE, SCRIPT)  # the first by somebody who took part
    assert page.title().startswith("<script>")


def test_on_a_phone_nothing_is_wider_than_the_screen(url: str, sample: Sample) -> None:
    with browsing(**PHONE) as page:
        for name, path in {
            "list": "/", "recording": f"/recordings/{sample.full.id}", "tracks": f"/recordings/{sample.tracks.id}",
            "session": f"/sessions/{sample.meeting.id}", "message": "/nothing", "filters": "/?damaged=1",
        }.items():  # fmt: skip
            page.goto(url + path, wait_until="networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
            picture(page, f"phone-{name}")


def test_everything_is_reached_by_keyboard(url: str, page: Any) -> None:
    def focused() -> str:
        return str(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id"))

    page.goto(url)
    page.keyboard.press("Tab")
    assert focused() == "To the content"
    for wanted in ("Recordings", "q"):
        page.keyboard.press("Tab")
        assert focused() == wanted
    page.keyboard.type("reunion")
    wait_for_titles(page, "Réunion du conseil")
    for wanted in ("Search", "Filters"):
        page.keyboard.press("Tab")
        assert focused() == wanted
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/recordings/*")
    page.evaluate("player.muted = true")
    line = page.get_by_role("link", name="The budget comes first.")
    for _ in range(40):
        page.keyboard.press("Tab")
        if line.evaluate("line => line === document.activeElement"):
            break
    page.keyboard.press("Enter")
    playing_after(page, 4.1)


def test_without_script_search_pages_and_transcript_work(url: str, sample: Sample) -> None:
    with browsing(java_script_enabled=False) as page:
        page.goto(url)
        page.get_by_role("searchbox").fill("reunion")
        page.get_by_role("searchbox").press("Enter")
        page.wait_for_url("**/?q=reunion**")
        assert titles(page) == ["Réunion du conseil"]
        page.locator(".entry").click()
        page.get_by_role("link", name="The budget comes first.").click()
        source = page.locator("#player").get_attribute("src")
        assert source.endswith(f"/data/video/{sample.full.id}.mp4#t=4.0")


def test_behind_a_password_recordings_play_too(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(sample.bench.server, monkeypatch)
    with (
        serving(sample.bench, library_password=PASSWORD) as url,
        browsing(http_credentials={"username": "any", "password": PASSWORD}) as page,
    ):
        page.goto(f"{url}/recordings/{sample.full.id}")
        page.evaluate("player.muted = true, player.play()")
        playing_after(page, 0.3)
