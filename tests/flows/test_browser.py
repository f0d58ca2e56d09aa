"""What a person sees in Prefect's UI, in a real browser: forms that explain themselves, runs, what they leave to read.

Opt-in, as it needs Chromium: `apt-get install chromium`, then `uv run --group browser pytest -m browser`.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flows.sweep_recordings import sweep_recordings
from tests.flows.duty import PrefectServer, asked, deploy, deployment_id, worker
from tests.flows.world import eventually, new_world
from tests.standins import media
from tests.standins.realtimekit import MediaSource
from tests.support.browser import browsing, picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.flows.world import World
    from tests.standins.realtimekit import RealtimeKitStandIn
    from tests.standins.stores import Store

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

ENDED = {"COMPLETED", "FAILED", "CRASHED"}
PATIENCE_S = 200
"""For a run on a worker, and another one that it sets off, while a browser is at work beside them."""


@pytest.fixture
def page() -> Iterator[Any]:
    with browsing() as page:
        yield page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with PrefectServer(tmp_path_factory.mktemp("prefect")) as running:
        yield running


@pytest.fixture
def on_duty(
    kit: RealtimeKitStandIn, any_server: Store, server: PrefectServer, tmp_path: Path
) -> Iterator[tuple[World, PrefectServer]]:
    here = new_world(kit, any_server, server.api, tmp_path)
    deploy(here)
    (found,) = here.ask_prefect("deployments", deployments={"name": {"any_": ["every-15-minutes"]}})
    for schedule in found["schedules"]:  # else it would sweep whenever a quarter of an hour ends in a test
        asked(here, "PATCH", f"deployments/{found['id']}/schedules/{schedule['id']}", {"active": False})
    with worker(here):
        yield here, server


def form(page: Any, on_duty: tuple[World, PrefectServer], deployment: str) -> dict[str, Any]:
    """Open a deployment's form, and return its parameters by their names, in their order."""
    world, server = on_duty
    # Until the values are loaded, too, a click on the button that is there already does nothing.
    page.goto(f"{server.url}/deployments/deployment/{deployment_id(world, deployment)}/run", wait_until="networkidle")
    shown = page.locator(".schema-form-property")
    shown.first.wait_for()
    labels = shown.locator(".schema-form-property__label").all_inner_texts()
    return {label.partition(" ")[0]: shown.nth(number) for number, label in enumerate(labels)}


def submit(page: Any, world: World) -> dict[str, Any]:
    """Submit a deployment's form, and return the run that it made, when it has ended."""

    def created() -> Any:
        with page.expect_response(lambda answer: answer.url.endswith("/create_flow_run")) as answer:
            press_submit(page)
        # A server on SQLite answers 503 at times, as its file is locked; the page says so, and a person submits again.
        return answer.value.json()["id"] if answer.value.status == 201 else None

    run_id = eventually(created)

    def run() -> dict[str, Any]:
        (found,) = world.ask_prefect("flow_runs", flow_runs={"id": {"any_": [run_id]}})
        return dict(found)

    try:
        eventually(lambda: run()["state_type"] in ENDED, PATIENCE_S)
    except AssertionError:
        pytest.fail(f"the run did not end: {run()['state']}")
    return run()


def press_submit(page: Any) -> None:
    """Submit by the keyboard: a click is lost if a message that just then goes away moves the button from the mouse."""
    page.get_by_role("button", name="Submit").press("Enter")


def is_refused(page: Any, reason: str) -> bool:
    press_submit(page)
    page.get_by_text(reason).first.wait_for()
    return str(page.url).endswith("/run")


def open_run(page: Any, on_duty: tuple[World, PrefectServer], run: Mapping[str, Any], logged: str) -> None:
    """Open the page of a run that has ended; the page reads the log once, and the last lines come after the state."""
    world, server = on_duty
    eventually(lambda: any(logged in line for line in world.logged(flow_run_id=run["id"])), PATIENCE_S)
    page.goto(f"{server.url}/runs/flow-run/{run['id']}")
    page.get_by_text(logged).first.wait_for()


def open_artifact(page: Any, on_duty: tuple[World, PrefectServer], key: str) -> None:
    world, server = on_duty

    def latest() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = world.ask_prefect("artifacts", artifacts={"key": {"any_": [key]}})
        return sorted(found, key=lambda artifact: str(artifact["created"]))[-1:]

    (artifact,) = eventually(latest, PATIENCE_S)
    page.goto(f"{server.url}/artifacts/artifact/{artifact['id']}")


def test_a_person_fills_the_form_in_and_sees_the_recording_archived(
    on_duty: tuple[World, PrefectServer], page: Any
) -> None:
    world, _ = on_duty
    payload = b"vide\0" * 1_000_000
    recording = world.add(payload, audio=MediaSource(b"s\0und" * 1000, "audio/mpeg"))
    fields = form(page, on_duty, "on-demand")
    field = fields["recording_id"].locator("textarea")
    for explained in ("a UUID as the RealtimeKit", "How many seconds to wait", "The old archive stays"):
        assert page.get_by_text(explained).count() == 1
    field.fill("not a UUID")
    assert is_refused(page, "Validation failed for field 'recording_id'")
    page.reload(wait_until="networkidle")
    field.fill(recording.id)
    picture(page, "form")
    run = submit(page, world)
    assert run["state_type"] == "COMPLETED"

    open_run(page, on_duty, run, "Archived: s3://")
    picture(page, "run")
    open_artifact(page, on_duty, f"archived-{recording.id}")
    page.get_by_text(hashlib.sha256(payload).hexdigest()).wait_for()
    picture(page, "report")


WIDGETS = {
    "dry_run": "[role=switch]",
    "limit": "input[type=number]",
    "at_risk_hours": "input[type=number]",
    "invoked_within_hours": "input[type=number]",
    "meeting_id": "textarea",
    "app_ids": "button:has-text('Add item')",
    "at_once": "input[type=number]",
    "hand_out": "[role=switch]",
    "retry_minutes": "input[type=number]",
    "sessions": ".p-select",
}
REASON = "the API announces 1 bytes"


def test_a_person_looks_what_a_sweep_would_do_and_has_it_done(on_duty: tuple[World, PrefectServer], page: Any) -> None:
    world, _ = on_duty

    def add(hours: float, **its: Any) -> str:
        return world.add(invoked_time=datetime.now(UTC) - timedelta(hours=hours), duration=0, **its).id

    whole = [add(hours) for hours in (3, 30)]
    failing, at_risk = add(80, file_size=1), add(7 * 24 - 2, file_size=1)
    add(1, status="RECORDING")

    fields = form(page, on_duty, "every-15-minutes")
    assert {name: fields[name].locator(widget).count() for name, widget in WIDGETS.items()} == dict.fromkeys(WIDGETS, 1)
    assert list(fields) == list(WIDGETS) == list(sweep_recordings.parameters.model_dump()["properties"])
    for name, field in fields.items():
        assert len(field.locator(".schema-form-property__description").inner_text()) > 20, name
    page.set_viewport_size({"width": 1280, "height": 1650})
    picture(page, "sweep-form")
    page.set_viewport_size({"width": 1280, "height": 1000})
    fields["at_once"].locator("input").fill("99")
    assert is_refused(page, "99 is greater than the maximum of 16")
    fields["at_once"].locator("input").fill("2")
    fields["meeting_id"].locator("textarea").fill("not a UUID")
    assert is_refused(page, "Validation failed for field 'meeting_id'")
    fields["meeting_id"].locator("textarea").fill("")
    fields["dry_run"].locator("[role=switch]").click()
    assert submit(page, world)["state_type"] == "COMPLETED"
    open_artifact(page, on_duty, "sweep-plan")
    page.get_by_text("Nothing was done. 1 at risk, 4 left, 1 still to come").wait_for()
    assert table(page)[at_risk][0] == "AT RISK: left for the next sweep"

    form(page, on_duty, "every-15-minutes")
    run = submit(page, world)
    assert run["state_type"] == "FAILED"
    why = f"1 at risk, as they expire soon and are not archived: {at_risk}"
    open_run(page, on_duty, run, why)
    page.get_by_text(f"{failing} (video: {REASON}").first.wait_for()
    picture(page, "sweep-run")
    open_artifact(page, on_duty, "sweep-recordings")
    page.get_by_text("1 at risk, 2 failed, 2 archived, 1 still to come").wait_for()
    rows = table(page)
    assert [rows[one][0] for one in (at_risk, failing, *whole)] == ["AT RISK: failed", "failed", "archived", "archived"]
    assert REASON in rows[at_risk][2]
    assert fits(page, "reason", width=1400)
    picture(page, "sweep")


def table(page: Any) -> dict[str, list[str]]:
    """Return a sweep's table as it is shown, by recording; what is broken into lines is joined."""
    page.locator("tbody tr").first.wait_for()
    rows = [row.locator("td").all_inner_texts() for row in page.locator("tbody tr").all()]
    return {row[1].strip(): [" ".join(cell.split()) for cell in row] for row in rows}


def fits(page: Any, column: str, width: int) -> bool:
    """Tell whether a table is seen up to this column in a window so wide."""
    page.set_viewport_size({"width": width, "height": 1000})
    head = page.locator("th", has_text=column).bounding_box()
    frame = page.locator("table").locator("xpath=..").bounding_box()
    return bool(head["x"] + head["width"] <= frame["x"] + frame["width"])


def test_an_archived_recording_is_described_with_a_picture_of_it(
    on_duty: tuple[World, PrefectServer], page: Any
) -> None:
    world, _ = on_duty
    sound = MediaSource(media.audio_mp3(85_248)[:85_248], "audio/mpeg")
    recording = world.add(MediaSource(media.video_mp4()), audio=sound, duration=10.7)
    form(page, on_duty, "on-demand")["recording_id"].locator("textarea").fill(recording.id)
    submit(page, world)
    open_artifact(page, on_duty, f"described-{recording.id}")  # by a run that the event started
    page.get_by_text("video: h264, 640 x 360, 24 frames/s").wait_for()
    assert page.get_by_text("mp3, about 0:00:11 long").count() == 1
    frame = page.get_by_alt_text("A frame of the video")
    assert frame.evaluate("frame => frame.decode().then(() => [frame.naturalWidth, frame.naturalHeight])") == [480, 270]
    picture(page, "description")

    fields = form(page, on_duty, "after-archive")
    for by_hand in ("recording_id", "archive_url"):
        assert fields[by_hand].locator("textarea").count() == 1
    for by_event in ("files", "bytes", "duration_s"):
        assert "Leave it" in fields[by_event].locator(".schema-form-property__description").inner_text()
    picture(page, "description-form")
