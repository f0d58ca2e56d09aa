"""Tells which tests dates may matter to, by what their modules import: nobody keeps a list."""

from __future__ import annotations

import inspect
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

PROJECT = Path(__file__).parents[2]
DEPTH = 2
"""A test's module, what that imports, and what this imports: a stand-in dates recordings, another module makes them."""
_READS_CLOCK = re.compile(r"\b(datetime\.now|date\.today|time\.time|time\.time_ns)\b")
_IMPORT = re.compile(r"^ *from ((?:flows|tasks|tests)[\w.]*) import (.+)$", re.MULTILINE)
_TOO_SLOW = frozenset({"any_server", "prefect_api"})
_STORES = frozenset({"bench", "rclone_server", "store", "swift_server"})
"""Fixtures that start a store; a test that takes `request` may ask for one of them."""


def is_dated(item: pytest.Item) -> bool:
    """Tell whether a test is worth being run at other dates: it can reach the clock, and takes little.

    What needs a store is among them where the test's own module speaks of time. Examples that hypothesis draws are left
    out, as are the flows' worlds: each takes too long for each change.
    """
    fixtures = set(getattr(item, "fixturenames", ()))
    if fixtures & _TOO_SLOW or getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        return False
    if fixtures & _STORES or "request" in inspect.signature(getattr(item, "function", is_dated)).parameters:
        return "datetime" in item.path.read_text()
    return _reaches_clock(item.path, DEPTH)


@cache
def _reaches_clock(module: Path, depth: int) -> bool:
    source = module.read_text()
    if _READS_CLOCK.search(source):
        return True
    # A wing's front door is no step on the way: it only hands on what stands behind it.
    return depth > 0 and any(
        _reaches_clock(imported, depth if imported.name == "__init__.py" else depth - 1)
        for imported in _imported(source)
    )


def _imported(source: str) -> list[Path]:
    named = [
        f"{package}.{name}".replace(".", "/")
        for package, names in _IMPORT.findall(source)
        for name in ("__init__", *re.findall(r"\w+", names))
    ]
    named += [package.replace(".", "/") for package, _ in _IMPORT.findall(source)]
    return [file for name in named if (file := PROJECT / f"{name}.py").is_file()]
