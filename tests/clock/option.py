"""Moves the clock of the tests, and of all Python processes that they start.

    uv run pytest --clock 2028-02-29T23:59:30Z  # all tests, as if they were started at that moment
    uv run pytest --clock +40d                  # or so many days from now
    TZ=Pacific/Kiritimati uv run pytest         # in another time zone; all of these go together
    uv run pytest --dated                       # of all tests, the quick ones that dates may matter to

rclone keeps the true time: what needs rclone is skipped while the clock is moved, and the flows' tests take Swift.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.clock import is_moved, python_path
from tests.clock.dated import is_dated
from tests.clock.sitecustomize import AHEAD, move

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clock", metavar="TIME", help="run as if it were then: 2028-02-29T23:59:30Z, or +40d")
    parser.addoption("--dated", action="store_true", help="run the tests alone that dates may matter to")


def pytest_configure(config: pytest.Config) -> None:
    """Move the clock before any module of tests is imported; pytest-xdist's workers inherit the moved clock."""
    asked = config.getoption("--clock")
    if asked and not is_moved():
        os.environ[AHEAD] = str(_ahead(asked).total_seconds())
        inherited = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = python_path(*([Path(inherited)] if inherited else []))
        move()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--dated"):
        dated = [is_dated(item) for item in items]
        config.hook.pytest_deselected(items=[item for item, chosen in zip(items, dated, strict=True) if not chosen])
        items[:] = [item for item, chosen in zip(items, dated, strict=True) if chosen]


def pytest_report_header() -> str:
    return f"clock: {datetime.now(UTC).astimezone():%Y-%m-%d %H:%M:%S %z}{', moved' if is_moved() else ''}"


def _ahead(asked: str) -> timedelta:
    if days := re.fullmatch(r"\+(\d+)d", asked):
        return timedelta(days=int(days[1]))
    return datetime.fromisoformat(asked).astimezone(UTC) - datetime.now(UTC)
