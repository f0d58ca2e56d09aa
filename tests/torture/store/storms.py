"""Storms: a share of all requests to the store fails, each in a way that the seed picks; and runs die in them."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.archive_child import Death
from tests.torture.runs.processes import Processes
from tests.torture.scenario import Expect, Outcome, Scenario, Verdict, judged, wrong_with
from tests.torture.store.faults import ANYTIME, BitFlipped
from tests.torture.store.trouble import (
    ODD,
    PATIENCE_S,
    client_of,
    environment_of,
    error_of,
    leaks,
    logs,
    proxy_of,
    short_pauses,
    wrong_words,
)

if TYPE_CHECKING:
    from tests.standins.realtimekit import StandInRecording
    from tests.standins.stores import Store
    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import Fault
    from tests.torture.store.requests import StoreRequest
    from tests.torture.store.scripts import Rule

MOST_KILLS = 4


def storm(seed: int, share: float) -> Rule:
    """Return the rule by which a share of all requests meets any fault.

    What a request meets depends on what it is and how often it came, and not on which thread was faster.
    """

    def rule(request: StoreRequest) -> Fault | None:
        # The names of records are other ones in each run.
        name = "" if "/unfinished/" in request.key else request.key.rpartition("/")[2].rpartition(".")[2]
        its = (seed, request.operation, name, request.query.get("partNumber"), request.attempt)
        dice = random.Random("/".join(map(str, its)))
        fault = dice.choice(ANYTIME) if dice.random() < share else None
        # Of a body of XML nothing but TLS would notice.
        return (
            None if isinstance(fault, BitFlipped) and not request.operation.startswith(("Put", "UploadPart")) else fault
        )

    return rule


def _recording(bench: Archiving) -> StandInRecording:
    audio = MediaSource(SyntheticContent(20_000 + ODD, seed=5), "audio/mpeg")
    return bench.add(MediaSource(SyntheticContent(2 * bench.part + ODD, seed=6)), audio=audio)


def _weathered(bench: Archiving, seed: int, *, share: float) -> Outcome:
    """Let one run go through a storm."""
    began, proxy, recording = time.monotonic(), proxy_of(bench.server), _recording(bench)
    with short_pauses(), logs() as logged, proxy:
        proxy.start_over(storm(seed, share))
        error = error_of(bench, recording, client_of(bench.server), patience_s=PATIENCE_S[Expect.INTACT])
        failures = wrong_words(Expect.INTACT, error) + leaks(bench, error, logged)
        failures += [] if proxy.struck else ["the storm never struck"]
    failures += [f"the proxy failed: {defect!r}" for defect in proxy.errors]
    verdict, left_over = judged(bench, recording, error), tuple(bench.left_over(recording))
    seconds = time.monotonic() - began
    return Outcome(verdict, verdict is Verdict.INTACT, str(error or ""), left_over, 0, seconds, tuple(failures))


@dataclass(frozen=True)
class _Behind:
    """A store as a process sees it whose only way there is the proxy."""

    server: Store
    name: str

    def environment(self) -> dict[str, str]:
        """Return the variables that lead there."""
        return environment_of(self.server)


def _killed(bench: Archiving, seed: int, *, share: float) -> Outcome:
    """Let runs go through a storm, kill some of them at a write, and let the last one finish in the same weather."""
    began, proxy, dice = time.monotonic(), proxy_of(bench.server), random.Random(seed)
    recording, failures = _recording(bench), list[str]()
    there = replace(bench, server=_Behind(bench.server, bench.server.name))  # type: ignore[arg-type]
    verdicts, said = [Verdict.INTACT], ""
    with proxy, Processes(there, patience_s=PATIENCE_S[Expect.INTACT], concurrency=dice.randint(1, 4)) as processes:
        proxy.start_over(storm(seed, share))
        for _ in range(dice.randint(1, MOST_KILLS)):
            how = dice.choice(("before", "within", "after"))
            death = Death(dice.randint(1, 14), how, dice.uniform(0, 0.02))  # type: ignore[arg-type]
            ended = processes.ended(processes.start(recording, death=death))
            verdicts.append(judged(bench, recording, None if ended.done else "killed"))
            failures += [] if ended.killed or ended.done else [f"a run ended with {ended.code}: {ended.said}"]
        ended = processes.ended(processes.start(recording))
        verdicts.append(judged(bench, recording, None if ended.done else (said := ended.said)))
        failures += [] if ended.done else [f"the last run ended with {ended.code}: {ended.said}"]
    failures += [f"the proxy failed: {defect!r}" for defect in proxy.errors]
    finished, left_over = wrong_with(bench, recording) is None, tuple(bench.left_over(recording))
    verdict, seconds = max(verdicts, key=list(Verdict).index), time.monotonic() - began
    return Outcome(verdict, finished, said, left_over, 0, seconds, tuple(failures))


SCENARIOS = (
    Scenario("store-storm", "a fifth of all requests fails", Expect.INTACT, partial(_weathered, share=0.2)),
    Scenario("store-gale", "two fifths fail", Expect.INTACT, partial(_weathered, share=0.4), short=False),
    Scenario(
        "killed-in-a-store-storm", "a fifth of all requests fails, and runs are killed", Expect.RESUMED,
        partial(_killed, share=0.2), short=False,
    ),
)  # fmt: skip
