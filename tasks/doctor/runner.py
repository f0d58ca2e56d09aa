"""Runs checks side by side, each after the checks that it needs and within its own time limit.

Pure except for threads. A check that does not return is abandoned: its thread does not keep the process alive.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from tasks.errors import ArchiverError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LIMIT_S = 10.0
Status = Literal["ok", "warning", "failed", "skipped"]


class Finding(BaseModel):
    """The result of one check, as it is reported."""

    model_config = ConfigDict(frozen=True)

    group: str
    name: str
    status: Status
    told: str
    advice: str = ""


class Checkup(BaseModel):
    """The results of all checks; `ok` if none failed."""

    model_config = ConfigDict(frozen=True)

    ok: bool
    seconds: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class CheckResult:
    """What a check returns: the status, what that means, and what a person can do."""

    status: Status
    told: str
    advice: str = ""


def ok(told: str) -> CheckResult:
    """Return that something is as it should be."""
    return CheckResult("ok", told)


def warning(told: str, advice: str) -> CheckResult:
    """Return that recordings will arrive, but that a person should look at something."""
    return CheckResult("warning", told, advice)


def failed(told: str, advice: str = "") -> CheckResult:
    """Return that something will keep recordings from arriving."""
    return CheckResult("failed", told, advice)


def skipped(told: str) -> CheckResult:
    """Return that the check was not made."""
    return CheckResult("skipped", told)


LATE = failed("no answer in time", "Check the network, and whether that server is overloaded.")
CheckFunction: TypeAlias = Callable[[], CheckResult]


@dataclass(frozen=True)
class Check:
    """One check, and when it may run."""

    group: str
    name: str  # unique
    look: CheckFunction  # may raise anything
    needs: tuple[str, ...] = ()  # checks that must not have failed
    after: tuple[str, ...] = ()  # checks that must be over, whatever their results
    limit_s: float = LIMIT_S
    late: CheckResult = LATE  # the result if it takes longer


def run_checks(
    checks: Sequence[Check], within_s: float, report: Callable[[Finding], None], redactor: Callable[[str], str]
) -> tuple[Finding, ...]:
    """Run checks, and return their findings in the order of the checks.

    Args:
        checks: all checks; every name in their `needs` and `after` is the name of one of them.
        within_s: seconds for all checks: one that runs longer has failed, one that has not begun by then is skipped.
        report: called with each finding, in the order of the checks, as soon as all findings before it are known.
        redactor: removes from a text what must not be shown.

    Raises:
        CycleError: checks wait for each other.
    """
    return _Round(checks, time.monotonic() + within_s, report, redactor).run()


class _Round:
    """One run of all checks; only the caller's thread touches its state."""

    def __init__(
        self,
        checks: Sequence[Check],
        end: float,
        report: Callable[[Finding], None],
        redactor: Callable[[str], str],
    ) -> None:
        self._checks = {check.name: check for check in checks}
        self._end = end
        self._report = report
        self._redact = redactor
        self._order = TopologicalSorter({check.name: (*check.needs, *check.after) for check in checks})
        self._order.prepare()
        self._deadlines: dict[str, float] = {}
        self._answers: SimpleQueue[tuple[str, CheckResult]] = SimpleQueue()
        self._findings: dict[str, Finding] = {}
        self._unreported = deque(self._checks)

    def run(self) -> tuple[Finding, ...]:
        self._start_due()
        while self._deadlines:
            try:
                left = min(self._deadlines.values()) - time.monotonic()
                name, result = self._answers.get(timeout=max(0.0, left))
            except Empty:
                self._fail_late()
            else:
                if self._deadlines.pop(name, None) is not None:
                    self._note(name, result)
            self._start_due()
        return tuple(self._findings[name] for name in self._checks)

    def _start_due(self) -> None:
        """Start the checks whose predecessors are over, or skip them."""
        while names := self._order.get_ready():
            for name in names:
                self._start(self._checks[name])

    def _start(self, check: Check) -> None:
        now = time.monotonic()
        unmet = [name for name in check.needs if self._findings[name].status in {"failed", "skipped"}]
        if unmet:
            self._note(check.name, skipped(f"not looked at, as it needs: {', '.join(unmet)}"))
        elif now >= self._end:
            self._note(check.name, skipped("not looked at: the time was over"))
        else:
            self._deadlines[check.name] = min(now + check.limit_s, self._end)
            run_in_context = copy_context().run  # Prefect keeps its settings in the context
            Thread(target=run_in_context, args=(_run_check, check, self._answers), name=check.name, daemon=True).start()

    def _fail_late(self) -> None:
        now = time.monotonic()
        for name in [name for name, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[name]
            self._note(name, self._checks[name].late)

    def _note(self, name: str, result: CheckResult) -> None:
        told, advice = (_to_line(self._redact(text)) for text in (result.told, result.advice))
        self._findings[name] = Finding(
            group=self._checks[name].group, name=name, status=result.status, told=told, advice=advice
        )
        self._order.done(name)
        while self._unreported and self._unreported[0] in self._findings:
            self._report(self._findings[self._unreported.popleft()])


def _run_check(check: Check, answers: SimpleQueue[tuple[str, CheckResult]]) -> None:
    try:
        result = check.look()
    except ArchiverError as error:
        result = failed(str(error))
    except BaseException as error:  # noqa: BLE001 - the error is the result
        result = describe_unforeseen(error)
    answers.put((check.name, result))


def describe_unforeseen(error: BaseException) -> CheckResult:
    """Return the kind and the place of an unexpected error; not its text, which may hold secrets."""
    places = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f", at line {place.lineno} of {Path(place.filename).name}" for place in places)
    return failed(f"{type(error).__name__}, which nobody foresaw{where}")


def all_passed(findings: Iterable[Finding]) -> bool:
    """Tell whether no check failed."""
    return all(finding.status != "failed" for finding in findings)


def _to_line(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())
