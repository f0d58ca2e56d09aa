"""A process that archives one recording and may be killed at any moment: `archive_child.py SETUP RECORDING_ID`.

Without arguments it stays, and forks a process for each order that it reads from stdin: that takes a hundredth of the
time that a process takes to start. Where the store is comes through the environment, as in production.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from dataclasses import asdict, dataclass
from itertools import count
from threading import Timer
from typing import TYPE_CHECKING, Any, Literal

from tasks.errors import ArchiverError
from tasks.s3.client import new_s3_client
from tests.support.archiving import Run, Setup
from tests.support.meddling import WRITES, Meddled

if TYPE_CHECKING:
    from collections.abc import Callable

DONE, RETRYABLE, FINAL, CRASHED = 0, 1, 3, 70
"""Exit codes."""


@dataclass(frozen=True)
class Death:
    """At which write to the store a process is to kill itself."""

    write: int  # from 1
    how: Literal["before", "within", "after"]
    delay_s: float = 0.0  # within: so long after it began

    def meddle(self) -> Callable[..., Any]:
        """Return what makes it happen in the hands of `Meddled`."""
        numbers = count(1)

        def meddle(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
            if not method.startswith(WRITES) or next(numbers) != self.write:
                return send()
            if self.how == "before":
                die()
            if self.how == "within":
                Timer(self.delay_s, die).start()
            try:
                return send()
            finally:
                die()

        return meddle


def die() -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


@dataclass(frozen=True)
class Order:
    """What a process is to do."""

    setup: Setup
    recording_id: str  # or that of a meeting's session
    overwrite: bool = False
    death: Death | None = None
    is_session: bool = False  # what belongs to a session is to be archived

    def text(self) -> str:
        """Return it as a line."""
        return json.dumps(asdict(self))

    @classmethod
    def parsed(cls, text: str) -> Order:
        """Read what `text` returned."""
        fields = json.loads(text)
        death = Death(**fields["death"]) if fields["death"] else None
        setup = Setup(**fields["setup"])
        return cls(setup, fields["recording_id"], fields["overwrite"], death, fields["is_session"])


def archive(order: Order, client: Any) -> tuple[int, str]:
    """Archive a recording, or what belongs to a session; return the exit code, and what there is to say."""
    try:
        store = Meddled(client, order.death.meddle()) if order.death else client
        run = Run(order.setup, store)
        if order.is_session:
            run.archived_session(order.recording_id)
        else:
            run.archived(order.recording_id, overwrite=order.overwrite)
    except ArchiverError as error:
        return (RETRYABLE if error.retryable else FINAL), f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - whoever ordered it has to know of anything
        return CRASHED, traceback.format_exc()
    return DONE, ""


def take_orders() -> None:
    """Read orders and questions from stdin, a line each, and answer them on stdout, until stdin ends.

    `{"start": ORDER}` is answered with the pid of the process that carries the order out; it is not reaped before
    `{"wait": PID}`, which is answered with its exit code and what it said, so that nobody else gets its pid.
    """
    client = new_s3_client(32)
    saying: dict[int, int] = {}
    answer: dict[str, int | str]
    for line in sys.stdin:
        asked = json.loads(line)
        if "start" in asked:
            pid, saying[pid] = _started(Order.parsed(asked["start"]), client)
            answer = {"pid": pid}
        else:
            with open(saying.pop(asked["wait"]), encoding="utf-8") as said:  # noqa: PTH123 - it has no path
                words = said.read()
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1]), "said": words}
        print(json.dumps(answer), flush=True)  # noqa: T201 - that is how it answers
    for pid in saying:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _started(order: Order, client: Any) -> tuple[int, int]:
    """Fork; return the child's pid, and where to read what it says."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        return pid, reading
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    code, said = archive(order, client)
    os.write(writing, said.encode())
    os._exit(code)


if __name__ == "__main__":
    if sys.argv[1:]:
        setup, recording_id = sys.argv[1:]
        Run(Setup.parsed(setup), new_s3_client(32)).archived(recording_id)
    else:
        take_orders()
