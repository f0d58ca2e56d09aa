"""A module that commands hardly ever use is imported when something of it is used: once, whoever uses it first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.lazy_imports import HARDLY_USED
from tests.support.programs import said

if TYPE_CHECKING:
    from pathlib import Path

START = """
import sys
sys.argv[0] = "-m"  # as for a command
import flows
from tasks.lazy_imports import _StandIn
import flows.archive_recording, tasks.orchestration.engine
print(*sorted(name for name, module in sys.modules.items() if type(module) is _StandIn))
"""
CERTIFICATES = """
import ssl
from tasks.lazy_imports import import_when_used
read, load = [], ssl.SSLContext.load_verify_locations
def watched(*given, **named):
    read.append(named)
    return load(*given, **named)
ssl.SSLContext.load_verify_locations = watched
import_when_used()
import prefect.flows
at_start = len(read)
from prefect.blocks.webhook import Webhook
print(at_start, len(read) > at_start, Webhook(url="https://localhost").method)
"""
MODULE = """
import sys, time
sys.executed += 1
time.sleep(0.2)  # other threads ask meanwhile
from slow import part
__all__ = ["answer"]
answer = 42
"""
SETUP = """
import sys
from threading import Barrier, Thread
from tasks import lazy_imports
sys.path.insert(0, sys.argv[1])
sys.executed = 0
lazy_imports.HARDLY_USED = {"slow", "absent"}
lazy_imports.import_when_used()
lazy_imports.import_when_used()
import slow
"""


@pytest.fixture
def slow(tmp_path: Path) -> str:
    """Return a folder with a package that takes its time, and that imports a part of its own."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "__init__.py").write_text(MODULE)
    (tmp_path / "slow" / "part.py").write_text("import slow\nnumber = 7\n")
    return str(tmp_path)


def test_each_of_the_modules_waits_while_all_that_a_flow_needs_is_imported() -> None:
    assert said(START).split() == sorted(HARDLY_USED)


def test_prefect_is_imported_without_reading_certificates_until_a_webhook_needs_them() -> None:
    assert said(CERTIFICATES).split() == ["0", "True", "POST"]


def test_a_module_is_imported_at_its_first_use_and_not_when_it_is_imported_again(slow: str) -> None:
    program = SETUP + "import slow\nprint(sys.executed, slow.answer, slow.answer, sys.executed)\n"
    program += "print(sys.modules['slow'].answer, slow.__file__.endswith('__init__.py'), slow.part.number)"
    assert said(program, slow).split() == ["0", "42", "42", "1", "42", "True", "7"]


@pytest.mark.parametrize(
    "use",
    ["from slow import answer", "from slow import *", "from slow.part import number; from slow import answer"],
)
def test_a_module_is_imported_when_a_name_is_taken_out(slow: str, use: str) -> None:
    assert said(f"{SETUP}{use}\nprint(answer, sys.executed)", slow).split() == ["42", "1"]


def test_of_several_threads_that_use_a_module_first_each_gets_all_of_it(slow: str) -> None:
    program = f"""{SETUP}
seen, ready = [], Barrier(8)
def use():
    ready.wait()
    seen.append(slow.answer)
threads = [Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*set(seen), len(seen), sys.executed)
"""
    assert said(program, slow).split() == ["42", "8", "1"]


def test_what_a_module_has_not_is_an_attribute_error_and_a_module_that_is_not_there_an_import_error(slow: str) -> None:
    program = f"""{SETUP}
for use in ("slow.nothing", "__import__('absent')"):
    try:
        eval(use)
    except (AttributeError, ImportError) as error:
        print(type(error).__name__)
"""
    assert said(program, slow).split() == ["AttributeError", "ModuleNotFoundError"]


def test_a_module_that_fails_says_so_at_each_use(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("raise ValueError('broken')")
    program = f"""{SETUP}
for _ in range(2):
    try:
        slow.answer
    except ValueError as error:
        print(error)
"""
    assert said(program, str(tmp_path)).split() == ["broken", "broken"]
