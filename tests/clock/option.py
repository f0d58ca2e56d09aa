"""Moves the clock of the tests, and of all Python processes that they start.

uv run pytest --clock 2028-02-29T23:59:30Z      # all tests, as if they were started at that moment
uv run pytest --clock +40d                      # or so many days from now
TZ=Pacific/Kiritimati uv run pytest             # in another time zone; both go together
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.clock import is_moved, python_path
from tests.clock.sitecustomize import AHEAD, move

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clock", metavar="TIME", help="run as if it were then: 2028-02-29T23:59:30Z, or +40d")


def pytest_configure(config: pytest.Config) -> None:
    """Move the clock before any module of tests is imported; pytest-xdist's workers inherit the moved clock."""
    asked = config.getoption("--clock")
    if asked and not is_moved():
        os.environ[AHEAD] = str(_ahead(asked).total_seconds())
        inherited = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = python_path(*([Path(inherited)] if inherited else []))
        move()


def pytest_report_header() -> str:
    return f"clock: {datetime.now(UTC).astimezone():%Y-%m-%d %H:%M:%S %z}{', moved' if is_moved() else ''}"


def _ahead(asked: str) -> timedelta:
    if days := re.fullmatch(r"\+(\d+)d", asked):
        return timedelta(days=int(days[1]))
    return datetime.fromisoformat(asked).astimezone(UTC) - datetime.now(UTC)
