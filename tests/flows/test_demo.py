"""The demo keeps what the README promises, and leaves nothing but the archive behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest import mock

import httpx
import psutil
import pytest
import time_machine

from flows import demo
from tests.flows.duty import free_port
from tests.flows.world import PROJECT, eventually
from tests.standins.realtimekit import RealtimeKitStandIn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.world import World
    from tests.support.archiving import Archiving


POOR = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9") | {
    "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
}  # fmt: skip
"""A machine with a proxy that is dead, and a terminal of few letters."""


def run_demo(world: World, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the demo as a person without any settings does."""
    environment = world.environment(**dict.fromkeys(world.settings()), PREFECT_API_URL=None) | more
    command = [sys.executable, "-m", "flows.demo"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def processes_in(folder: Path) -> list[list[str]]:
    """Return the command lines of processes that work in or on a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(folder)) or str(folder) in " ".join(process.cmdline()):
                found.append(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.mark.parametrize("later", [timedelta(days=1), timedelta(days=800)])
def test_the_demo_looks_on_any_day_where_it_archived_on_another(later: timedelta) -> None:
    def day() -> datetime:
        with RealtimeKitStandIn() as kit:
            demo.stage(kit, mock.Mock())
            (recording,) = kit.recordings
            return recording.invoked_time

    first = day()
    with time_machine.travel(datetime.now(UTC) + later):
        assert day() == first


def test_the_demos_prefect_server_ends_with_the_demo_even_after_kill(tmp_path: Path) -> None:
    script = f"""
import os, time
from tasks.orchestration.local_server import local_server
with local_server(os.environ | {{"PREFECT_HOME": {str(tmp_path)!r}}}) as url:
    print(url, flush=True)
    time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        assert len(processes_in(tmp_path)) == 2
        process.kill()
    eventually(lambda: not processes_in(tmp_path), within_s=20)


def test_a_cry_for_help_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        demo.main(["--help"])
    assert ended.value.code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.duty  # it takes most of a minute, and is a check of its own wherever the tests are run
@pytest.mark.timeout(240)
def test_the_demo_archives_once_and_finds_it_the_second_time(world: World, tmp_path: Path) -> None:
    first = run_demo(world, tmp_path, **POOR)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stderr.count("got a fresh URL") == 1
    assert "1 fresh URL" in first.stderr
    assert "bagit: the bag is valid." in first.stdout
    assert "The session has a second version of its bag" in first.stdout
    assert "bagit: v0002 of the session's bag is valid." in first.stdout
    assert processes_in(tmp_path) == []

    second = run_demo(world, tmp_path)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "Already archived: the flow found it whole, and fetched 0 bytes of media." in second.stdout
    assert "Nothing of the session is new since the demo ran last." in second.stdout
    assert "v0003" not in second.stdout
    assert processes_in(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["archive-demo"]


def test_the_recording_can_be_watched_until_somebody_interrupts(
    rclone: Archiving, world: World, tmp_path: Path
) -> None:
    """Without the demo's own minute: over an archive that is there."""
    recording = rclone.add(1000, details={"title": "x"})
    rclone.archived(recording)
    shutil.copytree(rclone.server.folder / rclone.bucket / "archive", tmp_path / "archive-demo" / demo.BUCKET)
    script = "import sys; from flows import demo; sys.exit(demo.watch(int(sys.argv[1])))"
    port = free_port()
    elsewhere = {"AWS_PROFILE": "nobodys", "AWS_SESSION_TOKEN": "of-another-store"}
    environment = world.environment(**dict.fromkeys(world.settings()), PREFECT_API_URL=None) | elsewhere
    command = [sys.executable, "-c", script, str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        address = f"http://127.0.0.1:{port}/recordings/{recording.id}"
        page = eventually(lambda: page_at(address), within_s=40)
        link = httpx.get(f"{address}/files/data/video/{recording.id}.mp4").headers.get("location", "")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert f"data/video/{recording.id}.mp4" in page
    assert ("X-Amz-Signature" in link, "of-another-store" in link) == (True, False)
    assert (process.returncode, f"http://127.0.0.1:{port}/" in said) == (0, True)
    assert processes_in(tmp_path) == []


def page_at(url: str) -> str:
    """Return a page; empty while nobody answers."""
    try:
        return httpx.get(url).text
    except httpx.TransportError:
        return ""
