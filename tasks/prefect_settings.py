"""Prefect's settings as its sources hold them, read without Prefect, whose import takes seconds and some 100 MiB.

Only "no server is configured" has to be right here: where a source names one, Prefect is imported, and asked itself.
The sources, in Prefect's order: the environment, `.env`, `prefect.toml`, `pyproject.toml`, the active profile.
Source: https://docs.prefect.io/v3/concepts/settings-and-profiles
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORK_POOL = "recordings"
"""The work pool of the deployments in prefect.yaml."""
API_URL = ("api", "url")
LOGGING_LEVEL = ("logging", "level")
CLIENT_MAX_RETRIES = ("client", "max_retries")
CLIENT_RETRIES = 3
"""After 2, 4 and 8 s. Prefect's own five take a minute, and it asks twice; the archive needs none of it."""
LOGGING_ROOT_LEVEL = ("logging", "root_level")
TEST_MODES = ("TEST_MODE", "UNIT_TEST_MODE", "TESTING_UNIT_TEST_MODE", "TESTING_TEST_MODE")
"""In which Prefect reads no profile, each with PREFECT_ before it."""


def may_name_a_server() -> bool:
    """Return whether a source names a server's API URL, or cannot be read: then Prefect has to be asked.

    An empty value counts for Prefect, and hides those of later sources; here it does not, and Prefect decides.
    """
    try:
        return any(values(API_URL))
    except (OSError, ValueError):  # no permission; neither UTF-8 nor TOML
        return True


def choose_client_retries() -> None:
    """Have Prefect's client give up early, as suits a person who waits, unless another number is chosen.

    Once Prefect is imported, this is too late, and `tasks.orchestration.server` changes the setting. That makes Prefect
    read all of its settings again, which is 7 % of the processor time until a command's first request.
    """
    if "prefect" not in sys.modules and not first_value(CLIENT_MAX_RETRIES):
        os.environ["PREFECT_CLIENT_MAX_RETRIES"] = str(CLIENT_RETRIES)


def first_value(setting: tuple[str, str]) -> str:
    """Return a setting's value; empty if no source has one, or if a source cannot be read.

    Args:
        setting: the group and the name, such as `API_URL`.
    """
    try:
        return next(values(setting), "")
    except (OSError, ValueError):
        return ""


def values(setting: tuple[str, str]) -> Iterator[str]:
    """Yield the values that the sources have for a setting, in Prefect's order.

    Args:
        setting: the group and the name, such as `API_URL`.

    Raises:
        OSError: a source cannot be opened.
        ValueError: a source is neither UTF-8 nor TOML.
    """
    group, name = setting
    variable = f"prefect_{group}_{name}"
    for variables in (os.environ, dotenv_values(".env")):
        lowered = {key.lower(): value for key, value in variables.items() if value is not None}
        yield from _of_group(lowered.get(f"prefect_{group}"), name)
        yield from (lowered[key] for key in [variable] if key in lowered)
    for table in (_toml("prefect.toml"), _table(_toml("pyproject.toml"), "tool", "prefect")):
        yield from _text(_table(table, group).get(name))
    yield from _text(_profile().get(variable.upper()))


def _of_group(text: str | None, name: str) -> Iterator[str]:
    """Yield the value of a setting whose whole group is one variable, in JSON."""
    group = json.loads(text) if text else None
    yield from _text(group.get(name) if isinstance(group, dict) else None)


def _text(value: object) -> Iterator[str]:
    yield from (str(value) for value in [value] if value is not None)


def _toml(path: str | Path) -> dict[str, Any]:
    path = Path(path)
    return _parse(path.read_text(encoding="utf-8")) if path.exists() else {}


@cache
def _parse(text: str) -> dict[str, Any]:
    """Parse a file once, which is read for each setting: a long pyproject.toml takes some milliseconds."""
    return tomllib.loads(text)


def _table(tables: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        table = tables.get(name)
        tables = table if isinstance(table, dict) else {}
    return tables


def _profile() -> Mapping[str, Any]:
    """Return the active profile; that of Prefect's own file names no server unless somebody chooses another one."""
    if any(os.environ.get(f"PREFECT_{mode}") for mode in TEST_MODES):
        return {}
    profiles = _toml(_profiles_path())
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    return _table(profiles, "profiles", str(active))


def _profiles_path() -> Path:
    """Return the file of the profiles, as Prefect looks for it: PREFECT_HOME counts in the environment only."""
    named = [
        os.environ.get("PREFECT_PROFILES_PATH"),
        dotenv_values(".env").get("PREFECT_PROFILES_PATH"),
        _toml("prefect.toml").get("profiles_path"),
        _table(_toml("pyproject.toml"), "tool", "prefect").get("profiles_path"),
    ]
    for path in named:
        if path:
            return Path(path)
    if home := os.environ.get("PREFECT_HOME"):
        return Path(home) / "profiles.toml"
    own = Path.home() / ".prefect" / "profiles.toml"
    return own if own.exists() else _packaged_profiles()


def _packaged_profiles() -> Path:
    prefect = importlib.util.find_spec("prefect")  # does not import it
    folders = prefect.submodule_search_locations if prefect else None
    return Path(next(iter(folders or ["."]))) / "settings" / "profiles.toml"
