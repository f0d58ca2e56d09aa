"""Commands that are started in a bad way: locale, streams, proxies, certificates, secrets, dead addresses."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support import command_child
from tests.torture.runs.processes import PATIENCE_S, PROJECT
from tests.torture.scenario import Expect, Outcome, Scenario, Verdict, judged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

DONE, FAILED, SETTINGS = 0, 1, 2
"""Exit codes."""
SECRET = "leak-canary"
"""Is in no value that may be shown."""
NAME = "Ann\u2019s \u4f1a\u8b70.mp4"
DEAD = "http://127.0.0.1:9"
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True)
class Trouble:
    """One thing that is wrong with a command's environment."""

    name: str
    """In kebab-case, and unique."""
    what: str
    code: int = DONE
    """The exit code that a command must end with."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """`{kit}` is the API's port."""
    redirection: str = ""
    """As a shell does it."""
    told: str = ""
    """What stderr must say."""
    short: bool = False

    @property
    def expect(self) -> Expect:
        """What must come of it."""
        return Expect.INTACT if self.code == DONE else Expect.RESUMED


def scenario_of(trouble: Trouble) -> Scenario:
    """Return the scenario of a trouble."""
    run = lambda bench, seed: _met(trouble, bench, seed)  # noqa: E731 - it is two words
    return Scenario(trouble.name, trouble.what, trouble.expect, run, trouble.short, ("rclone",))


def _met(trouble: Trouble, bench: Archiving, seed: int) -> Outcome:
    began = time.monotonic()
    source = MediaSource(SyntheticContent(20_000, seed=seed))
    recording = bench.add(source, details={"output_file_name": NAME})
    ended = _ended(trouble, bench, recording)
    verdict = judged(bench, recording, None if ended.returncode == DONE else ended.stderr)
    failures = _wrong_with(trouble, ended)
    finished = verdict is Verdict.INTACT
    if finished and f"data/video/{NAME}" not in bench.names(recording):
        failures.append("the file is called otherwise than on other machines")
    if ended.returncode != DONE:
        later = _ended(Trouble("", ""), bench, recording)
        finished = later.returncode == DONE and judged(bench, recording, None) is Verdict.INTACT
    left_over = tuple(bench.left_over(recording))
    return Outcome(verdict, finished, ended.stderr[-500:], left_over, 0, time.monotonic() - began, tuple(failures))


def _ended(trouble: Trouble, bench: Archiving, recording: StandInRecording) -> subprocess.CompletedProcess[str]:
    kit, port = bench.kit, bench.kit.base_url.rpartition(":")[2].partition("/")[0]
    setup = bench.setup()
    settings = {
        "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "CLOUDFLARE_API_TOKEN": kit.token,
        "CLOUDFLARE_ACCOUNT_ID": kit.account_id, "REALTIMEKIT_APP_ID": kit.app_id, "CLOUDFLARE_BASE_URL": kit.base_url,
        "ARCHIVE_URL": f"s3://{setup.bucket}/{setup.prefix}", "TRANSFER_PATIENCE": "1", **bench.server.environment(),
    }  # fmt: skip
    changes = {name: value.replace("{kit}", port) for name, value in trouble.environment.items()}
    # The shell's own code is that of the command, be there a pipe after it or not.
    command = f'set -o pipefail; "$0" -m {command_child.__name__} {recording.id} {trouble.redirection}'
    return subprocess.run(
        ["bash", "-c", command, sys.executable],  # noqa: S607 - wherever it is
        cwd=PROJECT, env=settings | changes, stdin=subprocess.DEVNULL,
        capture_output=True, encoding="utf-8", errors="replace", timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def _wrong_with(trouble: Trouble, ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Say in sentences what is wrong with how a command ended, besides what is in the archive."""
    failures = []
    if ended.returncode != trouble.code:
        failures.append(f"it ended with {ended.returncode}, not {trouble.code}: {ended.stderr[-500:]}")
    if "Traceback" in ended.stderr:
        failures.append(f"a traceback: {ended.stderr[-1000:]}")
    if SECRET in ended.stderr + ended.stdout:
        failures.append("it showed a secret")
    if trouble.told not in ended.stderr:
        failures.append(f"it did not say {trouble.told!r}, but: {ended.stderr[-500:]}")
    if not ended.stdout.isascii():
        failures.append("its result is not of letters that all terminals have")
    return failures


TROUBLES = (
    Trouble("ascii-output", "stdout and stderr take ASCII alone", environment={"PYTHONIOENCODING": "ascii"}),
    Trouble("latin-1-output", "stdout and stderr take Latin-1 alone", environment={"PYTHONIOENCODING": "latin-1"}),
    Trouble("c-locale", "the locale is C, without UTF-8", environment=C_LOCALE, short=True),
    Trouble("stdout-full", "the disk of stdout is full", redirection=">/dev/full", told="could not be written"),
    Trouble("stderr-full", "the disk of stderr is full", redirection="2>/dev/full"),
    Trouble("stdout-closed", "stdout is closed", redirection=">&-"),
    Trouble("stderr-closed", "stderr is closed", redirection="2>&-"),
    Trouble("all-closed", "stdin, stdout and stderr are closed", redirection="<&- >&- 2>&-", short=True),
    Trouble("pipe-broken", "nobody reads stdout", redirection="| true"),
    Trouble("all-broken", "nobody reads stdout and stderr", redirection="2>&1 | true"),
    Trouble("proxies-dead", "all proxies are dead, and loopback is not excepted",
            environment=dict.fromkeys(PROXIES, DEAD)),
    Trouble("no-proxy-with-brackets", "NO_PROXY has an address in brackets",
            environment={"HTTP_PROXY": DEAD, "NO_PROXY": "[::1],example.com"}),
    Trouble("no-proxy-with-a-network", "NO_PROXY has a network of IPv6",
            environment={"HTTPS_PROXY": DEAD, "no_proxy": "fd00::/8"}),
    Trouble("proxy-password", "a proxy's password has a sign that is not encoded", SETTINGS,
            {"HTTP_PROXY": f"http://user:{SECRET}#1@127.0.0.1:9"}, told="HTTP_PROXY: must be like", short=True),
    Trouble("proxy-socks", "the proxy is one of SOCKS", SETTINGS, {"ALL_PROXY": f"socks5://u:{SECRET}@127.0.0.1:9"},
            told="ALL_PROXY: is a SOCKS proxy"),
    Trouble("ca-nowhere", "the file of trusted certificates is not there", SETTINGS,
            {"SSL_CERT_FILE": "/nowhere.pem"}, told="SSL_CERT_FILE: leads to no file"),
    Trouble("ca-empty", "the file of trusted certificates is empty", SETTINGS,
            {"AWS_CA_BUNDLE": os.devnull}, told="AWS_CA_BUNDLE: leads to no file"),
    Trouble("token-ends-in-a-newline", "a session's token ends in a newline",
            environment={"AWS_SESSION_TOKEN": f"{SECRET}\n"}),
    Trouble("token-holds-a-newline", "a session's token holds a newline", SETTINGS,
            {"AWS_SESSION_TOKEN": f"{SECRET}\n{SECRET}"}, told="AWS_SESSION_TOKEN: must be printable ASCII"),
    Trouble("key-holds-a-blank", "a key holds a blank", SETTINGS, {"AWS_SECRET_ACCESS_KEY": f"{SECRET} 1"},
            told="AWS_SECRET_ACCESS_KEY: must be printable ASCII"),
    Trouble("api-nowhere", "nobody listens where the API should be", FAILED,
            {"CLOUDFLARE_BASE_URL": f"{DEAD}/client/v4"}, told="Cloudflare's API cannot be reached"),
    Trouble("api-without-tls", "the API's URL begins with https, and its port does not speak it", FAILED,
            {"CLOUDFLARE_BASE_URL": "https://127.0.0.1:{kit}/client/v4"}, told="does not speak TLS"),
    Trouble("store-nowhere", "nobody listens where the store should be", FAILED, {"AWS_ENDPOINT_URL_S3": DEAD},
            told="AWS_ENDPOINT_URL_S3"),
)  # fmt: skip
SCENARIOS = tuple(scenario_of(trouble) for trouble in TROUBLES)
