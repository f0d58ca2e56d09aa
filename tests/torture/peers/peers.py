"""The same troubles for what people use today, each tool judged by its exit code and by what is then in the bucket.

It is one file that is compared, the recording's video, as no tool but ours knows what a recording is.
"""

from __future__ import annotations

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.support.marked_section import write_section
from tests.support.measure import measured
from tests.torture.peers.table import Comparison, Tried, facts, markdown, text_head, text_row
from tests.torture.peers.tools import TOOLS, installed, leading_to, variables, version
from tests.torture.peers.troubles import HONEST, TELLING, troubles_for_tools
from tests.torture.scenario import Verdict
from tests.torture.source.trouble import scenario_of
from tests.torture.stage import open_stage

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from tests.standins.realtimekit import RealtimeKitStandIn, StandInRecording
    from tests.support.archiving import Archiving
    from tests.support.measure import Usage
    from tests.torture.peers.tools import Tool
    from tests.torture.source.trouble import SourceTrouble
    from tests.torture.stage import Stage

OURS = "realtimekit-archiver"
HANGS = "hangs"
LIMIT_S = 120.0
"""Seconds after which a tool that has not ended never will."""
PUBLISHED = Path(__file__).with_name("peers.json")
"""The results that the project states."""
DOCUMENT = Path(__file__).parents[1] / "README.md"
SECTION = "peers"
"""The section of the document that holds the tables."""
AT_ONCE = 4
"""Tools: more would wait for a processor and not for the source."""


def judged_object(right: Sequence[bytes], visible: bytes | None, exit_code: int | None) -> str:
    """Return the verdict on a tool.

    Args:
        right: what the source held, before and after.
        visible: the object in the bucket, or None.
        exit_code: as a scheduler would see it; None if the tool did not end.
    """
    if visible is not None and visible in right:
        return Verdict.INTACT
    if exit_code == 0:
        return Verdict.LIE
    if visible is not None:
        return Verdict.HALF
    return HANGS if exit_code is None else Verdict.SAFE


def run_tool(tool: Tool, environment: Mapping[str, str], scratch: Path, limit_s: float = LIMIT_S) -> Usage:
    """Run a tool to its end, or kill it and all that it started."""
    return measured(tool.arguments(), environment, scratch, limit_s)


def try_tool(
    tool: Tool, trouble: SourceTrouble, bench: Archiving, programs: Path, seed: int = 1, limit_s: float = LIMIT_S
) -> Tried | None:
    """Let a tool meet a trouble, and judge what comes of it.

    Args:
        bench: a fresh one.
        programs: the folder in which Python and the tools are.

    Returns:
        None if there is no single file to be fetched.
    """
    recording = trouble.arrange(bench, seed)
    told, source = asked(bench.kit, recording), recording.video or recording.audio
    if told is None or source is None:
        return None
    before, key = source.content, f"recordings/{recording.id}.mp4"
    with tempfile.TemporaryDirectory(prefix="peer-") as scratch:
        environment = variables(programs, Path(scratch)) | leading_to(bench.server) | told
        environment |= {"BUCKET": bench.bucket, "KEY": key}
        ending = run_tool(tool, environment, Path(scratch), limit_s)
    trouble.relieve(bench)
    right = [content.read(0, content.size) for content in (before, source.content)]
    visible = bench.objects().get(key)
    verdict = judged_object(right, visible, ending.exit_code)
    if trouble is HONEST and verdict != Verdict.INTACT:
        raise AssertionError(f"{tool.name} is run wrongly, it said: {ending.said}")
    return Tried(verdict, ending.exit_code, None if visible is None else len(visible), round(ending.wall_s, 1))


def asked(kit: RealtimeKitStandIn, recording: StandInRecording) -> dict[str, str] | None:
    """Ask the API for the recording's file as a person would, and return what a tool is told of it."""
    headers = {"Authorization": f"Bearer {kit.token}"}
    details = httpx.get(f"{kit.recordings_url}/{recording.id}", headers=headers).json()["data"]
    links = [details["download_url"], details["audio_download_url"]]
    url = next((link for link in links if isinstance(link, str)), None)
    if url is None:
        return None
    origin = str(httpx.URL(url).join("/")).rstrip("/")
    return {"URL": url, "ORIGIN": origin, "SIZE": str(details["file_size"])}


def ours(trouble: SourceTrouble, bench: Archiving, seed: int) -> Tried:
    """Let our own pipeline meet a trouble, a single run of it."""
    outcome = scenario_of(trouble).run(bench, seed)
    code = 0 if outcome.verdict in {Verdict.INTACT, Verdict.LIE} else 1
    return Tried(outcome.verdict, code, None, round(outcome.seconds, 1))


def row(
    trouble: SourceTrouble, stage: Stage, tools: Sequence[Tool], programs: Path, seed: int
) -> dict[str, Tried] | None:
    """Let all tools and our own pipeline meet a trouble, each alone with a source and a bucket.

    Returns:
        The verdicts by the tools' names, or None if the trouble is not one of a single file.
    """
    with ExitStack() as benches, ThreadPoolExecutor(AT_ONCE) as pool:
        alone = [benches.enter_context(stage.bench()) for _ in tools]
        tried = list(pool.map(lambda tool, bench: try_tool(tool, trouble, bench, programs, seed), tools, alone))
    named = {tool.name: verdict for tool, verdict in zip(tools, tried, strict=True) if verdict is not None}
    if not named:
        return None
    with stage.bench() as bench:
        return {OURS: ours(trouble, bench, seed), **named}


def compare(arguments: argparse.Namespace) -> int:
    """Compare the tools, and show as it goes what came of each trouble.

    Args:
        arguments: `only`, names of troubles; without any, `long` means all of them and not just the telling ones;
            `store` and `seed`; `markdown` and `json`, files to write or None; `publish`, whether the results become
            those that the project states.

    Returns:
        The exit code: 1 if our own pipeline ever let something wrong be seen, 2 if there is no such trouble.
    """
    names = arguments.only or ([trouble.name for trouble in troubles_for_tools()] if arguments.long else TELLING)
    troubles = [trouble for trouble in troubles_for_tools() if trouble.name in names]
    if len(troubles) < len(set(names)):
        sys.stderr.write(f"not for tools: {', '.join(set(names) - {trouble.name for trouble in troubles})}\n")
        return 2
    programs = installed()
    comparison = _begun(programs, arguments)
    _say(text_head(comparison))
    with open_stage(arguments.store) as stage:
        for trouble in troubles:
            verdicts = row(trouble, stage, comparison.tools, programs, arguments.seed)
            if verdicts is not None:
                comparison.add(trouble.name, trouble.what, verdicts)
                _say(text_row(comparison, trouble.name))
                _write(comparison, arguments)
    _say(text_row(comparison, None))
    if arguments.publish:
        publish(comparison)
    wrong = {Verdict.LIE, Verdict.HALF}
    return int(any(verdicts[OURS].verdict in wrong for verdicts in comparison.verdicts.values()))


def publish(comparison: Comparison) -> None:
    """Make a comparison the one that the project states: its facts, and the tables in the document."""
    PUBLISHED.write_text(facts(comparison), encoding="utf-8")
    write_section(DOCUMENT, SECTION, markdown(comparison))


def _begun(programs: Path, arguments: argparse.Namespace) -> Comparison:
    """Look which tools are here, and in which versions."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = variables(programs, Path(scratch))
        versions = {part: version(part, environment) for tool in TOOLS for part in tool.parts}
    here = tuple(tool for tool in TOOLS if all(versions[part] for part in tool.parts))
    absent = tuple(tool.name for tool in TOOLS if tool not in here)
    known = {part: number for part, number in versions.items() if number}
    return Comparison(OURS, here, known, absent, arguments.store, arguments.seed)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _write(comparison: Comparison, arguments: argparse.Namespace) -> None:
    if arguments.json:
        arguments.json.write_text(facts(comparison), encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(markdown(comparison), encoding="utf-8")
