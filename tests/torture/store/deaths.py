"""A store that is killed, and comes back: in time for the run that met it, or for the next one."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import Lock, Thread, Timer
from typing import TYPE_CHECKING, Any

from tasks.errors import ArchiverError
from tests.support.meddling import WRITES
from tests.torture.runs.deaths import some_recording
from tests.torture.runs.moments import PART
from tests.torture.scenario import Expect, Outcome, Scenario, judged, wrong_with

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import FileRequest
    from tests.support.archiving import Archiving

PATIENCE_S = {True: 30.0, False: 0.5}
"""By whether it is enough."""
MOVES, COMMITS = "while a file is moved", "at the completion or the commit"
COMMITTING = ("complete_", "delete_", "abort_")


@dataclass
class StoreDeath:
    """Kills a bench's store once, and starts it again."""

    bench: Archiving
    back_after_s: float | None
    """Seconds; None: not before `come_back`."""
    happened: bool = False
    _lock: Lock = field(default_factory=Lock)
    _threads: list[Thread] = field(default_factory=list)

    def strike(self) -> None:
        """Kill it, if that has not happened yet."""
        with self._lock:
            if self.happened:
                return
            self.happened = True
            self.bench.server.kill()
        if self.back_after_s is not None:
            self._later(self.back_after_s, self.bench.server.start)

    def soon(self, delay_s: float) -> None:
        """Kill it in a moment, when what is begun now is under way."""
        self._later(delay_s, self.strike)

    def come_back(self) -> None:
        """See to it that it runs."""
        for thread in self._threads:
            thread.join()
        if not self.bench.server.running:
            self.bench.server.start()

    def _later(self, delay_s: float, what: Callable[[], None]) -> None:
        self._threads.append(Timer(delay_s, what))
        self._threads[-1].start()


def at_a_request(death: StoreDeath, dice: random.Random) -> Callable[..., Any]:
    """Let it happen when the source gets its Nth request."""
    number = dice.randint(1, 5)

    def look(request: FileRequest) -> None:
        if request.number == number:
            death.strike()

    death.bench.kit.on_file_request = look
    return lambda _method, _request, send: send()


def at_a_write(death: StoreDeath, dice: random.Random, *, of: tuple[str, ...] = WRITES) -> Callable[..., Any]:
    """Let it happen before, within or after the Nth write of some kind."""
    last, how, numbers = dice.randint(1, 8), dice.choice(("before", "within", "after")), count(1)
    last = last if of == WRITES else -(-last // 3)
    delay_s = dice.uniform(0, 0.03)

    def meddle(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if not method.startswith(of) or next(numbers) != last:
            return send()
        if how == "before":
            death.strike()
        if how == "within":
            death.soon(delay_s)
        answer = send()
        if how == "after":
            death.strike()
        return answer

    return meddle


def at_the_commit(death: StoreDeath, dice: random.Random) -> Callable[..., Any]:
    """Let it happen at a completion, at the clearing up, or at one of the tag files."""
    if dice.random() < 0.5:
        return at_a_write(death, dice, of=COMMITTING)
    name = dice.choice(("tagmanifest-sha256.txt", "recording.json", "manifest-sha256.txt", "bagit.txt"))
    after = dice.random() < 0.5

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        its_time = method == "put_object" and request["Key"].endswith(f"/{name}")
        if its_time and not after:
            death.strike()
        answer = send()
        if its_time and after:
            death.strike()
        return answer

    return meddle


def store_dies(
    bench: Archiving, seed: int, *, moment: Callable[[StoreDeath, random.Random], Callable[..., Any]], in_time: bool
) -> Outcome:
    """Kill the store once at a moment; start it again soon, or only when the run has given up.

    Args:
        moment: given the death and the dice, arranges for it; what it returns is for `Meddled`.
        in_time: whether the store is back within the run's patience.
    """
    began, dice = time.monotonic(), random.Random(seed)
    recording = some_recording(bench, dice)
    death = StoreDeath(bench, dice.uniform(0, 1) if in_time else None)
    error: ArchiverError | None = None
    try:
        meddle = moment(death, dice)
        settings = {"part_size": PART[bench.server.name], "patience_s": PATIENCE_S[in_time]}
        bench.run(meddle, **settings).archived(recording.id)
    except ArchiverError as raised:
        error = raised
    finally:
        bench.kit.on_file_request = None
        death.come_back()
    verdict, failures = judged(bench, recording, error), list[str]()
    if error is not None:
        failures += [] if error.retryable else ["the error is final"]
        failures += ["the store was back, but the run gave up"] if in_time else []
        try:
            bench.archived(recording, part_size=PART[bench.server.name])
        except ArchiverError as raised:
            failures.append(f"the next run failed, too: {type(raised).__name__}: {raised}")
    return Outcome(
        verdict,
        finished=wrong_with(bench, recording) is None,
        error=f"{type(error).__name__}: {error}" if error else "",
        left_over=tuple(bench.left_over(recording)),
        seconds=time.monotonic() - began,
        failures=tuple(failures),
    )


def _scenario(name: str, what: str, moment: Callable[..., Any], *, in_time: bool, short: bool = True) -> Scenario:
    expect = Expect.INTACT if in_time else Expect.RESUMED
    return Scenario(name, what, expect, partial(store_dies, moment=moment, in_time=in_time), short)


SCENARIOS: tuple[Scenario, ...] = (
    _scenario("store-restarts-at-a-request", "the store is killed and comes back", at_a_request, in_time=True),
    _scenario("store-restarts-at-a-write", "it does so around a write", at_a_write, in_time=True, short=False),
    _scenario("store-restarts-in-the-commit", "it does so around completion or commit", at_the_commit, in_time=True),
    _scenario("store-away-too-long", "the store is killed and stays away", at_a_write, in_time=False),
    _scenario(
        "store-away-in-the-commit", "it does so around completion or commit", at_the_commit, in_time=False, short=False
    ),
)
