"""What is made of measurements is right, whatever they are; no figure is asserted here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.benchmarks import __main__ as command
from tests.benchmarks.far import ROUND_TRIP_S, far
from tests.benchmarks.figures import MIB, RSS, WALL, Result, Row, ratio
from tests.benchmarks.many import AT_ONCE, Taken, lasting, share
from tests.benchmarks.table import cells, markdown, text
from tests.standins.loopback import Delivery, LoopbackServer
from tests.standins.wire import Reply
from tests.support.marked_section import read_section, write_section
from tests.support.measure import measured, quiet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.measure import Usage

FIGURES = command.PUBLISHED / "benchmarks.json"
OURS, THEIRS = Row("ours"), Row("a | b")
OURS.add(wall_s=1, peak_rss=MIB)
OURS.add(wall_s=10, peak_rss=3 * MIB)
OURS.add(wall_s=100, peak_rss=2 * MIB)
THEIRS.add(wall_s=2)
THEIRS.add(wall_s=None)
THEIRS.add(wall_s=400)
THEIRS.notes += ["failed: exit code 1"] * 2
RESULT = Result("capped", "so much", (WALL, RSS), [OURS, THEIRS], ("ours",), {"date": "2026-11-26"})


def test_ratios_are_made_pair_by_pair() -> None:
    assert ratio([1, 10, 100], [2, 10, 400]) == 0.5  # that of the medians would be 1


def test_a_round_that_failed_on_either_side_is_in_no_ratio() -> None:
    assert ratio([1, None, 100], [2, 10, None]) == 0.5
    assert ratio([None], [1]) is None


def test_a_table_has_medians_with_their_range_and_ratios() -> None:
    assert cells(RESULT) == [
        ["", "wall s", "peak RSS MiB", "ours ÷ it, wall"],
        ["ours", "10.00 (1.00 to 100.00)", "2 (1 to 3)", "1.00"],
        ["a | b", "201.00 (2.00 to 400.00)", "-", "0.38"],
    ]


def test_a_failure_is_told_once_and_breaks_no_table() -> None:
    assert text(RESULT).count("failed: exit code 1") == 1
    assert "| a \\| b |" in markdown(RESULT)


def test_what_was_skipped_says_why() -> None:
    skipped = Result("idle", "so much", skipped="no such store")
    assert "no such store" in text(skipped)
    assert "no such store" in markdown(skipped)


def test_facts_survive_the_file() -> None:
    assert Result.of_facts(json.loads(json.dumps(RESULT.facts()))) == RESULT


def test_the_document_states_what_was_published() -> None:
    published = {name: Result.of_facts(known) for name, known in json.loads(FIGURES.read_text()).items()}
    tables = command.tables(published)
    assert read_section(command.DOCUMENT, command.SECTION) == tables, "run `python -m tests.benchmarks --publish`"


def test_what_is_measured_again_replaces_what_was_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, published, document = tmp_path / "benchmarks", tmp_path / ".readme", tmp_path / "README.md"
    for folder, date in ((measured, "2026-11-27"), (published, "2026-11-26")):
        folder.mkdir()
        again = {"capped": replace(RESULT, about={"date": date}).facts(), "idle": RESULT.facts()}
        (folder / "benchmarks.json").write_text(
            json.dumps(again if folder == published else {"capped": again["capped"]})
        )
    document.write_text("before\n<!-- begin: benchmarks -->\n\nold\n<!-- end: benchmarks -->\nafter\n")
    monkeypatch.setattr(command, "PUBLISHED", published)
    monkeypatch.setattr(command, "DOCUMENT", document)
    monkeypatch.setattr(command, "draw", lambda *_: None)
    assert command.publish(measured) == 0
    kept = json.loads((published / "benchmarks.json").read_text())
    assert [kept[name]["about"]["date"] for name in ("capped", "idle")] == ["2026-11-27", "2026-11-26"]
    text_of_document = document.read_text()
    assert text_of_document.startswith("before\n<!-- begin")
    assert text_of_document.endswith("end: benchmarks -->\nafter\n")
    assert "old" not in text_of_document
    assert text_of_document.count("**capped**") == 2


def test_what_was_measured_quickly_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = replace(RESULT, about={"quick": "only to see that it works"})
    (tmp_path / "benchmarks.json").write_text(json.dumps({"capped": quick.facts()}))
    monkeypatch.setattr(command, "PUBLISHED", tmp_path / "not there")
    assert command.publish(tmp_path) == 2


@pytest.mark.parametrize("text", ["", "<!-- end: a -->\n<!-- begin: a -->\n\n", "<!-- begin: a -->\n\n" * 2])
def test_a_document_without_the_section_stays_as_it_is(text: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(ValueError, match="expected one section"):
        write_section(tmp_path / "README.md", "a", "new")
    assert (tmp_path / "README.md").read_text() == text


def test_prefects_share_is_what_is_left_without_ours() -> None:
    swept, alone = Taken(20, 14, 6), Taken(12, 8, 0.5)
    assert share(swept, alone, 100) == {"share_cpu_s": 0.12, "share_wall_s": 0.08}


def test_an_empty_flow_whose_tasks_last_as_long_takes_as_long() -> None:
    swept, brief = Taken(20, 14, 6), Taken(4, 2, 2)
    assert brief.wall_s + 100 * lasting(swept, brief, 100) / AT_ONCE == swept.wall_s
    assert lasting(brief, swept, 100) == 0


def test_who_works_is_not_quiet_and_who_sleeps_is() -> None:
    for program, is_quiet in (("while True: pass", False), ("import time; time.sleep(60)", True)):
        with subprocess.Popen([sys.executable, "-c", program]) as process:
            try:
                assert quiet(process.pid, 5 if is_quiet else 1) is is_quiet
            finally:
                process.kill()


def run(program: str, tmp_path: Path) -> Usage:
    """Run a Python program below a shell, as a pipeline's members are."""
    command = ["/bin/sh", "-c", '"$0" -c "$1"; code=$?; exit $code', sys.executable, program]
    return measured(command, dict(os.environ), tmp_path, 60)


def test_what_a_descendant_takes_counts(tmp_path: Path) -> None:
    program = "import time; held = bytearray(96 << 20)\nwhile time.process_time() < 0.3: pass\nexit(3)"
    usage = run(program, tmp_path)
    assert usage.exit_code == 3
    assert usage.cpu_s >= 0.3
    assert usage.peak_rss >= 96 * MIB


def test_far_away_nothing_is_lost_and_nothing_comes_before_its_time() -> None:
    body = os.urandom(3 * MIB)
    server = LoopbackServer(lambda _: Delivery(Reply.of(200, body)))
    server.start()
    try:
        with far(server.server_port) as (port,), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            began = time.monotonic()
            first = client.get("/").content
            connected_and_answered = time.monotonic() - began
            assert client.get("/").content == first == body
    finally:
        server.stop()
    assert connected_and_answered >= 2 * ROUND_TRIP_S
