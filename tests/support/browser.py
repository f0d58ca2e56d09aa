"""A real browser for tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# Without these, Chromium asks Google's hosts for updates and more at every start.
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
SCREENSHOTS = os.environ.get("SCREENSHOTS")
"""The folder that pictures go to, if somebody wants to look at them."""


@contextmanager
def browsing(**options: Any) -> Iterator[Any]:
    """Give a page of a browser; the test is skipped where there is no browser.

    Args:
        options: of the page, as Playwright has them.
    """
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or pytest.skip("there is no Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
        usual: dict[str, Any] = {"viewport": {"width": 1280, "height": 1000}, "color_scheme": "light"}
        page = browser.new_page(**usual | options)
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def picture(page: Any, name: str) -> None:
    """Keep a picture of a page, if somebody wants to look at it."""
    if SCREENSHOTS:
        page.wait_for_timeout(500)  # what moves has come to rest
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")
