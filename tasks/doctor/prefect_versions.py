"""The checks of Prefect that need no server: what is installed, and what works without one."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from tasks.doctor.runner import Check, CheckResult, failed, ok

GROUP = "Prefect"
SERVER = "server"
PROJECT = Path(__file__).resolve().parents[2]
BOUND = ("prefect", "fastapi", "sqlalchemy")


def without_server() -> list[Check]:
    """Return the checks where no server is configured."""
    return [Check(GROUP, "versions", check_versions), Check(GROUP, SERVER, _none_configured)]


def check_versions() -> CheckResult:
    """Check that the installed versions are those that this project was tested with."""
    listed = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    bounds = {bound.name: bound for bound in map(Requirement, listed)}
    installed = {name: _version(name) for name in BOUND}
    wrong = [
        f"{name} {has or 'is missing'}, not {bounds[name].specifier}"
        for name, has in installed.items()
        if not bounds[name].specifier.contains(has or "0", prereleases=True)
    ]
    if wrong:
        return failed("; ".join(wrong), "Install what was tested: uv sync --locked")
    return ok(", ".join(f"{name} {has}" for name, has in installed.items()))


def _none_configured() -> CheckResult:
    return ok(
        "none is configured (PREFECT_API_URL), and none is needed: all commands work without one; form, schedule, "
        "webhook and events need one"
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
