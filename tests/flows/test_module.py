"""`python -m flows.archive_recording` as a person or a script meets it: exit code, stdout, stderr, bars."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from flows.archive_recording import main
from tests.flows.world import MIB, PROJECT, World, eventually
from tests.standins.realtimekit import MediaSource, SyntheticContent

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = (
    "archive_recording", "sweep_recordings", "audit_archive", "describe_recording", "doctor", "webhook", "demo",
)  # fmt: skip
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
BAR = re.compile(r"\d+%\|")
A_TIME = re.compile(r"^\d\d:\d\d:\d\d")


def assert_told_plainly(stdout: str, stderr: str) -> None:
    assert stdout == ""
    assert "Traceback" not in stderr
    assert not BAR.search(stderr)


def test_it_prints_one_line_of_json_and_all_else_to_stderr(world: World) -> None:
    recording = world.add(statuses=["UPLOADING", "UPLOADED"])
    first = world.run(recording.id)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("\n") == 1
    result = json.loads(first.stdout)
    assert result["recording_id"] == recording.id
    assert not result["already_archived"]
    assert "waiting for UPLOADED" in first.stderr
    assert not BAR.search(first.stderr)

    (flow_run,) = world.flow_runs(recording)
    assert flow_run["state"]["type"] == "COMPLETED"
    (event,) = eventually(lambda: world.events(recording))
    later = {"already_archived", "session_url", "session_missing", "session_failure"}
    assert event["payload"] == {name: value for name, value in result.items() if name not in later}

    second = world.run(recording.id)
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout) == result | {"already_archived": True, "lag_s": None}


def test_wrong_usage_is_2_and_told_before_anything_begins(either: World) -> None:
    nothing_set: dict[str, str | None] = {name: None for name in either.settings() if not name.startswith("AWS_")}
    run = either.run(UNKNOWN_ID, **nothing_set)
    assert run.returncode == 2, run.stderr
    assert_told_plainly(run.stdout, run.stderr)
    for name in ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "REALTIMEKIT_APP_ID", "ARCHIVE_URL"):
        assert f"{name}: is missing" in run.stderr
    assert "flow run" not in run.stderr


def test_a_bad_id_is_2(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["not-an-id"])
    assert ended.value.code == 2
    stdout, stderr = capsys.readouterr()
    assert_told_plainly(stdout, stderr)
    assert stderr == (
        "python -m flows.archive_recording: argument RECORDING_ID: 'not-an-id' is not of the right form. See --help.\n"
    )
    assert here.kit.api_requests == []


@pytest.mark.parametrize(
    "arguments", [[], [UNKNOWN_ID, "--wait-timeout", "86401"], [UNKNOWN_ID, "--wait-timeout", "-1"]]
)
def test_bad_arguments_are_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("dotenv", "environment", "problem"),
    [
        ("A=b".encode("utf-16"), {}, ".env: cannot be read (UnicodeDecodeError)"),
        (
            b"",
            {"PREFECT_LOGGING_LEVEL": "leak-canary", "PREFECT_API_URL": "http://127.0.0.1:9/api"},
            "PREFECT_LOGGING_LEVEL: Input should be 'DEBUG'",
        ),
        (
            b"PREFECT_API_URL=http://127.0.0.1:9/api",
            {"PREFECT_LOGGING_LEVEL": "leak-canary"},
            "PREFECT_LOGGING_LEVEL: Input should be 'DEBUG'",
        ),
    ],
)
def test_settings_that_prefect_cannot_even_be_loaded_with_are_2(
    tmp_path: Path, dotenv: bytes, environment: dict[str, str], problem: str
) -> None:
    (tmp_path / ".env").write_bytes(dotenv)
    command, given = [sys.executable, "-m", "flows.doctor"], os.environ | {"PYTHONPATH": str(PROJECT)} | environment
    run = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
    assert run.returncode == 2, run.stderr
    assert_told_plainly(run.stdout, run.stderr)
    assert_last_word(run.stderr, f"The settings are not usable (environment or .env file):\n  - {problem}")
    assert "leak" not in run.stderr.lower()


def test_neither_locale_nor_streams_nor_a_dead_proxy_keep_a_recording_away(either: World) -> None:
    world = either
    name = "Ann\u2019s \u4f1a\u8b70.mp4"
    recording = world.add(details={"output_file_name": name})
    dead = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = f"exec {sys.executable} -m flows.archive_recording {recording.id} >/dev/full 2>&-"
    given = world.environment(NO_PROXY=None, no_proxy=None, PYTHONIOENCODING=None, **locale, **dead)
    assert subprocess.run(["/bin/sh", "-c", command], cwd=world.folder, env=given, check=False).returncode == 0
    assert f"data/video/{name}" in world.objects()


@pytest.mark.parametrize("module", COMMANDS)
def test_help_is_of_letters_that_every_terminal_has(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        import_module(f"flows.{module}").main(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.isascii()


FAILURES = {
    "no bucket": ({"ARCHIVE_URL": "s3://no-such-bucket"}, "NoSuchBucket"),
    "wrong keys": ({"AWS_SECRET_ACCESS_KEY": "another"}, "AWS_SECRET_ACCESS_KEY"),
    "dead store": ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "AWS_ENDPOINT_URL_S3"),
    "dead API": ({"CLOUDFLARE_BASE_URL": "http://127.0.0.1:9"}, "Cloudflare"),
}
OF_A_PROCESS = {
    "wrong token": ({"CLOUDFLARE_API_TOKEN": "another"}, "HTTP 401"),
    "dead Prefect server": ({"PREFECT_API_URL": "http://127.0.0.1:9/api"}, "PREFECT_API_URL"),
}


@pytest.mark.parametrize(("changes", "told"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_1_and_its_last_paragraph_says_what_to_do(
    either_here: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    told: str,
) -> None:
    for name, value in (changes | {"TRANSFER_PATIENCE": "1"}).items():
        monkeypatch.setenv(name, value)
    assert main([either_here.add().id]) == 1
    stdout, stderr = capsys.readouterr()
    assert_told_plainly(stdout, stderr)
    assert_last_word(stderr, told)
    assert either_here.objects() == {}


@pytest.mark.parametrize(("changes", "told"), OF_A_PROCESS.values(), ids=OF_A_PROCESS)
def test_a_failed_process_says_no_more_than_that(world: World, changes: dict[str, str | None], told: str) -> None:
    run = world.run(world.add().id, **changes)
    assert run.returncode == 1, run.stderr
    assert_told_plainly(run.stdout, run.stderr)
    assert_last_word(run.stderr, told)
    assert world.objects() == {}


def assert_last_word(stderr: str, told: str) -> None:
    last_word = stderr.rpartition("\n\n")[2]
    assert told in last_word
    assert not A_TIME.match(last_word)


def test_on_a_terminal_every_file_has_a_bar(either: World) -> None:
    world = either
    recording = world.add_large(audio=MediaSource(SyntheticContent(3 * MIB), "audio/mpeg"))
    world.kit.bandwidth_per_connection = 8 * MIB
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    with world.running(recording.id, stderr=theirs) as process:
        os.close(theirs)
        shown = _read_all(ours)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 0, shown
    assert json.loads(stdout)["bytes"] == recording.video.size + 3 * MIB  # type: ignore[union-attr]
    for path in (f"data/video/{recording.video_name}", f"data/audio/{recording.audio_name}"):
        assert re.search(rf"{re.escape(path)}: +100%\|", shown), shown
    assert not re.search(r"left$", shown, re.MULTILINE)


def _read_all(terminal: int) -> str:
    """Read what a process writes to its terminal, until it has ended."""
    read = b""
    try:
        while chunk := os.read(terminal, 65_536):
            read += chunk
    except OSError:  # Linux's end of file
        pass
    finally:
        os.close(terminal)
    return read.decode()
