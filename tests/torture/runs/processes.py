"""Processes that archive and may be killed or stopped at any moment, and the moments at which that happens."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.support import archive_child
from tests.support.archive_child import CRASHED, DONE, Order

if TYPE_CHECKING:
    from tests.standins.realtimekit import StandInRecording, StandInSession
    from tests.support.archiving import Archiving

PROJECT = Path(__file__).parents[3]
PATIENCE_S = 100


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    said: str

    @property
    def killed(self) -> bool:
        """Whether it was killed."""
        return self.code == -signal.SIGKILL

    @property
    def done(self) -> bool:
        """Whether it said that the recording is archived."""
        return self.code == DONE


class Child:
    """A process that archives a recording; signals to it can reach no other."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._handle = os.pidfd_open(pid)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; one that is over has no use for it."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)

    def is_over(self, within_s: float) -> bool:
        """Wait until it is over, and tell whether it is."""
        ready, _, _ = select.select([self._handle], [], [], within_s)
        return bool(ready)

    def kill(self) -> None:
        """End it at once, and return when it is over."""
        self.send(signal.SIGKILL)
        if not self.is_over(PATIENCE_S):
            message = f"process {self.pid} does not die"
            raise TimeoutError(message)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._handle)


class Processes:
    """Starts processes on a bench, within milliseconds each; none outlives the `with`.

    Args:
        bench: where they archive.
        settings: of their runs, as `Archiving.setup` takes them.
    """

    def __init__(self, bench: Archiving, **settings: Any) -> None:
        self._bench = bench
        self._setup = bench.setup(**settings)
        self._children: list[Child] = []

    def start(self, recording: StandInRecording | StandInSession, **order: Any) -> Child:
        """Start a process that archives a recording, or what belongs to a session if the order says so.

        Args:
            order: whatever else `Order` takes.
        """
        answer = self._ask({"start": Order(self._setup, recording.id, **order).text()})
        self._children.append(Child(answer["pid"]))
        return self._children[-1]

    def ended(self, child: Child) -> Ended:
        """Wait for a process; one that takes too long is ended, and counts as crashed."""
        hung = not child.is_over(PATIENCE_S)
        if hung:
            child.kill()
        answer = self._ask({"wait": child.pid})
        return Ended(CRASHED, "it hung") if hung else Ended(answer["code"], answer["said"])

    def _ask(self, question: dict[str, Any]) -> Any:
        stdin, stdout = self._parent.stdin, self._parent.stdout
        if stdin is None or stdout is None:
            raise AssertionError
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())

    def __enter__(self) -> Self:
        """Start the process that forks the others."""
        environment = os.environ | self._bench.server.environment()
        command = [sys.executable, "-W", "error", "-m", archive_child.__name__]
        self._parent = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and with it all that it forked."""
        self._parent.communicate(timeout=PATIENCE_S)
        for child in self._children:
            child.close()
