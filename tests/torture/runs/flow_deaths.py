"""The whole flow, in processes of its own at a real Prefect server: killed, interrupted, cancelled, left alone."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Timer
from typing import TYPE_CHECKING, Any

import httpx

from tests.flows.duty import PrefectServer, cancel, deploy, started, state_of, worker
from tests.flows.world import MIB, PATIENCE_S, World, eventually
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.torture.runs.deaths import faulty
from tests.torture.runs.turns import Turns
from tests.torture.scenario import Expect, Outcome, Scenario, Verdict, judged, wrong_with

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping

    from tests.standins.realtimekit import ApiRequest, FileRequest, StandInRecording
    from tests.support.archiving import Archiving

PART = 5 * MIB
PARTS = 6
EXIT_CODES = {signal.SIGKILL: {-9}, signal.SIGTERM: {-15}, signal.SIGINT: {130}}
DONE = 0
GIVEN = "PREFECT_API_URL"
"""The environment variable that names a server that runs already."""


@dataclass
class FlowDeath:
    """Ends a flow's process at a moment."""

    world: World
    dice: random.Random
    sent: signal.Signals
    _began: Event = field(default_factory=Event)
    _process: list[subprocess.Popen[str]] = field(default_factory=list)

    def begin(self, process: subprocess.Popen[str]) -> None:
        """Tell which process it is."""
        self._process.append(process)
        self._began.set()

    def strike(self) -> None:
        """Send it the signal."""
        if not self._began.wait(PATIENCE_S):
            raise TimeoutError
        self._process[0].send_signal(self.sent)


@contextmanager
def at_a_file_request(death: FlowDeath) -> Iterator[dict[str, str | None]]:
    """End the run when the source gets its Nth request."""
    kit = death.world.kit
    last = len(kit.file_requests) + death.dice.randint(1, PARTS)

    def look(request: FileRequest) -> None:
        if request.number == last:
            death.strike()

    kit.on_file_request = look
    yield {}
    kit.on_file_request = None


@contextmanager
def at_an_api_request(death: FlowDeath) -> Iterator[dict[str, str | None]]:
    """End the run when it asks for the recording."""
    number = len(death.world.kit.api_requests) + 1

    def look(request: ApiRequest) -> None:
        if request.number == number:
            death.strike()

    death.world.kit.on_api_request = look
    yield {}
    death.world.kit.on_api_request = None


@contextmanager
def at_a_turn(death: FlowDeath) -> Iterator[dict[str, str | None]]:
    """End the run when it speaks to the store for the Nth time."""
    last = death.dice.randint(1, 40)
    port = httpx.URL(death.world.store.endpoint_url).port or 0
    with Turns(port, lambda number: death.strike() if number == last else None) as turns:
        yield {"AWS_ENDPOINT_URL_S3": turns.url}


MOMENTS = (at_a_file_request, at_an_api_request, at_a_turn)


@dataclass
class FlowRuns:
    """Runs of the flow for one recording of a bench, and what came of them."""

    bench: Archiving
    world: World
    recording: StandInRecording
    began: float = field(default_factory=time.monotonic)
    verdicts: list[Verdict] = field(default_factory=lambda: [Verdict.INTACT])
    failures: list[str] = field(default_factory=list)

    def settings(self) -> dict[str, str | None]:
        """Return how the environment of a run differs from the world's."""
        setup = self.bench.setup()
        return {"ARCHIVE_URL": f"s3://{setup.bucket}/{setup.prefix}"}

    def run(self, death: FlowDeath | None = None, **changes: str | None) -> None:
        """Run the flow, maybe to an end that it does not see coming."""
        with self.world.running(self.recording.id, changes=self.settings() | changes) as process:
            if death:
                death.begin(process)
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        self.note(process.returncode, stdout, stderr, death)

    def note(self, code: int, stdout: str, stderr: str, death: FlowDeath | None) -> None:
        """Take in how it ended, and what the world looks like."""
        fitting = {DONE} | (EXIT_CODES[death.sent] if death else set())
        if code not in fitting:
            self.failures.append(f"the flow ended with {code}: {stderr[-2000:]}")
        if (code == DONE) != stdout.startswith("{"):
            self.failures.append(f"the flow ended with {code} and printed {stdout!r}")
        if "Traceback" in stderr:
            self.failures.append(f"a traceback: {stderr[-2000:]}")
        self.judge(None if code == DONE else f"ended with {code}")

    def judge(self, error: str | None) -> None:
        """Look at the world after a run."""
        self.verdicts.append(judged(self.bench, self.recording, error))

    def outcome(self) -> Outcome:
        """Return what came of it all."""
        self.bench.kit.wait_idle()
        served = sum(asked.sent for asked in self.bench.kit.file_requests if self.recording.id in asked.key)
        return Outcome(
            verdict=max(self.verdicts, key=list(Verdict).index),
            finished=wrong_with(self.bench, self.recording) is None,
            left_over=tuple(self.bench.left_over(self.recording)),
            fetched_twice=max(served - sum(source.size for source in self.recording.files().values()), 0),
            seconds=time.monotonic() - self.began,
            failures=tuple(self.failures),
        )


@contextmanager
def flow_runs(bench: Archiving, dice: random.Random, api: str | None = None) -> Iterator[FlowRuns]:
    """Give a recording to archive and a server to run flows at."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flow-")))
        world = World(bench.kit, bench.server, bench.bucket, api or stack.enter_context(prefect_api()), folder)
        video = MediaSource(SyntheticContent(PARTS * PART - dice.randrange(PART), seed=dice.randrange(1000)))
        recording = bench.add(video, audio=MediaSource(b"s\0und" * 1000, "audio/mpeg"))
        stack.enter_context(faulty(bench, dice))
        yield FlowRuns(bench, world, recording)


def flow_ends(bench: Archiving, seed: int, *, signals: tuple[signal.Signals, ...], most: int = 1) -> Outcome:
    """End runs of the flow by a signal, up to so many in a row, and let the next one finish."""
    dice = random.Random(seed)
    with flow_runs(bench, dice) as runs:
        for _ in range(dice.randint(1, most)):
            death = FlowDeath(runs.world, dice, dice.choice(signals))
            with dice.choice(MOMENTS)(death) as changes:
                runs.run(death, **changes)
        runs.run()
        return runs.outcome()


def flow_is_cancelled(bench: Archiving, seed: int) -> Outcome:
    """Cancel a run of the deployment at one of its requests to the source, and let the next one finish."""
    dice = random.Random(seed)
    with flow_runs(bench, dice) as runs:
        world, reached, opened = runs.world, Event(), Event()
        last = dice.randint(1, PARTS)

        def look(request: FileRequest) -> None:
            if request.number == last:
                reached.set()
                opened.wait(PATIENCE_S)

        bench.kit.on_file_request = look
        deploy(world)
        with worker(world, settings=runs.settings()):
            first = started(world, "on-demand", recording_id=runs.recording.id)
            if not reached.wait(PATIENCE_S):
                raise TimeoutError
            cancel(world, first)
            state = eventually(lambda: _end_of(world, first))
            opened.set()
            bench.kit.on_file_request = None
            if state != "CANCELLED":
                runs.failures.append(f"the cancelled run ended {state}")
            runs.judge("cancelled")
            second = started(world, "on-demand", recording_id=runs.recording.id)
            state = eventually(lambda: _end_of(world, second))
            if state != "COMPLETED":
                runs.failures.append(f"the next run ended {state}")
            runs.judge(None if state == "COMPLETED" else state)
        return runs.outcome()


def _end_of(world: World, run: Mapping[str, Any]) -> str | None:
    state: str = state_of(world, run)["type"]
    return state if state in {"CANCELLED", "COMPLETED", "FAILED", "CRASHED"} else None


@contextmanager
def prefect_api() -> Iterator[str]:
    """Give the API's URL of the server that the environment names, or of one that runs meanwhile."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="prefect-", ignore_cleanup_errors=True))
        yield stack.enter_context(PrefectServer(Path(home))).api


def prefect_server_restarts(bench: Archiving, seed: int) -> Outcome:
    """Kill Prefect's server at one of the run's requests to the source, and start it again after a while."""
    dice = random.Random(seed)
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="prefect-", ignore_cleanup_errors=True))
        server = stack.enter_context(PrefectServer(Path(home)))
        runs = stack.enter_context(flow_runs(bench, dice, server.api))
        last, back = dice.randint(1, PARTS), Timer(dice.uniform(0, 5), server.start)

        def look(request: FileRequest) -> None:
            if request.number == last:
                server.kill()
                back.start()

        bench.kit.on_file_request = look
        runs.run()
        bench.kit.on_file_request = None
        back.join()
        return runs.outcome()


def _scenario(name: str, what: str, run: Callable[..., Outcome], *, short: bool = True, **how: object) -> Scenario:
    return Scenario(name, what, Expect.RESUMED, partial(run, **how), short)


ALL_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SCENARIOS: tuple[Scenario, ...] = (
    _scenario("flow-killed", "the flow's process gets kill -9", flow_ends, signals=(signal.SIGKILL,), short=False),
    _scenario("flow-terminated", "it gets SIGTERM", flow_ends, signals=(signal.SIGTERM,), short=False),
    _scenario("flow-interrupted", "it gets Ctrl-C", flow_ends, signals=(signal.SIGINT,)),
    _scenario("flow-ended-again-and-again", "up to five in a row", flow_ends, signals=ALL_SIGNALS, most=5, short=False),
    _scenario("flow-cancelled", "a deployment's run is cancelled in Prefect", flow_is_cancelled, short=False),
    Scenario(
        "prefect-server-restarts",
        "Prefect's server is killed and comes back",
        Expect.INTACT,
        prefect_server_restarts,
        short=False,
    ),
)
