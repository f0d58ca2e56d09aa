"""What a trouble with the source is, and how it is met: our pipeline runs, and its archive is judged by its bytes."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import ArchiverError
from tests.torture.scenario import Expect, Outcome, Scenario, Verdict, judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

PATIENCE_S = {Expect.INTACT: 30.0, Expect.REFUSED: 30.0, Expect.RESUMED: 0.5}
"""Seconds without progress: little where a run is to give up, and plenty where it is not, on a busy machine too."""
STALL_S = 1.0
PAUSE_S = 0.02


def faults_cleared(bench: Archiving) -> None:
    """Let the source and the API behave from now on."""
    kit = bench.kit
    kit.file_faults, kit.api_faults = [], []
    kit.on_file_request = kit.on_api_request = None
    kit.links_expire_after_requests, kit.bandwidth_per_connection = None, None


@dataclass(frozen=True)
class SourceTrouble:
    """Something that is wrong with the source or the API."""

    name: str
    """In kebab-case, and unique."""
    what: str
    """What the other side does, in a few words."""
    expect: Expect
    arrange: Callable[[Archiving, int], StandInRecording]
    """Given a bench and a seed, adds the recording and scripts the faults."""
    relieve: Callable[[Archiving], None] = faults_cleared
    """Takes the trouble away."""
    short: bool = True
    """Whether the normal test suite meets it, too."""
    stores: tuple[str, ...] = ("swift", "rclone")
    different: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the run that must not be the usual ones, by their names in `Setup`."""


def archived(bench: Archiving, recording: StandInRecording, **setup: Any) -> Any:
    """Archive with our own pipeline."""
    return bench.archived(recording, **setup)


def scenario_of(trouble: SourceTrouble, archive: Callable[..., Any] = archived) -> Scenario:
    """Return the scenario of a trouble.

    Args:
        archive: the pipeline, given the bench, the recording and what is different in its setup.
    """
    return Scenario(
        trouble.name,
        trouble.what,
        trouble.expect,
        lambda bench, seed: _met(trouble, archive, bench, seed),
        trouble.short,
        trouble.stores,
    )


def _met(trouble: SourceTrouble, archive: Callable[..., Any], bench: Archiving, seed: int) -> Outcome:
    began = time.monotonic()
    recording = trouble.arrange(bench, seed)
    setup = _setup(trouble.expect) | dict(trouble.different)
    with _short_pauses(), _logs() as logged:
        error = _error_of(archive, bench, recording, setup)
        verdict = judged(bench, recording, error)
        told, finished = str(error or ""), verdict is Verdict.INTACT
        failures, unfit = _wrong_kind(trouble.expect, error), tuple(bench.unfit() if error else ())
        trouble.relieve(bench)
        if error is not None:
            error = _error_of(archive, bench, recording, _setup(Expect.INTACT))
            finished = judged(bench, recording, error) is Verdict.INTACT and error is None
            if not finished:
                failures.append(f"once the trouble was over, the next run said: {error}")
    failures += _leaks(bench, [*logged, told, *_tag_files(bench, recording)])
    left_over = tuple(bench.left_over(recording))
    twice = max(0, bench.kit.bytes_served() - sum(source.size for source in recording.files().values()))
    return Outcome(verdict, finished, told, left_over, twice, time.monotonic() - began, tuple(failures), unfit)


def _setup(expect: Expect) -> dict[str, Any]:
    return {"patience_s": PATIENCE_S[expect], "stall_s": STALL_S}


def _error_of(
    archive: Callable[..., Any], bench: Archiving, recording: StandInRecording, setup: Mapping[str, Any]
) -> Exception | None:
    try:
        archive(bench, recording, **setup)
    except Exception as error:  # noqa: BLE001 - whatever a run ends with is what is judged
        return error
    return None


def _wrong_kind(expect: Expect, error: Exception | None) -> list[str]:
    """Say whether a run's own word fits: whether trying again can help."""
    if error is None:
        return []
    if not isinstance(error, ArchiverError):
        return [f"an error that is none of ours: {type(error).__name__}: {error}"]
    if expect is Expect.INTACT:
        return [f"it was archived, but the run said: {error}"]
    said = "worth retrying" if error.retryable else "final"
    return [] if error.retryable == (expect is Expect.RESUMED) else [f"the error calls itself {said}: {error}"]


def _tag_files(bench: Archiving, recording: StandInRecording) -> list[str]:
    """Return the text of all that is archived and is not media."""
    keys = [key for key in bench.stored_keys(bench.folder(recording)) if "/data/" not in key]
    return [bench.s3.get_object(Bucket=bench.bucket, Key=key)["Body"].read().decode() for key in keys]


def _leaks(bench: Archiving, texts: list[str]) -> list[str]:
    secrets = ("X-Amz-Signature", "leak-canary", bench.kit.token)
    leaking = [text for text in texts if any(secret in text for secret in secrets)]
    return [f"a secret got out: {text[:200]}" for text in leaking[:1]]


@contextmanager
def _short_pauses() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.retry.FIRST_PAUSE_S", PAUSE_S)
        patch.setattr("tasks.retry.LONGEST_PAUSE_S", 5 * PAUSE_S)
        yield


class _Kept(logging.Handler):
    def __init__(self, kept: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record.getMessage())


@contextmanager
def _logs() -> Iterator[list[str]]:
    """Keep what is logged."""
    kept: list[str] = []
    handler = _Kept(kept)
    logging.getLogger().addHandler(handler)
    try:
        yield kept
    finally:
        logging.getLogger().removeHandler(handler)
