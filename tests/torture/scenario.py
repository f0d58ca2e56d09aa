"""What a scenario is, what may come of it, and how an archive is judged by its bytes alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from tests.support.archiving import payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving


class Verdict(StrEnum):
    """What the world looks like after a run, whatever the run said of itself."""

    INTACT = "archived intact"
    SAFE = "safe error"
    """It failed, said so, and nothing is visible."""
    HALF = "half visible"
    """It failed and said so, but something wrong can be taken for the recording."""
    LIE = "lie"
    """It said that all is well, and what is visible is wrong or nothing."""


class Expect(StrEnum):
    """What must come of a scenario."""

    INTACT = "archived intact"
    """By the very run that met the trouble."""
    REFUSED = "refused"
    """An error, nothing visible; trying again while the trouble lasts changes nothing."""
    RESUMED = "resumed"
    """A retryable error with nothing visible, and the next run after the trouble finishes."""


_FITTING = {
    Expect.INTACT: {Verdict.INTACT},
    Expect.REFUSED: {Verdict.SAFE},
    Expect.RESUMED: {Verdict.SAFE, Verdict.INTACT},  # an error whose cause came after the commit
}


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario, measured."""

    verdict: Verdict
    """Of the run that met the trouble."""
    finished: bool
    """Whether the recording was archived intact at the end, by this run or the next."""
    error: str = ""
    """What the failed run said, if one failed."""
    left_over: tuple[str, ...] = ()
    """Uploads and records of uploads that a finished run left behind."""
    fetched_twice: int = 0
    """Bytes that the source served over the recording's size; 0 where that is not counted."""
    seconds: float = 0.0
    failures: tuple[str, ...] = field(default=())
    """What else must not be so, in sentences."""
    unfit: tuple[str, ...] = ()
    """Of what a failed run left behind, that which no other can carry on."""


@dataclass(frozen=True)
class Scenario:
    """One kind of trouble."""

    name: str
    """In kebab-case and unique: how it is asked for from the command line."""
    what: str
    """What the other side does, for a person, in a few words."""
    expect: Expect
    run: Callable[[Archiving, int], Outcome]
    """Given an archive in a fresh bucket and a seed, lets it happen once; leaves no process and no fault behind."""
    short: bool = True
    """Whether the normal test suite runs it too."""
    stores: tuple[str, ...] = ("swift", "rclone")
    """On which stores it makes sense."""

    def failures(self, outcome: Outcome) -> list[str]:
        """Return in sentences what is not as it must be; empty if all is well."""
        found = list(outcome.failures)
        if outcome.verdict not in _FITTING[self.expect]:
            found.append(f"expected {self.expect}, but it was: {outcome.verdict}. {outcome.error}".rstrip())
        if self.expect is Expect.RESUMED and not outcome.finished:
            found.append(f"the next run did not finish it. {outcome.error}".rstrip())
        if outcome.finished and outcome.left_over:
            found.append(f"a finished run left {', '.join(outcome.left_over)}")
        if outcome.unfit:
            found.append(f"a failed run left what nobody can carry on: {', '.join(outcome.unfit)}")
        return found


def wrong_with(bench: Archiving, recording: StandInRecording) -> str | None:
    """Compare what is visible as the recording's archive with what the source holds, byte by byte.

    Returns:
        None if all is right, "nothing visible" if there is no bag, and else what is wrong with the bag.
    """
    if "bagit.txt" not in bench.names(recording):
        return "nothing visible"
    folder = bench.folder(recording)
    stored = {
        key.removeprefix(folder): bench.s3.get_object(Bucket=bench.bucket, Key=key)["Body"].read()
        for key in bench.stored_keys(folder)
    }
    media = {path: body for path, body in stored.items() if path.startswith("data/")}
    if sorted(media.values()) != sorted(payload(recording).values()):
        sizes = {path: len(body) for path, body in media.items()}
        return f"other bytes than the source's: {sizes}"
    stated = dict(reversed(line.split("  ", 1)) for line in stored["manifest-sha256.txt"].decode().splitlines())
    actual = {path: hashlib.sha256(body).hexdigest() for path, body in media.items()}
    return None if stated == actual else f"a manifest that states {stated}, not {actual}"


def judged(bench: Archiving, recording: StandInRecording, error: BaseException | str | None) -> Verdict:
    """Return the verdict on a run that ended with `error`, or well if that is None."""
    wrong = wrong_with(bench, recording)
    if wrong is None:
        return Verdict.INTACT  # an error after the commit takes nothing away
    if error is None:
        return Verdict.LIE
    return Verdict.SAFE if wrong == "nothing visible" else Verdict.HALF
