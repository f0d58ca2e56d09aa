"""Imports go down only, by front doors; plain code needs no Prefect; nothing reads the environment early."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
TASKS = PROJECT / "tasks"
WITH_PREFECT = "orchestration"
MODULES = sorted(".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in TASKS.rglob("[!_]*.py"))
FLOWS = sorted(f"flows.{path.stem}" for path in (PROJECT / "flows").glob("[!_]*.py"))
"""All modules, as they are imported."""


def levels() -> dict[str, int]:
    """Return each wing's level, as the map in `tasks/__init__.py` has it."""
    import tasks  # noqa: PLC0415 - its docstring alone

    rows = re.findall(r"^ {4}([0-9]) +((?:\w+ )+) {2,}\S", tasks.__doc__ or "", re.MULTILINE)
    return {wing: int(level) for level, wings in rows for wing in wings.split()}


LEVELS = levels()
LIBRARIES = {
    "boto3": {"s3", "doctor"},
    "botocore": {"s3", "doctor", "session", "process_tuning"},
    "av": {"media"},
    "pyarrow": {"catalog"},
    "cryptography": {"realtimekit"},
    "fastapi": {"orchestration", "library"},
    "jinja2": {"library"},
    "zipstream": {"library"},
    "apprise": {"orchestration"},
    "prometheus_client": {"figures"},
}
"""Which wings may import a library; Prefect has a test of its own."""


WITHOUT_PREFECT = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "prefect":
            raise ImportError("a plain module imports Prefect")
sys.meta_path.insert(0, Wall())
for name in sys.argv[1:]:
    __import__(name)
"""

UNREAD = """
import os, sys
import boto3, botocore.session, httpx, pydantic_settings, tqdm, pydantic, dotenv, anycrc, pathvalidate
import importlib.metadata, concurrent.futures, prefect.events.worker, prefect.client.orchestration, prefect.artifacts
import prefect
OURS = ("AWS_", "CLOUDFLARE_", "REALTIMEKIT_", "ARCHIVE_", "TRANSFER_", "TASK_", "POLL_", "STALL_", "ALARMS_")
read = set()
def hook(name):
    original = getattr(os._Environ, name)
    def watched(self, key, *rest):
        read.add(key)
        return original(self, key, *rest)
    setattr(os._Environ, name, watched)
for name in ("__getitem__", "__contains__", "get"):
    hook(name)
for name in sys.argv[1:]:
    __import__(name)
print(*sorted(key for key in read if isinstance(key, str) and key.startswith(OURS)))
"""


@cache
def imports(module: str) -> frozenset[tuple[str, str]]:
    """Return what a module imports, be it for types alone: modules, and the names out of them."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(file_of(module).read_text())):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively; Prefect loads flows as top-level modules"
            found |= {(node.module or "", alias.name) for alias in node.names}
    return frozenset(found)


def file_of(module: str) -> Path:
    """Return a module's file, or its `__init__.py`."""
    file = PROJECT / (module.replace(".", "/") + ".py")
    return file if file.exists() else file.with_suffix("") / "__init__.py"


def wing_of(module: str) -> str:
    """Return the wing of `tasks/` that a module is in, or its own name if it stands alone there."""
    return module.split(".")[1] if module.count(".") else ""


def of_ours(module: str) -> set[str]:
    """Return the modules and wings of `tasks/` that a module imports."""
    named = {f"{base}.{name}" if base == "tasks" else base for base, name in imports(module)}
    return {name for name in named if name.startswith("tasks.")}


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_map_shows_every_wing_and_every_module_beside_them() -> None:
    assert set(LEVELS) == {wing_of(module) for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_a_wing_imports_only_what_is_below_it(module: str) -> None:
    wing = wing_of(module)
    alone = module.count(".") == 1  # such as errors.py, between which no circle is possible, see below
    for other in {wing_of(imported) for imported in of_ours(module)} - {wing}:
        below = LEVELS[other] < LEVELS[wing] or (LEVELS[other] == LEVELS[wing] and alone and not is_wing(other))
        assert below, f"{module} (level {LEVELS[wing]}) imports {other} (level {LEVELS[other]})"
    assert not {base for base, _ in imports(module) if base.startswith(("flows", "tests"))}


def is_wing(name: str) -> bool:
    return (TASKS / name).is_dir()


@pytest.mark.parametrize("module", [*MODULES, *FLOWS])
def test_a_wing_is_entered_by_its_front_door(module: str) -> None:
    for base, name in imports(module):
        wing = wing_of(base)
        if base.count(".") == 2 and base.startswith("tasks.") and wing != wing_of(module):
            behind = {door for door, _ in imports(f"tasks.{wing}")}
            assert base not in behind, f"{module} passes by the front door of {wing}: from tasks.{wing} import {name}"


@pytest.mark.parametrize("module", MODULES)
def test_no_module_needs_itself(module: str) -> None:
    assert module not in all_below(module)


def all_below(module: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Return all modules of its own wing, or beside it, that a module needs, directly or not."""
    below: set[str] = set()
    for other in of_ours(module):
        if other in MODULES and other.rpartition(".")[0] == module.rpartition(".")[0]:
            assert other not in seen, f"{other} and {module} import each other"
            below |= {other} | all_below(other, seen | {other})
    return below


def test_only_one_wing_needs_prefect() -> None:
    plain = [module for module in MODULES if wing_of(module) != WITH_PREFECT]
    assert not {(module, base) for module in plain for base, _ in imports(module) if base.startswith("prefect")}
    run(WITHOUT_PREFECT, *plain)


def test_a_library_is_known_where_it_belongs() -> None:
    for library, wings in LIBRARIES.items():
        users = {wing_of(module) for module in MODULES for base, _ in imports(module) if base.split(".")[0] == library}
        assert users <= wings, f"{library} is imported by {users - wings}"


def test_nothing_reads_the_settings_at_import() -> None:
    assert run(UNREAD, *MODULES, *(flow for flow in FLOWS if flow != "flows.demo")) == ""


def test_no_flow_hides_a_module_that_exists_elsewhere() -> None:
    names = [flow.removeprefix("flows.") for flow in FLOWS]
    script = "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n)])"
    assert run(script, *names) == ""
