"""The comparison judges by what is in the bucket: shown with tools that come with this project's own packages."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clock import with_rclone
from tests.standins.faults import HTML
from tests.standins.realtimekit import Answer, Drop, HtmlPage, SyntheticContent
from tests.support.marked_section import read_section
from tests.torture.peers import peers
from tests.torture.peers.peers import DOCUMENT, HANGS, OURS, PUBLISHED, SECTION, judged_object, run_tool, try_tool
from tests.torture.peers.table import Comparison, Tried, facts, markdown, text_row
from tests.torture.peers.tools import HTTPX_UPLOAD_FILEOBJ, RCLONE_COPYURL, Tool
from tests.torture.peers.troubles import HONEST, TELLING, troubles_for_tools
from tests.torture.scenario import Expect, Verdict
from tests.torture.source.scripts import always, in_turn, tracks
from tests.torture.source.trouble import SourceTrouble

if TYPE_CHECKING:
    from tests.support.archiving import Archiving
    from tests.torture.source.scripts import Arrange

PROGRAMS = Path(sys.executable).parent
RIGHT, WRONG = b"right", b"wrong"


def tried(tool: Tool, bench: Archiving, arrange: Arrange) -> Tried:
    verdict = try_tool(tool, SourceTrouble("", "", Expect.INTACT, arrange), bench, PROGRAMS)
    assert verdict is not None
    return verdict


def shell(command: str) -> Tool:
    return Tool("a shell", command, ("bash",))


@pytest.mark.parametrize("tool", [RCLONE_COPYURL, HTTPX_UPLOAD_FILEOBJ], ids=lambda tool: tool.name)
def test_a_tool_that_does_its_work_is_seen_to_have_done_it(tool: Tool, rclone: Archiving) -> None:
    verdict = try_tool(tool, HONEST, rclone, PROGRAMS)
    assert verdict is not None
    assert (verdict.verdict, verdict.exit_code) == (Verdict.INTACT, 0)


def test_a_web_page_in_the_bucket_is_a_lie(rclone: Archiving) -> None:
    verdict = tried(RCLONE_COPYURL, rclone, always(HtmlPage()))
    assert (verdict.verdict, verdict.exit_code) == (Verdict.LIE, 0)
    assert verdict.visible == len(HTML)


def test_an_error_that_leaves_nothing_is_safe(rclone: Archiving) -> None:
    verdict = tried(RCLONE_COPYURL, rclone, always(Answer(404)))
    assert verdict.verdict == Verdict.SAFE
    assert verdict.exit_code


def test_a_cut_that_a_tool_survives_leaves_it_intact(rclone: Archiving) -> None:
    assert tried(RCLONE_COPYURL, rclone, in_turn(Drop(1000))).verdict == Verdict.INTACT


def test_the_object_that_was_there_when_it_began_is_as_right_as_a_later_one(rclone: Archiving) -> None:
    def replaced(bench: Archiving) -> None:
        for recording in bench.kit.recordings:
            assert recording.video is not None
            recording.video.replace(SyntheticContent(1000, seed=9))

    trouble = SourceTrouble("", "", Expect.INTACT, in_turn(), relieve=replaced)
    verdict = try_tool(RCLONE_COPYURL, trouble, rclone, PROGRAMS)
    assert verdict is not None
    assert verdict.verdict == Verdict.INTACT


def test_an_error_that_leaves_something_wrong_is_half_visible(rclone: Archiving) -> None:
    verdict = tried(shell('printf wrong | rclone rcat "store:$BUCKET/$KEY"; exit 3'), rclone, in_turn())
    assert (verdict.verdict, verdict.exit_code, verdict.visible) == (Verdict.HALF, 3, 5)


def test_success_without_an_object_is_a_lie(rclone: Archiving) -> None:
    assert tried(shell("true"), rclone, in_turn()).verdict == Verdict.LIE


@pytest.mark.timeout(30)
def test_a_tool_that_does_not_end_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "open")
    end = os.open(tmp_path / "open", os.O_RDONLY | os.O_NONBLOCK)
    ending = run_tool(shell("(echo here; sleep 600) > open & wait"), {"PATH": "/usr/bin:/bin"}, tmp_path, limit_s=1)
    assert ending.exit_code is None
    os.set_blocking(end, True)
    with open(end, "rb") as said:  # noqa: PTH123 - it is open already
        assert said.read() == b"here\n", "its end is that of the last process that holds the other end"


@pytest.mark.parametrize(
    ("visible", "exit_code", "verdict"),
    [
        (RIGHT, 0, Verdict.INTACT),
        (RIGHT, 1, Verdict.INTACT),
        (RIGHT, None, Verdict.INTACT),
        (WRONG, 0, Verdict.LIE),
        (None, 0, Verdict.LIE),
        (b"", 0, Verdict.LIE),
        (WRONG, 1, Verdict.HALF),
        (WRONG, None, Verdict.HALF),
        (None, 1, Verdict.SAFE),
        (None, None, HANGS),
    ],
)
def test_the_bucket_and_the_exit_code_decide(visible: bytes | None, exit_code: int | None, verdict: str) -> None:
    assert judged_object([RIGHT, b"and what it was before"], visible, exit_code) == verdict


def test_a_tool_that_cannot_do_the_honest_case_is_run_wrongly(rclone: Archiving) -> None:
    with pytest.raises(AssertionError, match=r"a shell is run wrongly, it said: no such thing"):
        try_tool(shell("echo no such thing; exit 1"), HONEST, rclone, PROGRAMS)


def test_a_recording_of_many_files_is_not_for_tools_of_one(rclone: Archiving) -> None:
    trouble = SourceTrouble("", "", Expect.INTACT, lambda bench, _: tracks(bench, 2))
    assert try_tool(RCLONE_COPYURL, trouble, rclone, PROGRAMS) is None


def test_troubles_have_one_name_each_and_the_telling_ones_are_among_them() -> None:
    names = [trouble.name for trouble in troubles_for_tools()]
    assert len(names) == len(set(names))
    assert not set(TELLING) - set(names)


def test_the_document_states_what_the_last_published_comparison_brought() -> None:
    published = PUBLISHED.read_text(encoding="utf-8")
    comparison = Comparison.of_facts(json.loads(published))
    assert facts(comparison) == published
    assert read_section(DOCUMENT, SECTION) == markdown(comparison), "run `python -m tests.torture --peers --publish`"


@with_rclone
def test_the_comparison_sets_us_beside_the_others_and_writes_it_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "installed", lambda: PROGRAMS)
    monkeypatch.setattr(peers, "TOOLS", (RCLONE_COPYURL, Tool("of elsewhere", "", ("no-such-package",), "python")))
    files = {"json": tmp_path / "peers.json", "markdown": tmp_path / "peers.md"}
    names = ["html-200", "one-of-thirty-lies"]
    asked = argparse.Namespace(store="rclone", seed=1, only=names, long=False, publish=False, **files)
    assert peers.compare(asked) == 0
    known = json.loads(files["json"].read_text())
    verdicts = {name: tried["verdict"] for name, tried in known["troubles"]["html-200"]["tools"].items()}
    assert verdicts == {OURS: "safe error", "rclone copyurl": "lie"}
    assert list(known["troubles"]) == ["html-200"], "tracks are not for tools of one file"
    assert known["absent"] == ["of elsewhere"]
    assert known["versions"]["rclone"][0].isdigit()
    assert "not here: of elsewhere" in capsys.readouterr().out
    assert "X-Amz-Signature" not in files["json"].read_text() + files["markdown"].read_text()


def test_a_trouble_that_nobody_knows_is_a_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert peers.compare(argparse.Namespace(only=["refresh-500", "honest"], long=False)) == 2
    assert capsys.readouterr().err == "not for tools: refresh-500\n"


def test_tables_count_lies_per_tool() -> None:
    tool = Tool("curl | tee", "curl | tee", ("curl",))
    comparison = Comparison("ours", (tool,), {"curl": "8.0"}, (), "rclone", 1, date="2026-11-24")
    for name, theirs in {"one": Verdict.LIE, "two": Verdict.LIE, "three": Verdict.INTACT}.items():
        verdicts = {"ours": Tried(Verdict.SAFE, 1, None, 0.1), "curl | tee": Tried(theirs, 0, 1, 0.1)}
        comparison.add(name, f"trouble {name}", verdicts)
    assert text_row(comparison, None).split() == ["lies", "0", "2"]
    lines = markdown(comparison).splitlines()
    assert r"| curl \| tee | 1 | 0 | 0 | 0 | **2** |" in lines
    assert "| **ours** | 0 | 3 | 0 | 0 | 0 |" in lines
    assert "| trouble one (`one`) | error | **LIE** |" in lines
    assert json.loads(facts(comparison))["lies"] == {"ours": 0, "curl | tee": 2}
