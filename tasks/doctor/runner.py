"""Runs checks side by side, each after the checks that it needs and within its own time limit.

Pure but for threads. A check that does not come back is left behind in a thread that keeps no process alive.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
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
    """What came of one check."""

    model_config = ConfigDict(frozen=True)

    group: str
    name: str
    status: Status
    told: str
    advice: str = ""


class Checkup(BaseModel):
    """What came of all of them; `ok` if none failed."""

    model_config = ConfigDict(frozen=True)

    ok: bool
    seconds: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class CheckResult:
    """What a check has to say: how it is, what that means, and what a person could do."""

    status: Status
    told: str
    advice: str = ""


def ok(told: str) -> CheckResult:
    """Say that something is as it should be."""
    return CheckResult("ok", told)


def warning(told: str, advice: str) -> CheckResult:
    """Say that recordings will arrive, and that something is to be looked at nevertheless."""
    return CheckResult("warning", told, advice)


def failed(told: str, advice: str = "") -> CheckResult:
    """Say that something will keep recordings from arriving."""
    return CheckResult("failed", told, advice)


def skipped(told: str) -> CheckResult:
    """Say that there is nothing to be found out."""
    return CheckResult("skipped", told)


LATE = failed("no answer in time", "Check the network, and whether that server is overloaded.")
Look: TypeAlias = Callable[[], CheckResult]


@dataclass(frozen=True)
class Check:
    """One thing to look at."""

    group: str
    name: str  # no two alike
    look: Look  # may raise anything
    needs: tuple[str, ...] = ()  # checks that must not have failed
    after: tuple[str, ...] = ()  # checks that must be over, whatever came of them
    limit_s: float = LIMIT_S
    late: CheckResult = LATE  # what it means if it takes longer


def run(
    checks: Sequence[Check], within_s: float, report: Callable[[Finding], None], conceal: Callable[[str], str]
) -> tuple[Finding, ...]:
    """Run checks, and return their findings in the order of the checks.

    Args:
        checks: all that there are; those that they name in `needs` and `after` are among them.
        within_s: seconds for all of them: what is not over then has failed, or is skipped.
        report: told of each finding, in the order of the checks, as soon as it and those before it are known.
        conceal: takes out of a text what must not be shown.
    """
    return _Round(checks, time.monotonic() + within_s, report, conceal).run()


class _Round:
    """One run of all checks; what it knows is touched by the caller's thread alone."""

    def __init__(
        self,
        checks: Sequence[Check],
        end: float,
        report: Callable[[Finding], None],
        conceal: Callable[[str], str],
    ) -> None:
        self._checks = checks
        self._end = end
        self._report = report
        self._conceal = conceal
        self._waiting = {check.name: check for check in checks}
        self._deadlines: dict[str, float] = {}
        self._answers: SimpleQueue[tuple[str, CheckResult]] = SimpleQueue()
        self._findings: dict[str, Finding] = {}
        self._reported = 0

    def run(self) -> tuple[Finding, ...]:
        self._go_on()
        while self._deadlines:
            try:
                left = min(self._deadlines.values()) - time.monotonic()
                name, said = self._answers.get(timeout=max(0.0, left))
            except Empty:
                self._give_up()
            else:
                if self._deadlines.pop(name, None) is not None:
                    self._note(name, said)
            self._go_on()
        return tuple(self._findings[check.name] for check in self._checks)

    def _go_on(self) -> None:
        """Start what can start now, and skip what never will."""
        while ready := [check for check in self._waiting.values() if self._is_due(check)]:
            for check in ready:
                del self._waiting[check.name]
                self._begin(check)

    def _is_due(self, check: Check) -> bool:
        return all(name in self._findings for name in (*check.needs, *check.after)) or bool(self._lacks(check))

    def _lacks(self, check: Check) -> list[str]:
        return [name for name in check.needs if self._came_of(name) in {"failed", "skipped"}]

    def _came_of(self, name: str) -> str:
        return self._findings[name].status if name in self._findings else ""

    def _begin(self, check: Check) -> None:
        now = time.monotonic()
        if lacking := self._lacks(check):
            self._note(check.name, skipped(f"not looked at, as it needs: {', '.join(lacking)}"))
        elif now >= self._end:
            self._note(check.name, skipped("not looked at: the time was over"))
        else:
            self._deadlines[check.name] = min(now + check.limit_s, self._end)
            look = copy_context().run  # Prefect's settings are the context's
            Thread(target=look, args=(_answer, check, self._answers), name=check.name, daemon=True).start()

    def _give_up(self) -> None:
        now = time.monotonic()
        late = [check for check in self._checks if self._deadlines.get(check.name, now + 1) <= now]
        for check in late:
            del self._deadlines[check.name]
            self._note(check.name, check.late)

    def _note(self, name: str, said: CheckResult) -> None:
        check = next(check for check in self._checks if check.name == name)
        told, advice = (_line(self._conceal(text)) for text in (said.told, said.advice))
        self._findings[name] = Finding(group=check.group, name=name, status=said.status, told=told, advice=advice)
        while self._reported < len(self._checks) and self._checks[self._reported].name in self._findings:
            self._reported += 1
            self._report(self._findings[self._checks[self._reported - 1].name])


def _answer(check: Check, answers: SimpleQueue[tuple[str, CheckResult]]) -> None:
    try:
        said = check.look()
    except ArchiverError as error:
        said = failed(str(error))
    except BaseException as error:  # noqa: BLE001 - it is the answer
        said = unforeseen(error)
    answers.put((check.name, said))


def unforeseen(error: BaseException) -> CheckResult:
    """Tell of an error that is nobody's to foresee: its kind and place, and not its text, which may hold anything."""
    places = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f", at line {place.lineno} of {Path(place.filename).name}" for place in places)
    return failed(f"{type(error).__name__}, which nobody foresaw{where}")


def sound(findings: Iterable[Finding]) -> bool:
    """Tell whether nothing failed."""
    return all(finding.status != "failed" for finding in findings)


def _line(text: str) -> str:
    return "".join(c for c in " ".join(text.split()) if c.isprintable())
