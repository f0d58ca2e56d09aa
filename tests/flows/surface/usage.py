"""How the commands are used: examples of command lines, and what each of them comes to.

It knows nothing of the parser: a command line either calls the flow with some parameters, or ends with an exit code.
"""

from __future__ import annotations

import inspect
import io
import os
import re
import shlex
import signal
import tempfile
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import uvicorn
from prefect import Flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.catalog import Query
from tasks.orchestration import server
from tests.flows.surface.examples import example, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
BAG = f"s3://bucket/pre/app/2026/11/20/{ID}/"
SETTINGS = {
    "CLOUDFLARE_API_TOKEN": "token",
    "CLOUDFLARE_ACCOUNT_ID": "account",
    "REALTIMEKIT_APP_ID": "app",
    "ARCHIVE_URL": "s3://bucket/pre",
    "ARCHIVE_COPY_URL": "s3://second/copy",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
HELP = ("-h", "--help")
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
OF_PYTHON = frozenset({"-m"})
"""What looks like an option of the command in its help text, and is none."""


@dataclass(frozen=True)
class Usage:
    """Command lines of one command."""

    accepted: tuple[str, ...]
    refused: tuple[str, ...]


USAGES = {
    "archive_recording": Usage(
        accepted=(
            ID,
            ID.upper(),
            f"{ID} --wait-timeout 5",
            f"{ID} --wait-timeout=5",
            f"--wait-timeout 5 {ID}",
            f"{ID} --wait-timeout 0",
            f"{ID} --wait-timeout 86400",
            f"{ID} --wait-timeout 5 --wait-timeout 6",
            f"{ID} --overwrite",
            f"--overwrite {ID}",
            f"--overwrite {ID} --wait-timeout 5",
            f"{ID} --accept-size",
            f"{ID} --partial",
            f"{ID} --no-session",
            f"{ID} --app-id one",
            f"--partial --accept-size --overwrite --wait-timeout=7 {ID}",
            f"--overwrite -- {ID}",
        ),
        refused=(
            "",
            "not-an-id",
            f"{ID} {ID}",
            f"{ID} --wait-timeout",
            f"{ID} --wait-timeout 86401",
            f"{ID} --wait-timeout -1",
            f"{ID} --wait-timeout=-1",
            f"{ID} --wait-timeout 5.5",
            f"{ID} --wait-timeout soon",
            f"{ID} --wait-timeout ''",
            f"{ID} --no-such-option",
            f"{ID} -x",
            f"{ID} --app-id '*'",
            f"{ID} --app-id a/b",
            f"{ID} overwrite",
        ),
    ),
    "sweep_recordings": Usage(
        accepted=(
            "",
            "--dry-run",
            "--limit 3",
            "--limit=0",
            "--limit 1000000",
            "--at-risk-hours 0",
            "--at-risk-hours 8784",
            "--invoked-within-hours 48",
            f"--meeting-id {ID}",
            "--meeting-id abcdef-ghijkl",
            "--meeting-id ''",
            "--app-id one",
            f"--app-id one --app-id=two --app-id {ID}",
            "--app-id=-one",
            "--app-id '*'",
            "--app-id one --app-id '*'",
            "--at-once 1",
            "--at-once 16",
            "--hand-out",
            "--hand-out --retry-minutes 5",
            "--retry-minutes 10080",
            "--dry-run --limit 2 --at-risk-hours 12 --invoked-within-hours 6 --at-once 2",
            "--sessions recorded",
            "--sessions all",
            "--sessions none",
        ),
        refused=(
            "more",
            "--limit",
            "--limit -1",
            "--limit 1000001",
            "--limit 1.5",
            "--at-risk-hours -1",
            "--at-risk-hours 8785",
            "--invoked-within-hours 8785",
            "--meeting-id 'a b'",
            f"--meeting-id {'x' * 65}",
            "--app-id ''",
            "--app-id a/b",
            "--app-id one two",
            f"--app-id {'x' * 65}",
            "--at-once 0",
            "--at-once 17",
            "--sessions some",
            "--sessions",
            "--retry-minutes 0",
            "--retry-minutes 10081",
            "--no-such-option",
        ),
    ),
    "audit_archive": Usage(
        accepted=(
            "",
            "--deep",
            "--no-deep",
            "--max-gigabytes 0",
            "--max-gigabytes 2.5",
            "--max-gigabytes 1000000",
            "--max-minutes 1",
            "--max-minutes=1200",
            "--within-days 3660",
            "--app-id one --app-id two",
            "--no-deep --max-gigabytes 1 --max-minutes 2 --within-days 3",
            "--of-copy --max-minutes 5",
        ),
        refused=(
            "more",
            "--max-gigabytes",
            "--max-gigabytes -0.1",
            "--max-gigabytes 1000000.1",
            "--max-gigabytes nan",
            "--max-gigabytes inf",
            "--max-minutes 0",
            "--max-minutes 1201",
            "--max-minutes 1.5",
            "--within-days 0",
            "--within-days 3661",
            "--app-id ''",
            "--app-id one two",
            "--no-such-option",
        ),
    ),
    "describe_recording": Usage(
        accepted=(BAG, BAG.rstrip("/"), f"-- {BAG}"),
        refused=("", f"{BAG} {BAG}", "s3://bucket/pre/", f"{BAG} --no-such-option", ID[:-1]),
    ),
    "archive_session": Usage(
        accepted=(
            ID,
            f"--peer-events {ID}",
            f"{ID} --no-uploads --no-captions",
            f"-- {ID}",
            f"{ID} --recorded-only",
            f"{ID} --app-id one",
        ),
        refused=(
            "",
            f"{ID} --app-id a/b",
            f"{ID} {ID}",
            "not-an-id",
            f"{ID} --no-peer-event",
            f"{ID} --no-such-option",
        ),
    ),
    "update_catalog": Usage(
        accepted=(
            "",
            "--rebuild",
            f"--archive-url {BAG}",
            f"--archive-url={BAG}",
            "--app-id one --app-id two",
            "--rebuild --app-id one",
        ),
        refused=("more", "--archive-url", "--app-id ''", "--app-id one two", "--rebuild=no", "--no-such-option"),
    ),
    "find_recordings": Usage(
        accepted=(
            "",
            "weekly",
            "weekly réunion",
            "--since 2026-11-20",
            "--since 2026-11 --until 2026-11",
            "--since=2026-11-20T09:30 --until=2026-11-20T10:30+02:00",
            "--meeting weekly --session abc --person ann --app-id one",
            "--min-duration 90",
            "--min-duration 1h30m --max-duration 2h",
            "--damaged",
            "--findings weekly",
            "-- --weekly",
        ),
        refused=(
            "--since",
            "--since yesterday",
            "--until 2026-13",
            "--until 9999-12-31",
            "--min-duration long",
            "--max-duration -1",
            "--damaged=no",
            "--no-such-option",
        ),
    ),
    "copy_archive": Usage(
        accepted=(
            "",
            "--compare",
            "--max-bags 10 --max-deletions=3",
            f"--replace {ID} --replace {ID.upper()}",
            "--app-id one --app-id two",
        ),
        refused=(
            "more",
            "--max-bags -1",
            "--max-bags",
            "--max-deletions many",
            "--replace not-an-id",
            "--app-id ''",
            "--delete",
        ),
    ),
    "restore_recording": Usage(
        accepted=(
            f"{ID} to",
            f"{ID} {ID.upper()} s3://bucket/prefix",
            f"{ID} --overwrite to --derived",
            f"--no-sessions --thaw 365 {ID} to",
            f"{ID} to --thaw 3 --thaw-tier bulk --wait-for-thaw 10080",
            "--since 2026-11 --until 2026-11-20 --meeting weekly --session abc --person ann --app-id one to",
            f"-- {ID} to",
            f"{ID} --link 2d",
            f"{ID} --link=7d --file data/video/a.mp4 --file recording.json",
            f"{ID} {ID} --link 30m",
        ),
        refused=(
            "",
            "to",
            ID,
            "not-an-id to",
            f"{ID} to --since 2026-11",
            "--since yesterday to",
            "--since 2026-11",
            f"{ID} to --thaw 366",
            f"{ID} to --thaw",
            f"{ID} to --thaw-tier fast",
            f"{ID} to --wait-for-thaw 10081",
            f"{ID} to --file data/video/a.mp4",
            f"{ID} --link",
            f"{ID} --link 0d",
            f"{ID} --link 8d",
            f"{ID} --link 169h",
            f"{ID} --link soon",
            f"{ID} --link 2d --since 2026-11",
            f"{ID} to --link 2d",
            "--link 2d",
            f"{ID} to --no-such-option",
        ),
    ),
    "expire_archive": Usage(
        accepted=(
            "",
            "--delete --max-deletions 5",
            f"--recording-id {ID} --recording-id {ID.upper()} --reason 'asked for' --by Kim",
            "--participant-id user-1 --participant-name 'Mary Ann' --reason r --by b --delete",
        ),
        refused=(
            "more",
            "--delete=no",
            "--no-delete",
            "--max-deletions 0",
            "--max-deletions 100001",
            "--recording-id not-an-id",
            "--participant-id ''",
            "--no-such-option",
        ),
    ),
    "library": Usage(
        accepted=("", "--host ::1", "--host=localhost", "--port 80", "--port=0", "--port 65535 --host 127.0.0.2"),
        refused=("more", "--host", "--host 0.0.0.0", "--port", "--port -1", "--port 65536", "--no-such-option"),
    ),
    "doctor": Usage(
        accepted=("", "--json", "--json --app-id one --app-id two"),
        refused=("more", "--no-such-option", "--json --json=no", "--app-id a/b"),
    ),
    "webhook": Usage(
        accepted=(
            "",
            "--host 0.0.0.0",
            "--host=::1",
            "--port 80",
            "--port=0",
            "--port 65535 --host localhost",
            "--metrics-port 0 --metrics-host ::1",
            "--app-id one --app-id two",
            "register --app-id one https://hooks.example.com/webhook",
            "register https://hooks.example.com/webhook",
            "register https://hooks.example.com/webhook --name archive",
            "register --remove https://hooks.example.com/webhook",
            "register --list",
        ),
        refused=(
            "more",
            "--host",
            "--port",
            "--port -1",
            "--port 65536",
            "--port http",
            "--metrics-port -1",
            "--metrics-port 65536",
            "--metrics-host",
            "--no-such-option",
            "--port 80 register",
            "register --no-such-option",
            "--app-id '*'",
            "register --list --app-id a/b",
            "register http://hooks.example.com/webhook",
            "register https://hooks.example.com/webhook?token=1",
            "register https://hooks.example.com/a https://hooks.example.com/b",
            "register https://hooks.example.com/webhook --name",
        ),
    ),
    "worker": Usage(
        accepted=("", "--pool other --limit 1 --name one --health-port 8080", "--limit 1000", "--health-port 0"),
        refused=("more", "--limit 0", "--limit 1001", "--limit", "--health-port 65536", "--pool", "--no-such-option"),
    ),
    "deploy": Usage(accepted=("",), refused=("more", "--no-such-option")),
    "alarms": Usage(
        accepted=(
            "",
            "--to prefect:slack-webhook/one",
            "--to -",
            "--sweep-within 20",
            "--sweep-within 720",
            "--sweep-within 0",
            "--test",
            "--list",
            "--remove",
            "--to https://hooks.example.com/one --test --sweep-within 60",
        ),
        refused=(
            "more",
            "--to",
            "--sweep-within 19",
            "--sweep-within 721",
            "--sweep-within soon",
            "--list --remove",
            "--list --test",
            "--remove --test",
            "--no-such-option",
        ),
    ),
}
AT_THE_DOOR = frozenset({"register", "work", "alarms", "_deploy"})
"""Functions at which the work of a command without a flow begins."""


def usage_of(command: str) -> dict[str, Any]:
    """Return what becomes of the examples, and which options the help names."""
    module, usage = import_module(f"flows.{command}"), USAGES[command]
    with _at_the_door(module):
        helped = {line: _came_to(module, line) for line in HELP}
        came = {line: _came_to(module, line)[0] for line in (*usage.accepted, *usage.refused)}
    (text,) = {printed for _, printed in helped.values()}
    return {
        "options": sorted(set(OPTION.findall(text)) - OF_PYTHON),
        "accepted": {line: came[line] for line in usage.accepted},
        "ends": {line: code for line, (code, _) in helped.items()} | {line: came[line] for line in usage.refused},
    }


def _came_to(module: Any, line: str) -> tuple[Any, str]:
    """Return what a command line comes to, and what it prints on stdout.

    Returns:
        The parameters by name that the flow is called with, or the exit code if the command ends before it begins.
    """
    stdout, came = io.StringIO(), None
    with redirect_stdout(stdout), redirect_stderr(io.StringIO()):
        try:
            came = module.main(shlex.split(line))
        except _Begun as begun:
            came = begun.parameters
        except SystemExit as ended:
            came = ended.code
    printed = stdout.getvalue()
    if hasattr(module, "examine") and came == 0 and line not in HELP:
        came = {"json": printed.startswith("{")}  # the doctor calls no flow on a terminal
    assert came != 2 or not printed, "what a script reads is empty after wrong usage"
    return came, printed


def set_up(patch: pytest.MonkeyPatch, **different: str) -> None:
    """Set the usual settings, and no certificates of this machine, as to load these takes longer than all else."""
    for name in [name for name in os.environ if name.endswith("_CA_BUNDLE") or name.startswith("SSL_CERT_")]:
        patch.delenv(name)
    for name, value in (SETTINGS | different).items():
        patch.setenv(name, value)


class _Begun(BaseException):
    """A command has read its arguments, and begins."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__()
        self.parameters = parameters


def _begins(function: Callable[..., object]) -> Callable[..., object]:
    """Return a function of the same signature that gets no further than to its parameters."""

    @wraps(function)
    def begin(**parameters: Any) -> NoReturn:
        raise _Begun(**parameters)

    return begin


@contextmanager
def _at_the_door(module: Any) -> Iterator[None]:
    """Let a command get no further than to where its flow, its server or its checks begin."""

    def call(flow: Flow[..., Any], *positional: Any, **named: Any) -> NoReturn:
        bound = inspect.signature(flow.fn).bind(*positional, **named)
        bound.apply_defaults()
        raise _Begun(**bound.arguments)

    def serve(server: uvicorn.Server) -> NoReturn:
        raise _Begun(host=server.config.host, port=server.config.port)

    def link(recording_ids: tuple[str, ...], lifetime_s: int, paths: tuple[str, ...]) -> NoReturn:
        raise _Begun(recording_ids=recording_ids, lifetime_s=lifetime_s, paths=paths)

    def search(query: Query) -> NoReturn:
        default = asdict(Query())
        raise _Begun(**{name: str(value) for name, value in asdict(query).items() if value != default[name]})

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.chdir(folder)
        set_up(patch)
        patch.setattr(Flow, "__call__", call)
        patch.setattr(uvicorn.Server, "run", serve)
        patch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
        patch.setattr(server, "prefect_at_hand", nullcontext)
        for name in AT_THE_DOOR & set(dir(module)):
            patch.setattr(module, name, _begins(getattr(module, name)))
        if hasattr(module, "links_to"):
            patch.setattr(module, "links_to", link)
        if hasattr(module, "find_rows"):
            patch.setattr(module, "find_rows", lambda _, query: search(query))
        if hasattr(module, "examine"):
            sound = example(result_of(module.doctor), ok=True)
            patch.setattr(module, "examine", lambda *_: sound)
        try:
            with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
                yield
        finally:
            for number, answer in before.items():
                signal.signal(number, answer)
