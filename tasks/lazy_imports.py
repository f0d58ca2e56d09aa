"""Modules that libraries import and that commands hardly ever use: such a module is imported when it is used."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import PathFinder
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

HARDLY_USED = frozenset(
    {
        "coolname",
        "h2.connection",
        "h2.events",
        "jsonschema",
        "pathspec",
        "prefect.blocks.notifications",
        "prefect.blocks.webhook",
    }
)
"""Modules whose names nothing takes out (`from module import name`) while a command starts."""


def import_when_used() -> None:
    """Import each module of `HARDLY_USED` when something of the module is used, and not when a library imports it.

    Source: https://docs.python.org/3/reference/import.html#the-meta-path

    Python's own LazyLoader does that, too, but a second import of the module is a use for it, and two threads that are
    the first to use a module disturb each other before Python 3.12.
    """
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


class _Finder:
    """Finds a module of `HARDLY_USED`, and no other."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return how the module that stands in is made, or None for all that is to be imported now."""
        spec = PathFinder.find_spec(name, path, target) if name in HARDLY_USED and name not in _used else None
        if spec is not None:
            spec.loader = _Loader()
        return spec


_LOCK = Lock()
_used: set[str] = set()


class _Loader(Loader):
    def create_module(self, spec: ModuleSpec) -> None:
        """Have Python make a module as usual, with its name, file and path."""

    def exec_module(self, module: ModuleType) -> None:
        """Let the module stand in for itself, in place of running its code."""
        module.__class__ = _StandIn


class _StandIn(ModuleType):
    """What those hold that have imported a module: it has what the module has."""

    def __getattr__(self, name: str) -> Any:
        """Return what the module has, which is imported now. Python's lock of the import lets other threads wait."""
        with _LOCK:
            _used.add(self.__name__)
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)
