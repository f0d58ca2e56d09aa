"""The pages over a real store: what they show, where their links lead, and what is done with what strangers wrote."""

from __future__ import annotations

import io
import logging
import math
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import bagit
import httpx
import pytest

from tasks.catalog import Dataset
from tasks.errors import StoreUnavailable
from tasks.library import catalog_cache
from tasks.library.catalog_cache import CatalogCache
from tasks.library.recording_facts import Media, RecordingFacts, find_file
from tests.support.auditing import audited
from tests.support.bags import key_of
from tests.support.cataloguing import rows, update
from tests.support.library import SCRIPT, TITLE, serving
from tests.support.meddling import refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.archiving import Archiving
    from tests.support.library import Sample


class Elements(HTMLParser):
    """The elements of a page, as a browser understands it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text += data

    def links(self, beginning: str) -> list[str]:
        """Return the addresses that begin so."""
        return [href for _, its in self.found if (href := its.get("href") or "").startswith(beginning)]


def shown(library: httpx.Client, path: str) -> Elements:
    answer = library.get(path)
    assert answer.status_code == 200, answer.text
    return Elements(answer.text)


def listed(library: httpx.Client, search: str = "") -> list[str]:
    return [link.rpartition("/")[2] for link in shown(library, f"/{search}").links("/recordings/")]


def test_the_list_is_newest_first_and_searched_as_on_the_command_line(library: httpx.Client, sample: Sample) -> None:
    full, hostile, tracks = sample.full.id, sample.hostile.id, sample.tracks.id
    assert listed(library) == [full, hostile, tracks]
    for search, wanted in {
        "?q=REUNION+conseil": [full],
        "?q=ann_2": [tracks],
        f"?q={sample.tracks.invoked_time:%Y-%m-%d}": [tracks],
        f"?q={hostile[:13]}": [hostile],
        f"?since={sample.full.invoked_time:%Y-%m-%d}": [full],
        f"?until={sample.tracks.invoked_time:%Y-%m-%d}": [tracks],
        "?min_minutes=1": [],
        "?damaged=1": [],
        "?q=&since=&until=&min_minutes=&page=9": [full, hostile, tracks],
    }.items():
        assert listed(library, search) == wanted, search


def test_what_cannot_be_understood_is_named_and_the_rest_is_searched(library: httpx.Client, sample: Sample) -> None:
    answer = library.get("/?q=reunion&since=yesterday&min_minutes=-1")
    assert answer.status_code == 400
    page = Elements(answer.text)
    assert page.links("/recordings/") == [f"/recordings/{sample.full.id}"]
    assert "From: This must be a day" in page.text
    assert "Minutes: This must be a number" in page.text


def test_a_recording_is_shown_with_all_that_belongs_to_it(library: httpx.Client, sample: Sample) -> None:
    page = shown(library, f"/recordings/{sample.full.id}")
    (row,) = [row for its_id, row in rows(sample.bench).items() if its_id == sample.full.id]
    for text in (
        TITLE, "0:00:11", "The budget comes first.", "Hello there", "Mary 1", "All is well.", "Zoë Meier",
        f"uv run python -m flows.restore_recording {sample.full.id} FOLDER", "not yet, since it was archived",
        *(file["sha256"] for file in row["files"]),
    ):  # fmt: skip
        assert text in page.text, text
    players = [(tag, its["preload"]) for tag, its in page.found if tag in {"video", "audio"}]
    assert players == [("video", "none"), ("audio", "none")]
    assert [its["data-seconds"] for tag, its in page.found if "data-seconds" in its] == ["0.0", "4.0", "8.0"]
    assert [its["src"] for tag, its in page.found if tag == "track"] == [f"/recordings/{sample.full.id}/captions.vtt"]
    assert library.get(f"/recordings/{sample.full.id}/captions.vtt").text.startswith("WEBVTT")
    assert "[0:00:04] Zoë: The budget" in library.get(f"/recordings/{sample.full.id}/transcript.txt").text
    assert library.get(f"/recordings/{sample.tracks.id}/captions.vtt").status_code == 404


def test_a_session_is_shown_in_its_newest_version(library: httpx.Client, sample: Sample) -> None:
    address = f"/sessions/{sample.meeting.id}"
    assert address in shown(library, f"/recordings/{sample.full.id}").links("/sessions/")
    page = shown(library, address)
    assert page.links("/recordings/") == [f"/recordings/{sample.full.id}"]
    (summary,) = [link for link in page.links(f"{address}/files/") if "summary" in link]
    assert httpx.get(redirected(library, summary)).content == sample.meeting.payload()["data/summary.md"]
    assert library.get("/sessions/00000000-0000-4000-8000-000000000000").status_code == 404


@pytest.mark.parametrize("place", ["/", "/?q=%3Cscript%3E", "hostile", "full", "session"])
def test_what_strangers_wrote_is_text_and_nothing_else(library: httpx.Client, sample: Sample, place: str) -> None:
    named = {
        "hostile": f"/recordings/{sample.hostile.id}",
        "full": f"/recordings/{sample.full.id}",
        "session": f"/sessions/{sample.meeting.id}",
    }
    page = shown(library, named.get(place, place))
    assert SCRIPT in page.text
    assert [its for tag, its in page.found if tag == "script"] == [{"src": "/static/library.js", "defer": None}]
    assert {its["src"] for tag, its in page.found if tag == "img"} == {"/static/icon.svg"}
    assert not [name for _, its in page.found for name in its if name.startswith("on") or name == "style"]


def redirected(library: httpx.Client, path: str, method: str = "GET") -> str:
    answer = library.request(method, path)
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
    return answer.headers["location"]


def test_a_file_is_read_by_a_link_that_ends_soon_in_any_range(library: httpx.Client, sample: Sample) -> None:
    path = f"/recordings/{sample.full.id}/files/data/video/{sample.full.id}.mp4"
    url = redirected(library, path)
    (lifetime,) = parse_qs(urlsplit(url).query)["X-Amz-Expires"]
    assert 900 <= int(lifetime) <= 960
    body = sample.bench.objects()[key_of(sample.bench, sample.full, "data/video/")]
    answer = httpx.get(url, headers={"Range": "bytes=1000-1999"})
    # rclone answers a range with 200; what it sends is the range.
    assert answer.content == body[1000:2000]
    assert answer.headers["content-range"] == f"bytes 1000-1999/{len(body)}"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"] == f'inline; filename="{sample.full.id}.mp4"'
    saved = httpx.get(redirected(library, f"{path}?download"))
    assert saved.headers["content-disposition"].startswith("attachment")
    assert saved.content == body
    assert httpx.head(redirected(library, path, "HEAD")).headers["content-length"] == str(len(body))


def test_no_link_to_a_file_is_in_the_log(
    library: httpx.Client, sample: Sample, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    redirected(library, f"/recordings/{sample.full.id}/files/data/video/{sample.full.id}.mp4")
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    assert "X-Amz-Signature" not in "\n".join(ours)


def test_the_whole_bag_comes_as_one_file_that_passes_for_a_bag(
    library: httpx.Client, sample: Sample, tmp_path: Path
) -> None:
    for address, folder in (
        (f"/recordings/{sample.full.id}", sample.full.id),
        (f"/sessions/{sample.meeting.id}", f"session-{sample.meeting.id}-v0001"),
    ):
        answer = library.get(f"{address}/bag.zip")
        assert int(answer.headers["content-length"]) == len(answer.content)
        with zipfile.ZipFile(io.BytesIO(answer.content)) as zipped:
            assert {info.compress_type for info in zipped.infolist()} == {zipfile.ZIP_STORED}
            zipped.extractall(tmp_path)
        bagit.Bag(str(tmp_path / folder)).validate()
        assert library.head(f"{address}/bag.zip").headers["content-length"] == answer.headers["content-length"]


def test_a_bag_that_is_not_whole_is_named_and_never_passes_for_a_whole_one(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_cache, "LOOK_EVERY_S", 0.0)
    changed, gone = (rclone.add(size) for size in (3_000_000, 1000))
    for recording in (changed, gone):
        rclone.archived(recording)
    audited(rclone)
    update(rclone)
    with serving(rclone) as url, httpx.Client(base_url=url, timeout=30) as client:
        page = shown(client, f"/recordings/{gone.id}")
        assert f"{datetime.now(UTC):%Y-%m-%d}" in page.text.partition("Last verified")[2].partition(": whole")[0]
        key = key_of(rclone, changed, "data/video/")
        rclone.s3.put_object(Bucket=rclone.bucket, Key=key, Body=b"x" * 3_000_000)
        rclone.s3.delete_object(Bucket=rclone.bucket, Key=key_of(rclone, gone, "data/video/"))
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(f"/recordings/{changed.id}/bag.zip")
        answer = client.get(f"/recordings/{gone.id}/bag.zip")
        assert (answer.status_code, "is missing" in answer.text) == (409, True)
        update(rclone)
        assert listed(client, "?damaged=1") == [gone.id]
        page = shown(client, f"/recordings/{gone.id}")
        assert "Somebody should look at this archive" in page.text
        assert page.links(f"/recordings/{gone.id}/") == []


def test_without_a_catalog_the_page_says_which_command_makes_it(rclone: Archiving) -> None:
    rclone.archived(rclone.add(1000))
    with serving(rclone) as url:
        answer = httpx.get(url)
        assert answer.status_code == 503
        assert "uv run python -m flows.update_catalog" in answer.text
    with serving(replace(rclone, bucket="no-such-bucket")) as url:
        answer = httpx.get(url)
        assert (answer.status_code, "does not let this page read it" in answer.text) == (502, True)


def test_a_changed_month_is_read_again_and_no_other(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_cache, "LOOK_EVERY_S", 0.0)
    read: list[str] = []

    def note(method: str, request: dict[str, str], send: Callable[[], Any]) -> Any:
        read.extend([request["Key"].split("/")[-2]] if method == "get_object" else [])
        return send()

    cache = CatalogCache(lambda: Dataset(rclone.run(note).store, "archive/"))
    recordings = [rclone.add(1000, invoked_time=datetime(2026, month, 1, tzinfo=UTC)) for month in (11, 10, 9)]
    for recording in recordings:
        rclone.archived(recording)
    update(rclone)
    assert [row["recording_id"] for row in cache.snapshot().rows] == [recording.id for recording in recordings]
    assert sorted(read) == ["month=2026-09", "month=2026-10", "month=2026-11"]
    cache.snapshot()
    assert len(read) == 3
    another = rclone.add(1000, invoked_time=datetime(2026, 9, 2, tzinfo=UTC))
    rclone.archived(another)
    update(rclone)
    assert another.id in cache.snapshot().recordings
    # The newest file is written, too, as it holds what all others were derived from.
    assert sorted(read[3:]) == ["month=2026-09", "month=2026-11"]


def test_while_the_store_is_away_the_list_stays_and_says_so(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_cache, "LOOK_EVERY_S", 0.0)
    away: list[bool] = []

    def fail(_method: str, _request: object, send: Callable[[], Any]) -> Any:
        if away:
            raise refusal("SlowDown", 503)
        return send()

    recording = rclone.add(1000)
    rclone.archived(recording)
    update(rclone)
    cache = CatalogCache(lambda: Dataset(rclone.run(fail, patience_s=0.1).store, "archive/"))
    away.append(True)
    with pytest.raises(StoreUnavailable):
        cache.snapshot()
    away.clear()
    assert cache.snapshot().is_current
    away.append(True)
    last = cache.snapshot()
    assert (list(last.recordings), last.is_current) == ([recording.id], False)


def test_a_row_leads_nowhere_out_of_this_archive() -> None:
    its_id = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
    here = f"app/2026/11/20/{its_id}/"

    def folder(url: str) -> str:
        return RecordingFacts({"recording_id": its_id, "archive_url": url}).folder("s3://bucket/pre/", "pre/")

    assert folder(f"s3://bucket/pre/{here}") == f"pre/{here}"
    elsewhere = (
        f"s3://other/pre/{here}",
        f"s3://bucket/{here}",
        "s3://bucket/pre/_audit/",
        "",
        f"s3://bucket/pre/x/../{here}",
    )
    assert [folder(url) for url in elsewhere] == [""] * 5
    another = RecordingFacts({"recording_id": its_id[::-1], "archive_url": f"s3://bucket/pre/{here}"})
    assert another.folder("s3://bucket/pre/", "pre/") == ""


@pytest.mark.parametrize(
    ("stated", "seconds"), [(61.5, 61.5), (None, 0.0), (math.nan, 0.0), (math.inf, 0.0), (-1e9, 0.0)]
)
def test_a_length_that_none_can_be_shortens_no_link(stated: float | None, seconds: float) -> None:
    assert RecordingFacts({"duration_s": stated}).seconds == seconds


@pytest.mark.parametrize(
    ("outcome", "words"), [("whole", "whole"), ("archived class", "some files are in an archived storage class now")]
)
def test_what_an_audit_passed_over_is_told_in_words_and_is_no_warning(outcome: str, words: str) -> None:
    facts = RecordingFacts({"fixity_outcome": outcome, "condition": "whole"})
    assert (facts.fixity, facts.warning) == (words, "")


@pytest.mark.parametrize(
    ("name", "stated", "wanted"),
    [
        ("a.mp4", "text/html", "video/mp4"),
        ("a.webm", "audio/webm", "audio/webm"),
        ("a.html", "video/mp4", "video/mp4"),
        ("a.html", "text/html", "application/octet-stream"),
        ("a.svg", "image/svg+xml", "application/octet-stream"),
        ("a.csv", None, "application/octet-stream"),
        ("a", None, "application/octet-stream"),
    ],
)
def test_a_browser_is_told_only_types_that_do_no_harm(name: str, stated: str | None, wanted: str) -> None:
    assert Media(f"data/video/{name}", 1, "sha", stated).content_type == wanted


def test_only_what_the_manifest_lists_within_the_payload_is_handed_out() -> None:
    files = [Media("data/a", 1, None), Media("recording.json", 1, "sha"), Media("data/../b", 1, "sha")]
    files += [Media("data/video/c..mp4", 1, "sha")]
    assert [media.path for media in files if find_file(files, media.path)] == ["data/video/c..mp4"]
    assert find_file(files, "data/video") is None
