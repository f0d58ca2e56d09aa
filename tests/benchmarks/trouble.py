"""What trouble costs: bytes that are fetched twice after a drop, an expiry, a kill -9, and seconds lost to a stall."""

from __future__ import annotations

import os
import signal
import uuid
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from threading import Event, Thread
from typing import TYPE_CHECKING

from tests.benchmarks.contestants import EIGHT_STREAMS, PEERS, Peer, plain
from tests.benchmarks.figures import MIB, Metric, Result, Row
from tests.benchmarks.stage import say
from tests.standins.realtimekit import Drop, MediaSource, RealtimeKitStandIn, Stall, StandInRecording, SyntheticContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.stage import Ground, Stage

STALL_TIMEOUT_S = 10
"""As the peers are told."""
ROUNDS = 3
KILLED_AT = (0.4, 0.55, 0.7)
"""How much of a recording has been sent when a process is killed, by round: parts in flight end about together."""
BYTES_PER_S = 50_000_000
"""Of each connection."""
BREAKS_AFTER = 3 * MIB
DROPS = 2
RUNS = 4
"""How often somebody runs it again by hand, until it succeeds."""
AGAIN = "run_again"
SEND_BUFFER = 64 * 1024
"""Bytes of the source's: small, so that what counts as sent is close to what was read."""


@dataclass(frozen=True)
class Trouble:
    """Something that happens in mid-transfer."""

    name: str
    arrange: Callable[[RealtimeKitStandIn], None]
    count: Callable[[RealtimeKitStandIn], int]
    """How often it has happened."""


def _nothing(_kit: RealtimeKitStandIn) -> None:
    pass


def _drops(kit: RealtimeKitStandIn) -> None:
    kit.file_faults = [Drop(BREAKS_AFTER, "rst")] * DROPS


def _expires(kit: RealtimeKitStandIn) -> None:
    """Break one connection, and let no link be good for a second request."""
    kit.file_faults = [Drop(BREAKS_AFTER, "rst")]
    kit.links_expire_after_requests = 1


def _stalls(kit: RealtimeKitStandIn) -> None:
    kit.file_faults = [Stall(BREAKS_AFTER)]


def _faults(kit: RealtimeKitStandIn) -> int:
    return sum(request.fault is not None for request in kit.file_requests)


NOTHING = Trouble("nothing", _nothing, lambda _: 1)
DROP = Trouble("drop", _drops, _faults)
EXPIRY = Trouble("expiry", _expires, lambda kit: max(1, sum(request.expired for request in kit.file_requests)))
KILL = Trouble("kill", _nothing, lambda _: 1)
STALL = Trouble("stall", _stalls, lambda _: 1)
_METRICS = (
    Metric("drop", "MB twice per drop", 1e6, 1),
    Metric("expiry", "MB twice per expiry", 1e6, 1),
    Metric("kill", "MB twice per kill -9", 1e6, 1),
    Metric("stall", "s lost per stall", 1, 1),
    Metric(AGAIN, "runs by hand", 1, 0),
)


def trouble(stage: Stage) -> Result:
    """Let connections drop and stall, links expire, processes be killed, and count what is fetched twice."""
    size, rounds = stage.bytes(192 * MIB, 32 * MIB), stage.times(ROUNDS)
    able = [tool for tool in PEERS if tool is not EIGHT_STREAMS]  # whose HEAD is refused, as in reality
    who: list[Contestant] = [plain(STALL_TIMEOUT=str(STALL_TIMEOUT_S)), *map(Peer, able)]
    rows = {one.name: Row(one.name) for one in who}
    with stage.ground(4 * size) as ground:
        for number in range(rounds):
            for one in who:
                _all_of_it(ground, one, size, KILLED_AT[number % len(KILLED_AT)], rows[one.name])
                say(f"  {number + 1}/{rounds} {one.name}")
    what = (
        f"{size / MIB:.0f} MiB at 50 MB/s for each connection: {DROPS} connections reset after 3 MiB; one reset, and"
        f" links for a single request; a kill -9 under way; a connection that falls silent, with {STALL_TIMEOUT_S} s of"
        " patience. What fails is run again with a fresh URL until it succeeds"
    )
    return Result("trouble", what, _METRICS, list(rows.values()))


@dataclass(frozen=True)
class _Cost:
    """What a recording took in the end."""

    wall_s: float
    twice: int
    """Bytes that were sent beyond the recording's own."""
    happened: int
    runs: int


def _all_of_it(ground: Ground, one: Contestant, size: int, killed_at: float, row: Row) -> None:
    costs = {
        trouble.name: _met(ground, one, trouble, size, killed_at) for trouble in (NOTHING, DROP, EXPIRY, KILL, STALL)
    }
    for name in (DROP.name, EXPIRY.name, KILL.name):
        cost = costs[name]
        row.add(**{name: None if cost is None else cost.twice / cost.happened})
        if cost is None:
            row.notes.append(f"{name}: no success in {RUNS} runs")
    nothing, stalled = costs[NOTHING.name], costs[STALL.name]
    row.add(stall=stalled.wall_s - nothing.wall_s if stalled and nothing else None)
    row.add(**{AGAIN: sum(cost.runs - 1 for name, cost in costs.items() if cost and name != KILL.name)})


def _met(ground: Ground, one: Contestant, trouble: Trouble, size: int, killed_at: float) -> _Cost | None:
    """Let a contestant meet a trouble, again and again until it succeeds; None if it never does."""
    with RealtimeKitStandIn(send_buffer=SEND_BUFFER) as kit, ground.bucket() as bucket:
        kit.bandwidth_per_connection = BYTES_PER_S
        recording = kit.add(StandInRecording(str(uuid.uuid4()), video=MediaSource(SyntheticContent(size, 1))))
        trouble.arrange(kit)
        wall_s = 0.0
        for number in range(1, RUNS + 1):
            killed = trouble is KILL and number == 1
            with _killed_under_way(kit, int(killed_at * size)) if killed else nullcontext(ground.began) as began:
                usage = one.run(replace(ground, kit=kit, began=began), recording, bucket)
            wall_s += usage.wall_s
            if usage.exit_code == 0 and size in ground.sizes(bucket).values():
                kit.wait_idle()
                return _Cost(wall_s, max(0, kit.bytes_served() - size), max(1, trouble.count(kit)), number)
    return None


@contextmanager
def _killed_under_way(kit: RealtimeKitStandIn, after_bytes: int) -> Iterator[Callable[[int], None]]:
    """Give what kills a process group once so many bytes have been sent."""
    over, threads = Event(), []

    def watch(pid: int) -> None:
        while not over.wait(0.005):
            if kit.bytes_served() >= after_bytes:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                return

    def began(pid: int) -> None:
        threads.append(Thread(target=watch, args=(pid,), daemon=True))
        threads[0].start()

    try:
        yield began
    finally:
        over.set()
        for thread in threads:
            thread.join()
