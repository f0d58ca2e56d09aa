"""What a trouble with the store is, and how it is met: our pipeline runs through a proxy, and its archive is judged."""

from __future__ import annotations

import logging
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import ArchiverError
from tasks.s3.client import new_s3_client
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.archiving import LOG, Run
from tests.torture.scenario import Expect, Outcome, Scenario, Verdict, judged
from tests.torture.store.faults import SECRET, refusal
from tests.torture.store.proxy import StoreProxy
from tests.torture.store.scripts import at, once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.standins.realtimekit import StandInRecording
    from tests.standins.stores import Store
    from tests.support.archiving import Archiving
    from tests.torture.store.scripts import Rule

PATIENCE_S = {Expect.INTACT: 20.0, Expect.REFUSED: 20.0, Expect.RESUMED: 1.0}
"""Seconds without progress: little where a run is to give up, and plenty where it is not, on a busy machine too."""
PAUSE_S = 0.02
FIRST_CONTACT_S = 0.5
"""Patience until the store has answered once: less than its outages last, as its first answer is to count."""
CONNECTIONS = 32
ANSWER_TIMEOUT_S = 30.0
ODD = 1234
"""Bytes by which a size is off a part's border."""


def nothing(_bench: Archiving, _recording: StandInRecording, _client: Any) -> None:
    """Let nothing have happened before."""


@dataclass(frozen=True)
class StoreTrouble:
    """Something that is wrong with the store, or with the way there."""

    name: str
    """In kebab-case, and unique."""
    what: str
    """What the other side does, in a few words."""
    expect: Expect
    script: Callable[[], Rule]
    """Makes the rule by which requests meet faults, with nothing met yet."""
    parts: int = 0
    """How many parts the recording's video has; with 0, it is a small file that is put in one go."""
    before: Callable[[Archiving, StandInRecording, Any], None] = nothing
    """What has happened before, given a client through the proxy."""
    overwrite: bool = False
    leaves: bool = False
    """Whether the store lets nobody clear away what a run no longer needs."""
    short: bool = True
    """Whether the normal test suite meets it, too."""
    stores: tuple[str, ...] = ("swift", "rclone")
    answer_timeout_s: float = ANSWER_TIMEOUT_S
    different: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the run that must not be the usual ones, by their names in `Setup`."""
    check: Callable[[StoreProxy], list[str]] = lambda _: []
    """Looks at what came to the proxy, and says in sentences what should not have been so."""


def scenario_of(trouble: StoreTrouble) -> Scenario:
    """Return the scenario of a trouble."""
    run = lambda bench, seed: _met(trouble, bench, seed)  # noqa: E731 - it is two words
    return Scenario(trouble.name, trouble.what, trouble.expect, run, trouble.short, trouble.stores)


@cache
def proxy_of(server: Store) -> StoreProxy:
    """Return the proxy in front of a store, the same in each scenario, so that clients can be kept: they are dear."""
    return StoreProxy(server.port)


@cache
def client_of(server: Store, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> Any:
    """Return a client as production makes it, which knows the way through the proxy alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment_of(server).items():
            patch.setenv(name, value)
        return new_s3_client(CONNECTIONS, answer_timeout_s)


def environment_of(server: Store) -> dict[str, str]:
    """Return the environment variables that lead a program through the proxy to a store."""
    return server.environment() | {"AWS_ENDPOINT_URL_S3": proxy_of(server).url}


def some_recording(bench: Archiving, parts: int) -> StandInRecording:
    """Make a recording known, of one file."""
    if not parts:
        return bench.add(audio=MediaSource(SyntheticContent(20_000 + ODD, seed=3), "audio/mpeg"))
    return bench.add((parts - 1) * bench.part + ODD)


def interrupted(bench: Archiving, recording: StandInRecording, client: Any) -> None:
    """Let an earlier run have stored all parts but the last."""
    proxy = proxy_of(bench.server)
    sizes = [source.size for source in recording.files().values()]
    last = -(-max(sizes) // bench.part)
    proxy.rule = once(at("UploadPart", part=last), refusal(403, "AccessDenied"))()
    error = error_of(bench, recording, client, concurrency=1)
    if error is None or not bench.uploads():
        message = f"nothing was left to be carried on: {error}"
        raise AssertionError(message)


def orphaned(bench: Archiving, recording: StandInRecording, _client: Any) -> None:
    """Let there be an upload of a run that died before it could note of what."""
    bench.s3.create_multipart_upload(Bucket=bench.bucket, Key=f"{bench.folder(recording)}data/video/{recording.id}.mp4")


def archived(bench: Archiving, recording: StandInRecording, _client: Any) -> None:
    """Let it be archived already."""
    bench.archived(recording)


def error_of(
    bench: Archiving, recording: StandInRecording, client: Any, *, overwrite: bool = False, **setup: Any
) -> Exception | None:
    """Run our pipeline with a client, and return what it ended with."""
    try:
        Run(bench.setup(**setup), client).archived(recording.id, overwrite=overwrite)
    except Exception as error:  # noqa: BLE001 - whatever a run ends with is what is judged
        return error
    return None


def _met(trouble: StoreTrouble, bench: Archiving, _seed: int) -> Outcome:
    began, proxy = time.monotonic(), proxy_of(bench.server)
    client = client_of(bench.server, trouble.answer_timeout_s)
    recording = some_recording(bench, trouble.parts)
    setup: dict[str, Any] = {"patience_s": PATIENCE_S[trouble.expect], **trouble.different}
    with short_pauses(), logs() as logged, proxy:
        trouble.before(bench, recording, client)
        proxy.start_over(trouble.script())
        error = error_of(bench, recording, client, overwrite=trouble.overwrite, **setup)
        verdict, failures = judged(bench, recording, error), wrong_words(trouble.expect, error)
        failures += trouble.check(proxy) + ([] if proxy.struck else ["the fault was never met"])
        failures += leaks(bench, error, logged)
        finished = verdict is Verdict.INTACT
        proxy.start_over()
        if error is not None:
            later = error_of(bench, recording, client, overwrite=trouble.overwrite)
            finished = judged(bench, recording, later) is Verdict.INTACT and later is None
            failures += [] if finished else [f"once the trouble was over, the next run said: {later!r}"]
    failures += [f"the proxy failed: {defect!r}" for defect in proxy.errors]
    left_over, seconds = () if trouble.leaves else tuple(bench.left_over(recording)), time.monotonic() - began
    return Outcome(verdict, finished, str(error or ""), left_over, 0, seconds, tuple(failures))


def wrong_words(expect: Expect, error: Exception | None) -> list[str]:
    """Say what is wrong with a run's own word: whether trying again can help."""
    if error is None:
        return []
    if not isinstance(error, ArchiverError):
        return [f"an error that is none of ours: {error!r}"]
    if expect is Expect.INTACT:
        return [f"it was to be archived, but the run said: {error}"]
    said = "worth retrying" if error.retryable else "final"
    return [] if error.retryable == (expect is Expect.RESUMED) else [f"the error calls itself {said}: {error}"]


def leaks(bench: Archiving, error: Exception | None, logged: list[str]) -> list[str]:
    """Say whether a secret is in what a run ended with, all that led to it included, or in what it logged."""
    told = "".join(traceback.format_exception(error)) if error else ""
    secrets = ("X-Amz-Signature", SECRET.partition("=")[2], bench.kit.token, f'"{bench.server.secret_key}"')
    leaking = [text for text in (told, *logged) if any(secret in text for secret in secrets)]
    return [f"a secret got out: {text[-300:]}" for text in leaking[:1]]


@contextmanager
def short_pauses() -> Iterator[None]:
    """Let nobody wait long before trying again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.retry.FIRST_PAUSE_S", PAUSE_S)
        patch.setattr("tasks.retry.LONGEST_PAUSE_S", 5 * PAUSE_S)
        patch.setattr("tasks.s3.caller.FIRST_CONTACT_S", FIRST_CONTACT_S)
        yield


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.kept: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(self.format(record))


@contextmanager
def logs() -> Iterator[list[str]]:
    """Keep what a run logs."""
    handler, level = _Kept(), LOG.level
    logging.getLogger().addHandler(handler)
    LOG.setLevel(logging.DEBUG)
    try:
        yield handler.kept
    finally:
        LOG.setLevel(level)
        logging.getLogger().removeHandler(handler)
