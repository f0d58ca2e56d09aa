"""A store that calls a session expired while recordings are on their way: new credentials come a moment later."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.s3.client import new_s3_client
from tests.torture.scenario import Expect, Outcome, Scenario, Verdict, judged
from tests.torture.store.faults import refusal
from tests.torture.store.passing import STAGES
from tests.torture.store.trouble import (
    CONNECTIONS,
    environment_of,
    error_of,
    leaks,
    logs,
    proxy_of,
    short_pauses,
    some_recording,
    wrong_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standins.stores import Store
    from tests.support.archiving import Archiving
    from tests.torture.store.passing import Stage
    from tests.torture.store.proxy import Fault
    from tests.torture.store.requests import StoreRequest

OLD, NEW = "the-old-session", "the-new-session"
REFUSALS = 3
"""Requests that are refused before there are new credentials."""


@dataclass
class Session:
    """A file of credentials, and the rule by which the store takes the old ones only up to a request."""

    file: Path
    server: Store
    stage: Stage
    code: str
    refused: int = field(default=0, init=False)
    expired: bool = field(default=False, init=False)

    def write(self, token: str) -> None:
        """Write the file."""
        self.file.write_text(
            f"[default]\naws_access_key_id = {self.server.access_key}\n"
            f"aws_secret_access_key = {self.server.secret_key}\naws_session_token = {token}\n"
        )

    def __call__(self, request: StoreRequest) -> Fault | None:
        """Refuse a request of the old session once that has expired."""
        self.expired = self.expired or self.stage.where(request)
        if not self.expired or request.headers.get("x-amz-security-token") != OLD:
            return None
        self.refused += 1
        if self.refused == REFUSALS:
            self.write(NEW)
        return refusal(400, self.code)


@contextmanager
def session(server: Store, stage: Stage, code: str) -> Iterator[Session]:
    """Let clients that are made from now on find their credentials in a file."""
    with tempfile.TemporaryDirectory(prefix="session-") as folder, pytest.MonkeyPatch.context() as patch:
        kept = Session(Path(folder, "credentials"), server, stage, code)
        kept.write(OLD)
        for name, value in environment_of(server).items():
            patch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(kept.file))
        patch.setattr("tasks.s3.credentials.MIN_RELOAD_INTERVAL_S", 0.0)
        yield kept


def _met(stage: Stage, code: str, bench: Archiving) -> Outcome:
    began, proxy, recording = time.monotonic(), proxy_of(bench.server), some_recording(bench, stage.parts)
    with short_pauses(), logs() as logged, proxy, session(bench.server, stage, code) as kept:
        client = new_s3_client(CONNECTIONS)
        stage.before(bench, recording, client)
        proxy.start_over(kept)
        error = error_of(bench, recording, client, patience_s=20.0)
        verdict, failures = judged(bench, recording, error), wrong_words(Expect.INTACT, error)
        failures += leaks(bench, error, logged)
        failures += [] if kept.refused >= REFUSALS else [f"{kept.refused} requests were refused"]
        proxy.start_over()
    failures += [f"the proxy failed: {defect!r}" for defect in proxy.errors]
    left = tuple(bench.left_over(recording))
    seconds, finished = time.monotonic() - began, verdict is Verdict.INTACT
    return Outcome(verdict, finished, str(error or ""), left, 0, seconds, tuple(failures))


def _scenario(stage: Stage, code: str, *, short: bool) -> Scenario:
    return Scenario(
        f"{stage.name}-with-an-{code.lower()}",
        f"the session expires ({stage.name}, {code}), and new credentials come a moment later",
        Expect.INTACT,
        lambda bench, _seed: _met(stage, code, bench),
        short,
    )


SCENARIOS = tuple(
    _scenario(stage, code, short=(stage.name, code) in {("part", "ExpiredToken"), ("head", "ExpiredToken")})
    for stage in STAGES
    for code in ("ExpiredToken", "InvalidToken")
)
