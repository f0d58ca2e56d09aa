"""Imports go down only, the plain modules need no Prefect, and nothing reads the environment before a run."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
WITH_PREFECT = {"artifacts", "auditing", "recording"}
MODULES = sorted(path.stem for path in (PROJECT / "tasks").glob("*.py") if path.stem != "__init__")
PLAIN = [name for name in MODULES if name not in WITH_PREFECT]
API = {"realtimekit", "cloudflare", "details"}
SOURCE = {"download", "links", "answers", "bodies", "wire"}
AUDIT = {"audit", "audit_found", "audit_log", "audit_order", "audit_report", "fixity", "holdings", "readahead"}
STORE = {
    "store", "bucket", "calls", "credentials", "endpoint", "handshake", "s3_lines", "archive", "archived_bag", "bag",
    "checksums", "corner", "day_folders", "dialect", "pace", "partial_archive", "parts", "read_back", "s3_errors",
    "unfinished",
} | AUDIT  # fmt: skip

WITHOUT_PREFECT = """
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "prefect":
            raise ImportError("a plain module imports Prefect")
sys.meta_path.insert(0, Wall())
for name in sys.argv[1:]:
    __import__(f"tasks.{name}")
"""

UNREAD = """
import os, sys
import boto3, botocore.session, httpx, pydantic_settings, tqdm, pydantic, dotenv, awscrt.checksums, pathvalidate
import importlib.metadata, concurrent.futures, prefect.events.worker, prefect.client.orchestration, prefect.artifacts
import prefect
OURS = ("AWS_", "CLOUDFLARE_", "REALTIMEKIT_", "ARCHIVE_", "TRANSFER_", "TASK_", "POLL_", "STALL_")
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
def imports(path: Path) -> frozenset[str]:
    """Return the modules that a file imports, be it for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively; Prefect loads flows as top-level modules"
            base = node.module or ""
            found |= {f"{base}.{alias.name}" if base == "tasks" else base for alias in node.names}
    return frozenset(found)


@cache
def of_ours(name: str) -> frozenset[str]:
    """Return the modules of `tasks/` that a module of `tasks/` imports."""
    imported = imports(PROJECT / "tasks" / f"{name}.py")
    return frozenset(module.removeprefix("tasks.") for module in imported if module.startswith("tasks."))


def all_below(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Return all modules of `tasks/` that a module needs, directly or not."""
    below: set[str] = set()
    for module in of_ours(name):
        assert module not in seen, f"{module} and {name} import each other"
        below |= {module} | all_below(module, seen | {module})
    return below


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_plain_modules_need_no_prefect() -> None:
    run(WITHOUT_PREFECT, *PLAIN)


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_module_does_not_name_prefect(name: str) -> None:
    assert not {module for module in imports(PROJECT / "tasks" / f"{name}.py") if module.startswith("prefect")}
    assert not of_ours(name) & WITH_PREFECT


@pytest.mark.parametrize("name", MODULES)
def test_nothing_below_knows_what_is_above(name: str) -> None:
    assert name not in all_below(name)
    assert not {module for module in imports(PROJECT / "tasks" / f"{name}.py") if module.startswith(("flows", "tests"))}


@pytest.mark.parametrize(
    ("of", "others"), [(API, SOURCE | STORE), (SOURCE, API | STORE), (STORE, (API | SOURCE) - {"details"})]
)
def test_the_api_the_source_and_the_store_know_nothing_of_each_other(of: set[str], others: set[str]) -> None:
    for name in of:
        assert not all_below(name) & others, name


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("checkup", API | SOURCE | STORE),
        ("checkup_api", STORE),
        ("checkup_store", API | SOURCE),
        ("corner", API | SOURCE),
    ],
)
def test_a_checkup_of_one_side_knows_nothing_of_the_other(name: str, others: set[str]) -> None:
    assert not all_below(name) & others


def test_what_a_clock_and_a_view_are_needs_nothing_of_ours() -> None:
    assert all_below("clocks") == set()
    assert all_below("checkup_view") <= {"checkup", "errors", "markdown", "redaction", "streams"}


def test_errors_stand_at_the_bottom() -> None:
    assert all_below("errors") <= {"redaction"}


def test_nothing_reads_the_settings_at_import() -> None:
    flows = [f"flows.{path.stem}" for path in (PROJECT / "flows").glob("*.py") if path.stem not in {"__init__", "demo"}]
    assert run(UNREAD, *(f"tasks.{name}" for name in MODULES), *flows) == ""


def test_no_flow_hides_a_module_that_exists_elsewhere() -> None:
    names = {path.stem for path in (PROJECT / "flows").glob("*.py")} - {"__init__"}
    script = "import importlib.util, sys; print(*[n for n in sys.argv[1:] if importlib.util.find_spec(n)])"
    assert run(script, *names) == ""
