"""What a person sees in Prefect's UI, in a real browser: a form that explains itself, a run, its report.

Opt-in, as it needs Chromium: `apt-get install chromium`, then `uv run --group browser pytest -m browser`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.flows.duty import PrefectServer, deploy, deployment_id, worker
from tests.flows.world import World, eventually
from tests.standins.realtimekit import MediaSource

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# Without these, Chromium asks Google's hosts for updates and more at every start.
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""The folder that pictures go to, if somebody wants to look at them."""


@pytest.fixture
def page() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, color_scheme="light")
        page.set_default_timeout(60_000)
        yield page
        browser.close()


@pytest.fixture
def on_duty(world: World, tmp_path: Path) -> Iterator[tuple[World, PrefectServer]]:
    with PrefectServer(tmp_path) as server:
        here = replace(world, prefect_api=server.api)
        deploy(here)
        with worker(here):
            yield here, server


def picture(page: Any, name: str) -> None:
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


def test_a_person_fills_the_form_in_and_sees_the_recording_archived(
    on_duty: tuple[World, PrefectServer], page: Any
) -> None:
    world, server = on_duty
    payload = b"video" * 1_000_000
    recording = world.add(payload, audio=MediaSource(b"sound" * 1000, "audio/mpeg"))
    page.goto(f"{server.url}/deployments/deployment/{deployment_id(world, 'on-demand')}/run")
    field = page.locator("textarea").first
    field.wait_for()
    for explained in ("a UUID as the RealtimeKit", "How many seconds to wait", "The old archive stays"):
        assert page.get_by_text(explained).count() == 1
    field.fill("not a UUID")
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("Validation failed for field 'recording_id'").first.wait_for()
    page.reload()
    field.fill(recording.id)
    picture(page, "form")
    page.get_by_role("button", name="Submit").click()

    eventually(lambda: [run["state"]["type"] for run in world.flow_runs(recording)] == ["COMPLETED"])
    (run,) = world.flow_runs(recording)
    page.goto(f"{server.url}/runs/flow-run/{run['id']}")
    page.get_by_text("Archived: s3://").wait_for()
    picture(page, "run")
    (artifact,) = world.ask_prefect("artifacts", artifacts={"key": {"any_": [f"archived-{recording.id}"]}})
    page.goto(f"{server.url}/artifacts/artifact/{artifact['id']}")
    page.get_by_text(hashlib.sha256(payload).hexdigest()).wait_for()
    picture(page, "report")
