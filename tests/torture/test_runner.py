"""The runner says which scenario failed, why, and how to see it again; and nothing that one does ends the others."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from typing import TYPE_CHECKING

from tests.clock import with_rclone
from tests.torture.__main__ import choose, main, options, run
from tests.torture.catalogue import GROUPS
from tests.torture.report import Result, Totals, markdown, table, terminal
from tests.torture.runner import turns
from tests.torture.scenario import Expect, Outcome, Scenario, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.archiving import Archiving


def ending(verdict: Verdict, name: str = "odd", expect: Expect = Expect.INTACT, **more: object) -> Scenario:
    """Return a scenario that comes to such an end."""
    outcome = Outcome(verdict, finished=verdict is Verdict.INTACT, **more)  # type: ignore[arg-type]
    return Scenario(name, "something odd", expect, lambda _bench, _seed: outcome)


def crash(_bench: Archiving, _seed: int) -> Outcome:
    message = "the stage fell down"
    raise RuntimeError(message)


CRASHING = Scenario("crashing", "it crashes", Expect.INTACT, crash)
FINE = ending(Verdict.INTACT, "fine")


@with_rclone
def test_a_lie_is_told_with_its_seed_and_the_command_that_shows_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    its = options(["--store", "rclone", "--seed", "7"])
    assert run({"source": [FINE, ending(Verdict.LIE, "lying")]}, its) == 1
    said = capsys.readouterr().out
    assert re.search(r"^fine +rclone +archived intact +0\.0 s +ok$", said, re.MULTILINE)
    assert re.search(r"^lying +rclone +lie +0\.0 s +FAILED$", said, re.MULTILINE)
    assert "FAILED lying on rclone, seed 7: something odd\n    - expected archived intact, but it was: lie." in said
    assert "uv run python -m tests.torture --only lying --store rclone --seed 7" in said


@with_rclone
def test_a_crash_is_the_failure_of_its_scenario_alone(capsys: pytest.CaptureFixture[str]) -> None:
    its = options(["--store", "rclone"])
    assert run({"source": [CRASHING, FINE]}, its) == 1
    said = capsys.readouterr().out
    assert "crashing on rclone, seed 1" in said
    assert "RuntimeError: the stage fell down" in said
    assert re.search(r"^fine .* ok$", said, re.MULTILINE)


@with_rclone
def test_all_well_is_0_and_nothing_run_is_a_failure() -> None:
    its = options(["--store", "rclone"])
    assert run({"source": [FINE]}, its) == 0
    assert run({"source": []}, its) == 1


def test_a_name_that_nobody_knows_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no-such-thing"]) == 2
    assert "no such scenario: no-such-thing" in capsys.readouterr().err


def test_the_printed_command_asks_for_that_one_alone() -> None:
    scenario = GROUPS["source"][0]
    words = shlex.split(Result("source", scenario, "swift", 99, None, ()).command())
    its = options(words[words.index("tests.torture") + 1 :])
    chosen = choose(GROUPS, its)
    assert [one.name for scenarios in chosen.values() for one in scenarios] == [scenario.name]
    assert (its.store, its.seed) == ("swift", 99)


def test_rounds_have_seeds_of_their_own_and_stores_only_what_makes_sense_there() -> None:
    picky = Scenario("picky", "", Expect.INTACT, crash, stores=("swift",))
    planned = turns({"a": [FINE, picky]}, ["rclone", "swift"], 5, rounds=2)
    asked = {(turn.scenario.name, turn.store, turn.seed) for turn in planned}
    assert len(planned) == len(asked)
    fine = {("fine", store, seed) for store in ("rclone", "swift") for seed in (5, 6)}
    assert asked == fine | {("picky", "swift", 5), ("picky", "swift", 6)}


def test_a_long_run_has_a_random_seed_and_a_short_one_the_same_always() -> None:
    assert options([]).seed == options([]).seed
    assert len({options(["--long"]).seed for _ in range(5)}) > 1
    assert options(["--long", "--seed", "3"]).seed == 3


def test_the_sums_are_of_what_matters() -> None:
    ended = [
        ending(Verdict.LIE),
        ending(Verdict.HALF),
        ending(Verdict.SAFE),
        ending(Verdict.SAFE, expect=Expect.REFUSED),
        ending(Verdict.INTACT, left_over=("upload", "record"), fetched_twice=5),
    ]
    results = [Result("source", one, "rclone", 1, one.run(None, 1), ()) for one in ended]  # type: ignore[arg-type]
    results.append(Result("store", CRASHING, "rclone", 1, None, ("crashed",)))
    assert Totals.of(results) == Totals(2, 6, failed=1, lies=1, losses=4, halves=1, orphans=2, fetched_twice=5)
    rows = table(results)
    assert [row[0] for row in rows] == ["group", "source", "store", "all"]
    assert markdown(rows).splitlines()[-1] == "| all | 2 | 6 | 1 | 1 | 4 | 1 | 2 | 5 |"
    assert len({len(line) for line in terminal(rows).splitlines()}) == 1


@with_rclone
def test_processes_of_their_own_do_the_same_and_the_document_tells_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    words = ["--only", "html-200", "size-1", "--store", "rclone", "--seed", "4", "--jobs", "2", "--json", str(file)]
    assert main(words) == 0
    assert "html-200" in capsys.readouterr().out
    document = json.loads(file.read_text())
    assert document["seed"] == 4
    assert document["versions"]["httpx"]
    by_name = {one["name"]: one for one in document["results"]}
    assert by_name["html-200"]["outcome"]["verdict"] == "safe error"
    assert by_name["size-1"]["outcome"]["finished"] is True


def test_every_scenario_has_a_name_of_its_own_in_kebab_case() -> None:
    names = [scenario.name for scenarios in GROUPS.values() for scenario in scenarios]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [name for name in names if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)] == []
