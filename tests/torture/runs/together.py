"""Several runs of one recording at once, and a source that changes meanwhile: one right bag, or none yet."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.errors import SizeDisagrees
from tasks.s3.client import new_s3_client
from tests.support.archive_child import FINAL, RETRYABLE, Death
from tests.support.meddling import Between, Meddled
from tests.torture.runs.meeting import Meeting
from tests.torture.runs.processes import Processes
from tests.torture.scenario import Expect, Outcome, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.standins.realtimekit import FileRequest
    from tests.support.archiving import Archiving

NUMBERS = (2, 2, 3, 5)
LONGEST_DELAY_S = 0.003
LATEST_START_S = 0.3
NO_OVERWRITE, SOME_OVERWRITE, ALL_OVERWRITE = 0.0, 0.5, 1.0
"""Shares of the runs."""


def _uneven(dice: random.Random) -> Callable[..., Any]:
    """Return hands for `Meddled` that take their time, now and then."""

    def meddle(_method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        time.sleep(dice.random() * LONGEST_DELAY_S)
        return send()

    return meddle


def _replaced_at_requests(meeting: Meeting) -> None:
    """Let the source be replaced at some of its requests, twice at most."""
    numbers = {meeting.dice.randint(1, 8) for _ in range(2)}

    def look(request: FileRequest) -> None:
        if request.number in numbers:
            meeting.replace(same_size=meeting.dice.random() < 0.7)

    meeting.bench.kit.on_file_request = look


def in_threads(
    bench: Archiving, seed: int, *, overwrites: float, replaced: bool = False, read: bool = False
) -> Outcome:
    """Let 2, 3 or 5 runs begin at about the same time, with clients of their own.

    Args:
        overwrites: the share of runs that are to replace what is archived.
        replaced: whether the source changes meanwhile.
        read: whether a bag is there before, and a reader looks at it all the time.
    """
    dice = random.Random(seed)
    meeting = Meeting(bench, dice)
    if read or overwrites == ALL_OVERWRITE:
        bench.archived(meeting.recording)
    if replaced:
        meeting.replace(same_size=True)
        _replaced_at_requests(meeting)
    plans = [
        (dice.random() < overwrites, dice.uniform(0, LATEST_START_S), random.Random(dice.random()))
        for _ in range(dice.choice(NUMBERS))
    ]

    def run(overwrite: bool, start_s: float, its_dice: random.Random) -> None:  # noqa: FBT001 - a plan, as it is
        client = Meddled(new_s3_client(8), _uneven(its_dice))
        time.sleep(start_s)
        meeting.archived(client, overwrite=overwrite)

    with ExitStack() as stack:
        if read:
            stack.enter_context(meeting.reader)
        with ThreadPoolExecutor(len(plans)) as threads:
            for future in [threads.submit(run, *plan) for plan in plans]:
                future.result()
    return meeting.outcome()


def in_processes(bench: Archiving, seed: int, *, overwrites: float, killed: float, replaced: bool = False) -> Outcome:
    """Let 2, 3 or 5 processes begin at about the same time; some are killed at one of their writes.

    Args:
        killed: the share of them.
    """
    dice = random.Random(seed)
    meeting = Meeting(bench, dice)
    if overwrites == ALL_OVERWRITE:
        bench.archived(meeting.recording)
    if replaced:
        _replaced_at_requests(meeting)
    with Processes(bench) as processes, meeting.reader:
        children = []
        for _ in range(dice.choice(NUMBERS)):
            time.sleep(dice.uniform(0, LATEST_START_S))
            death = Death(dice.randint(1, 14), dice.choice(("before", "within", "after")), dice.uniform(0, 0.02))
            order = {"overwrite": dice.random() < overwrites, "death": death if dice.random() < killed else None}
            children.append(processes.start(meeting.recording, **order))
        for ended in [processes.ended(child) for child in children]:
            # Nobody tries again here: a run that was disturbed may end, but not for good and not in any other way.
            meeting.cut_short |= not ended.done
            disagreed = ended.code == FINAL and SizeDisagrees.__name__ in ended.said
            if not (ended.done or ended.killed or ended.code == RETRYABLE or disagreed):
                meeting.failures.append(f"a run ended with {ended.code}: {ended.said}")
    return meeting.outcome()


class Died(BaseException):
    """Raised where a process would be killed: nothing is called after it."""


class DyingSoon:
    """Lets a run end after so many calls to the store, once it is told to."""

    def __init__(self, calls: int | None) -> None:
        self._left = calls
        self.told = False

    def __call__(self, send: Callable[[], Any]) -> Any:
        """Pass a call, or end."""
        if self.told and self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Died
        return send()


def between_writes(bench: Archiving, seed: int, *, killed: bool = False) -> Outcome:
    """Let a whole run, of a source that was replaced, happen between two writes of another; read before each call.

    Args:
        killed: whether the other dies soon after that.
    """
    dice = random.Random(seed)
    meeting = Meeting(bench, dice)
    first, second, same_size = (dice.random() < 0.5 for _ in range(3))
    if first or dice.random() < 0.3:
        bench.archived(meeting.recording)
    patient = {"concurrency": 1}
    dying = DyingSoon(dice.randint(1, 16) if killed else None)

    def another() -> None:
        dying.told = True
        meeting.replace(same_size=same_size)
        its = Meddled(bench.s3, meeting.reader.before_each_write(lambda _method, _request, send: send()))
        meeting.archived(its, overwrite=second, **patient)

    between = Between(dice.randint(1, 16), another)

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        return between(method, request, lambda: dying(send))

    try:
        meeting.archived(Meddled(bench.s3, meeting.reader.before_each_write(meddle)), overwrite=first, **patient)
    except Died:
        meeting.cut_short = True
    return meeting.outcome()


def _scenario(name: str, what: str, run: Callable[..., Outcome], *, short: bool = True, **how: Any) -> Scenario:
    return Scenario(name, what, Expect.INTACT, partial(run, **how), short)


THREADS: Sequence[Scenario] = (
    _scenario("runs-at-once", "several runs at once", in_threads, overwrites=NO_OVERWRITE),
    _scenario("overwrites-at-once", "all of them overwrite", in_threads, overwrites=ALL_OVERWRITE),
    _scenario("overwrites-and-runs", "some of them overwrite", in_threads, overwrites=SOME_OVERWRITE, short=False),
    _scenario(
        "overwrites-under-readers", "readers look meanwhile",
        in_threads, overwrites=ALL_OVERWRITE, read=True, short=False,
    ),
    _scenario(
        "source-replaced-under-overwrites", "the source changes, and readers look",
        in_threads, overwrites=ALL_OVERWRITE, read=True, replaced=True, short=False,
    ),
    _scenario(
        "source-replaced-under-runs", "the source changes meanwhile",
        in_threads, overwrites=SOME_OVERWRITE, replaced=True, short=False,
    ),
    _scenario(
        "source-replaced-between-writes", "it changes between two writes, as a run of it comes between",
        between_writes, short=False,
    ),
    _scenario(
        "killed-after-the-source-was-replaced", "the same, and the run that was come between is killed then",
        between_writes, killed=True, short=False,
    ),
)  # fmt: skip
SCENARIOS: tuple[Scenario, ...] = (
    *THREADS,
    _scenario(
        "processes-at-once", "several processes at once, half of them killed",
        in_processes, overwrites=NO_OVERWRITE, killed=0.5,
    ),
    _scenario(
        "overwriting-processes", "several processes that overwrite, some of them killed",
        in_processes, overwrites=ALL_OVERWRITE, killed=0.3, short=False,
    ),
    _scenario(
        "processes-and-a-changing-source", "the source changes, some overwrite, some are killed",
        in_processes, overwrites=SOME_OVERWRITE, killed=0.3, replaced=True, short=False,
    ),
)  # fmt: skip
