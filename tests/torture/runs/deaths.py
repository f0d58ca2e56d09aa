"""Runs that are killed at moments that the seed picks, again and again: the next one always finishes, at low cost."""

from __future__ import annotations

import random
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

from tasks.text.formatting import MIB
from tasks.transfer.models import Limits
from tests.standins.realtimekit import Answer, Drop, MediaSource, Refuse, SyntheticContent
from tests.torture.runs.moments import MOMENTS, PART, Life, at_a_byte, at_a_request, at_a_time, at_a_write
from tests.torture.runs.processes import PATIENCE_S, Ended, Processes
from tests.torture.scenario import Expect, Outcome, Scenario, Verdict, judged, wrong_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.standins.realtimekit import FileRequest, StandInRecording
    from tests.support.archive_child import Death
    from tests.support.archiving import Archiving

PARTS = {"swift": (3, 6), "rclone": (6, 12)}
"""How many at least and at most the largest file has: far more than are in flight, so that losing all would show."""
MOST_AT_ONCE = 2
SOCKET_BYTES = MIB // 2
"""What the source may have sent of an answer that nobody reads to its end: the buffers at both ends."""
SMALL_BYTES = 300_000
LINKS_EXPIRE_AFTER = (None, 3, 5)
FAULTS = (Drop(100_000, "rst"), Drop(1, "fin"), Drop(700_000, "fin"), Refuse("rst"), Answer.slow_down(0))
FAULTY_SHARE = 0.15


@dataclass
class Deaths:
    """What came of runs of one recording that were killed, and of the one that was not."""

    verdicts: list[Verdict] = field(default_factory=lambda: [Verdict.INTACT])
    runs: int = 0
    kills: int = 0
    twice: int = 0
    allowed: int = 0
    failures: list[str] = field(default_factory=list)

    def note(self, bench: Archiving, recording: StandInRecording, ended: Ended) -> None:
        """Take in how a run ended, and what the world looks like."""
        self.runs += 1
        self.kills += ended.killed
        if not (ended.killed or ended.done):
            self.failures.append(f"a run ended with {ended.code}: {ended.said}")
        self.verdicts.append(judged(bench, recording, None if ended.done else f"ended with {ended.code}"))

    def count(self, bench: Archiving, recording: StandInRecording, concurrency: int) -> None:
        """Compare what was fetched with what may have been under way when runs were killed."""
        sizes = [source.size for source in recording.files().values()]
        part = PART[bench.server.name]
        asked = [request for request in bench.kit.file_requests if recording.id in request.key]
        unread = sum(
            min(request.sent, SOCKET_BYTES) for request in asked if request.sent < request.stop - request.start
        )
        small = sum(size for size in sizes if size <= part)  # maybe sent whole to a run that finds them stored
        self.allowed = self.kills * (Limits(concurrency).parts_at_once * part + small) + unread + self.runs * small
        self.twice = max(sum(request.sent for request in asked) - sum(sizes), 0)
        if self.twice > self.allowed:
            self.failures.append(f"{self.twice} bytes were fetched twice, where {self.allowed} were under way")

    def outcome(self, bench: Archiving, recording: StandInRecording, seconds: float) -> Outcome:
        """Return it as a scenario's."""
        return Outcome(
            verdict=max(self.verdicts, key=list(Verdict).index),
            finished=wrong_with(bench, recording) is None,
            left_over=tuple(bench.left_over(recording)),
            fetched_twice=self.twice,
            seconds=seconds,
            failures=tuple(self.failures),
        )


def some_recording(bench: Archiving, dice: random.Random) -> StandInRecording:
    """Make a recording known: a video or tracks, the largest of several parts, and maybe an audio file."""
    part = PART[bench.server.name]
    parts, less = dice.randint(*PARTS[bench.server.name]), dice.randrange(part)
    large = SyntheticContent(parts * part - less, seed=dice.randrange(1000))
    small = [SyntheticContent(dice.randrange(1, SMALL_BYTES), seed=dice.randrange(1000)) for _ in range(3)]
    audio = MediaSource(small[0], "audio/mpeg") if dice.random() < 0.7 else None
    if dice.random() < 0.7:
        return bench.add(MediaSource(large), audio=audio)
    named = {f"m_u{n}_p{n}_audio_{n}.webm": MediaSource(its, "audio/webm") for n, its in enumerate([large, *small[1:]])}
    return bench.add(None, tracks={"default": named}, audio=audio)


@contextmanager
def faulty(bench: Archiving, dice: random.Random) -> Iterator[None]:
    """Let the source misbehave as it usually does: connections drop, links expire, some requests are refused."""
    kit, seed = bench.kit, dice.randrange(1 << 30)

    def fault(request: FileRequest) -> Drop | Refuse | Answer | None:
        its = random.Random(f"{seed}/{request.name}/{request.start}/{request.attempt}")
        return its.choice(FAULTS) if its.random() < FAULTY_SHARE else None

    kit.file_faults, kit.links_expire_after_requests = fault, dice.choice(LINKS_EXPIRE_AFTER)
    try:
        yield
    finally:
        kit.file_faults, kit.links_expire_after_requests, kit.on_file_request = [], None, None


def killed(
    bench: Archiving,
    seed: int,
    *,
    moments: tuple[Callable[[Life], AbstractContextManager[Death | None]], ...] = MOMENTS,
    deaths: tuple[int, int] = (1, 1),
    overwrite: bool = False,
) -> tuple[Deaths, Outcome]:
    """Kill runs of one recording, and then let one finish.

    Args:
        moments: when; the seed picks one for each run.
        deaths: at least and at most how many runs in a row are to be killed; some finish before.
        overwrite: the recording is archived, and they are to replace it.
    """
    began, dice, found = time.monotonic(), random.Random(seed), Deaths()
    concurrency = dice.randint(1, MOST_AT_ONCE)
    recording = some_recording(bench, dice)
    if overwrite:
        bench.archived(recording)
    settings = {"part_size": PART[bench.server.name], "concurrency": concurrency, "patience_s": 30.0}
    with faulty(bench, dice), Processes(bench, **settings) as processes:
        for _ in range(dice.randint(*deaths)):
            life = Life(bench, recording, dice)
            with dice.choice(moments)(life) as death:
                child = processes.start(recording, overwrite=overwrite, death=death)
                life.begin(child)
                ended = processes.ended(child)
            found.note(bench, recording, ended)
            if ended.done:
                break
        # What was left beside an archive is carried on by who overwrites it: to find it changes nothing.
        found.note(bench, recording, processes.ended(processes.start(recording, overwrite=overwrite)))
    bench.kit.wait_idle()
    if not overwrite:
        found.count(bench, recording, concurrency)
    return found, found.outcome(bench, recording, time.monotonic() - began)


def stopped(bench: Archiving, seed: int) -> Outcome:
    """Stop a process at one of its requests, for longer than its connections and links last, and let it go on."""
    began, dice, found = time.monotonic(), random.Random(seed), Deaths()
    recording = some_recording(bench, dice)
    stop, its_stop, stall_s = dice.randint(1, 4), Event(), 1.0

    def look(request: FileRequest) -> None:
        if request.number == stop:
            its_stop.set()

    with faulty(bench, dice), Processes(bench, part_size=PART[bench.server.name], stall_s=stall_s) as processes:
        bench.kit.on_file_request = look
        child = processes.start(recording)
        if its_stop.wait(PATIENCE_S):
            child.send(signal.SIGSTOP)
            bench.kit.expire_all_links()
            time.sleep(2.5 * stall_s)
            child.send(signal.SIGCONT)
        found.note(bench, recording, processes.ended(child))
    return found.outcome(bench, recording, time.monotonic() - began)


def _scenario(name: str, what: str, *, short: bool = True, **how: Any) -> Scenario:
    def run(bench: Archiving, seed: int) -> Outcome:
        return killed(bench, seed, **how)[1]

    return Scenario(name, what, Expect.RESUMED, run, short)


SCENARIOS: tuple[Scenario, ...] = (
    _scenario("killed-at-a-request", "the run is killed when the source gets its Nth request", moments=(at_a_request,)),
    _scenario("killed-at-a-byte", "the run is killed in the middle of an answer", moments=(at_a_byte,), short=False),
    _scenario("killed-at-a-write", "the run is killed before, within or after a write", moments=(at_a_write,)),
    _scenario("killed-at-any-time", "the run is killed after a while", moments=(at_a_time,), short=False),
    _scenario("killed-again-and-again", "up to five runs in a row are killed", deaths=(2, 5)),
    _scenario(
        "killed-while-overwriting",
        "runs that replace an archive are killed",
        overwrite=True,
        deaths=(1, 3),
        short=False,
    ),
    Scenario("stopped-for-a-while", "the process is stopped until nothing it holds is good", Expect.INTACT, stopped),
)
