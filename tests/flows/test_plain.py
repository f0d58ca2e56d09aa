"""Without a Prefect server, commands start none and import nothing of Prefect's: the same work, plainly."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from flows import archive_recording, audit_archive, describe_recording, sweep_recordings
from tests.flows.test_demo import processes_in
from tests.standins import media
from tests.standins.realtimekit import Answer, MediaSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.flows.world import World

SOON_S = 5.0
"""For the first request, on a machine that has other things to do; half a second is usual."""
COMMANDS: dict[str, list[str]] = {
    "archive_recording": ["182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"],
    "archive_session": ["182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"],
    "sweep_recordings": ["--dry-run"],
    "audit_archive": [],
    "describe_recording": ["s3://bucket/pre/app/2026/11/20/182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e/"],
    "doctor": ["--json"],
    "update_catalog": [],
    "find_recordings": [],
    "expire_archive": [],
    "restore_recording": ["182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e", "to"],
    "copy_archive": ["--compare"],
}
USAGES = {module: ["--no-such-option"] for module in [*COMMANDS, "webhook"]} | {"archive_recording": ["not-an-id"]}


def run(world: World, module: str, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-m", f"flows.{module}", *arguments]
    environment = world.environment(**changes)
    return subprocess.run(command, cwd=world.folder, env=environment, capture_output=True, text=True, check=False)


ONE_AFTER_THE_OTHER = """
import json, os, runpy, sys
import tasks.command
for module, arguments in json.loads(sys.argv[1]).items():
    if os.fork():
        os.wait()
        continue
    for number, stream in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{module}.{stream}", os.O_CREAT | os.O_WRONLY), number)
    sys.argv, code = [module, *arguments], 0
    try:
        runpy.run_module(f"flows.{module}", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    with open(f"{module}.json", "w") as ends:
        json.dump([code, [name for name in sys.modules if name.partition(".")[0] == "prefect"]], ends)
    os._exit(0)
"""
"""A program that runs commands in processes of their own, forked from one that has imported what all commands need."""


def run_all(world: World, commands: dict[str, list[str]], **changes: str) -> Iterator[tuple[str, int, str, str]]:
    """Run commands to their ends, and yield each one's name, exit code, stdout and stderr; none imports Prefect."""
    command = [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(commands)]
    subprocess.run(command, cwd=world.folder, env=world.environment(**changes), check=True)
    for module in commands:
        code, of_prefect = json.loads((world.folder / f"{module}.json").read_text())
        assert of_prefect == [], module
        stdout, stderr = ((world.folder / f"{module}.{stream}").read_text() for stream in ("out", "err"))
        yield module, code, stdout, stderr


def test_a_command_imports_nothing_of_prefects(plain: World) -> None:
    for module, code, _, stderr in run_all(plain, COMMANDS, TRANSFER_PATIENCE="0.1", ARCHIVE_COPY_URL="s3://second"):
        assert code in {0, 1}, (module, stderr)


def test_wrong_usage_is_one_line_and_takes_no_prefect_either(plain: World) -> None:
    server = "http://127.0.0.1:9/api"  # it would be Prefect's to find out that nobody answers there
    for module, code, stdout, stderr in run_all(plain, USAGES, PREFECT_API_URL=server):
        assert (code, stdout) == (2, ""), module
        (line,) = stderr.splitlines()
        assert line.startswith(f"python -m flows.{module}: ")
        assert line.endswith(" See --help.")


def test_a_recording_is_archived_by_one_process_that_listens_to_nobody(plain: World) -> None:
    recording, began = plain.add_large(), time.monotonic()
    first: list[float] = []
    plain.kit.on_api_request = lambda _: first.append(time.monotonic() - began)
    with plain.gate(passing=2) as gate, plain.running(recording.id) as process:
        assert gate.reached.wait(30)
        running = psutil.Process(process.pid)
        assert running.children(recursive=True) == []
        assert [line for line in running.net_connections() if line.status == psutil.CONN_LISTEN] == []
        gate.opened.set()
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["recording_id"] == recording.id
    assert re.search(r"^\d\d:\d\d:\d\d\.\d{3} \| INFO    \| Archived: s3://", stderr, re.MULTILINE)
    assert first[0] < SOON_S


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_killed_leaves_no_process(plain: World, number: signal.Signals) -> None:
    with plain.gate(passing=2) as gate, plain.running(plain.add_large().id) as process:
        assert gate.reached.wait(30)
        assert processes_in(plain.folder)
        process.send_signal(number)
        assert process.wait(30) == -number
    assert processes_in(plain.folder) == []


@pytest.mark.parametrize("module", ["archive_recording", "doctor"])
def test_neither_a_home_nor_a_database_is_needed(plain: World, module: str) -> None:
    recording = plain.add(invoked_time=datetime.now(UTC) - timedelta(hours=1))
    arguments = [recording.id] if module == "archive_recording" else ["--json"]
    nowhere = {"HOME": "/proc/nowhere", "PREFECT_HOME": "/proc/nowhere", "PREFECT_SERVER_EPHEMERAL_ENABLED": "false"}
    done = run(plain, module, *arguments, **nowhere)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)


def test_a_server_that_is_named_in_a_file_and_does_not_answer_is_no_reason_to_run_plainly(plain: World) -> None:
    (plain.folder / "prefect.toml").write_text('[api]\nurl = "http://127.0.0.1:9/api"\n')
    done = plain.run(plain.add().id, PREFECT_CLIENT_MAX_RETRIES="0")
    assert done.returncode == 1
    assert "PREFECT_API_URL" in done.stderr
    assert plain.objects() == {}


def test_an_empty_variable_hides_a_server_from_prefect_and_the_command_runs_plainly(plain: World) -> None:
    (plain.folder / ".env").write_text("PREFECT_API_URL=http://127.0.0.1:9/api\n")
    done = plain.run(plain.add().id, PREFECT_API_URL="")
    assert done.returncode == 0, done.stderr


def test_a_stage_is_run_again_after_errors_that_are_worth_it(
    plain_here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tasks.engine.RETRY_DELAYS_S", [0.0, 0.01])
    monkeypatch.setenv("TASK_RETRIES", "3")
    monkeypatch.setenv("TRANSFER_PATIENCE", "0.2")
    failures: list[Any] = [Answer(503)] * 3
    plain_here.kit.api_faults = lambda _: failures.pop() if failures else None
    assert archive_recording.main([plain_here.add().id]) == 0
    stderr = capsys.readouterr().err
    assert re.findall(r"Stage 'fetch details' failed: retry (\d of 3) in", stderr) == ["1 of 3", "2 of 3", "3 of 3"]


def test_an_error_that_is_final_is_met_once(plain_here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_RETRIES", "3")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "another")
    assert archive_recording.main([plain_here.add().id]) == 1
    assert len(plain_here.kit.api_requests) == 1


def test_a_log_level_that_is_none_is_wrong_usage(
    plain_here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "leak")
    assert archive_recording.main([plain_here.add().id]) == 2
    stderr = capsys.readouterr().err
    assert "PREFECT_LOGGING_LEVEL: must be one of DEBUG, INFO" in stderr
    assert "leak" not in stderr


def test_a_sweep_archives_what_it_can_and_reports_the_rest(
    plain_here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, broken = plain_here.add(), plain_here.add(file_size=1)
    assert sweep_recordings.main([]) == 1
    stdout, stderr = capsys.readouterr()
    swept = json.loads(stdout)
    assert [one["recording_id"] for one in swept["archived"]] == [whole.id]
    assert [one["recording_id"] for one in swept["failed"]] == [broken.id]
    assert f"1 failed: {broken.id}" in stderr
    assert "Traceback" not in stderr


def test_to_hand_out_takes_a_server(plain_here: World, capsys: pytest.CaptureFixture[str]) -> None:
    plain_here.add()
    assert sweep_recordings.main(["--hand-out"]) == 1
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert "that needs a Prefect server, and none is configured (PREFECT_API_URL)" in stderr
    assert plain_here.kit.api_requests == []


def test_an_audit_and_a_description_need_no_server(plain_here: World, capsys: pytest.CaptureFixture[str]) -> None:
    recording = plain_here.add(MediaSource(media.video_mp4()), duration=10.7)
    assert archive_recording.main([recording.id]) == 0
    archive_url = json.loads(capsys.readouterr().out)["archive_url"]
    assert audit_archive.main([]) == 0
    assert json.loads(capsys.readouterr().out)["damaged"] == []
    assert describe_recording.main([archive_url]) == 0
    stdout, stderr = capsys.readouterr()
    assert json.loads(stdout)["files"]
    assert "Described: s3://" in stderr


def metrics_in(folder: Path) -> dict[str, float]:
    """Return the metrics in all files of a folder, by name."""
    texts = [path.read_text() for path in folder.glob("*.prom")]
    return {sample.name: sample.value for text in texts for metric in parse(text) for sample in metric.samples}


def test_the_figures_of_sweep_and_audit_are_in_files_for_prometheus(
    plain_here: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "collector"
    folder.mkdir()
    monkeypatch.setenv("METRICS_FOLDER", str(folder))
    now = datetime.now(UTC)
    recording = plain_here.add(invoked_time=now - timedelta(hours=1), duration=60)
    assert sweep_recordings.main(["--dry-run"]) == 0
    assert sweep_recordings.main(["--meeting-id", "abcdef-ghijkl"]) == 0
    assert list(folder.iterdir()) == [], "nothing was done, or not with all recordings"
    assert sweep_recordings.main([]) == 0
    assert audit_archive.main([]) == 0
    assert sorted(path.suffix for path in folder.iterdir()) == [".prom", ".prom"]
    metrics = metrics_in(folder)
    assert metrics["realtimekit_sweep_archived_recordings"] == metrics["realtimekit_audit_covered_recordings"] == 1
    assert metrics["realtimekit_sweep_archived_bytes"] == 5000 < metrics["realtimekit_audit_read_bytes"]
    assert 50 * 60 <= metrics["realtimekit_sweep_lag_p95_seconds"] < 70 * 60
    assert now.timestamp() - 1 <= metrics["realtimekit_sweep_last_completed_timestamp_seconds"] <= time.time()
    assert recording.id not in "".join(path.read_text() for path in folder.iterdir())

    plain_here.add(invoked_time=now - timedelta(days=6, hours=20), duration=0, file_size=1)
    assert sweep_recordings.main([]) == 1
    metrics = metrics_in(folder)
    counts = [metrics[f"realtimekit_sweep_{name}_recordings"] for name in ("at_risk", "failed", "archived")]
    assert (counts, metrics["realtimekit_sweep_already_archived_recordings"]) == ([1, 1, 0], 1)
