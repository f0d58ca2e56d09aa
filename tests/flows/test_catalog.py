"""The catalog is updated and searched: by a deployment's run, and by people, with a Prefect server and without."""

from __future__ import annotations

import io
import json
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from flows import archive_recording, find_recordings, update_catalog
from tests.flows import running
from tests.flows.duty import deploy, deployment_id, prefect
from tests.flows.world import eventually
from tests.standins.realtimekit import MediaSource, StandInRecording

if TYPE_CHECKING:
    from tests.flows.world import World

Captured = pytest.CaptureFixture[str]
DATES = ("2026-10-01T09:30:00Z", "2026-11-20T09:30:00Z")


def archive_two(world: World, capsys: Captured) -> list[dict[str, Any]]:
    """Archive a meeting with a title and tracks of two people, and return what is printed of each."""
    titled = {"invoked_time": DATES[0], "meeting": {"id": "m1", "title": "Réunion d'équipe"}, "recording_duration": 90}
    tracks = {"default": {"ann.webm": MediaSource(b"ann\0"), "bob.webm": MediaSource(b"bob\0")}}
    of_tracks = StandInRecording(str(uuid.uuid4()), tracks=tracks, details={"invoked_time": DATES[1]})
    recordings = [world.add(details=titled), world.kit.add(of_tracks)]
    return [printed(archive_recording.main([recording.id]), capsys)[0] for recording in recordings]


def printed(code: int, capsys: Captured) -> list[Any]:
    """Return the lines of JSON that a command printed."""
    stdout, stderr = capsys.readouterr()
    assert code == 0, stderr
    return [json.loads(line) for line in stdout.splitlines()]


def found(capsys: Captured, *arguments: str) -> list[str]:
    """Return the ids of the recordings that a search finds."""
    return [row["recording_id"] for row in printed(find_recordings.main(list(arguments)), capsys)]


def test_what_is_archived_is_found_once_the_catalog_is_up_to_date(either_here: World, capsys: Captured) -> None:
    first, second = archive_two(either_here, capsys)
    (report,) = printed(update_catalog.main([]), capsys)
    assert (report["recordings"], report["read"], report["months_written"]) == (2, 2, 2)
    assert report["catalog_url"] == f"s3://{either_here.bucket}/pre/_catalog/"
    both = [second["recording_id"], first["recording_id"]]
    assert found(capsys) == both
    assert found(capsys, "REUNION", "equip") == both[1:]
    assert found(capsys, "--person", "bob") == found(capsys, "--since", "2026-11") == both[:1]
    assert found(capsys, "--until", "2026-10-01", "--max-duration", "1m30s") == both[1:]
    assert found(capsys, "--meeting", "m1", "--min-duration", "2m") == found(capsys, "--damaged") == []
    (report,) = printed(update_catalog.main([]), capsys)
    assert (report["read"], report["months_written"]) == (0, 0)


@pytest.mark.duty
def test_the_event_of_an_archive_starts_a_run_that_updates_its_month(here: World) -> None:
    deploy(here)
    archived = running.archive_recording(here.add().id)
    of_deployment = {"id": {"any_": [deployment_id(here, "hourly")]}}

    def runs() -> list[dict[str, Any]]:
        asked: list[dict[str, Any]] = here.ask_prefect("flow_runs", deployments=of_deployment)
        return [run for run in asked if run["parameters"].get("archive_url") == archived.archive_url]

    (run,) = eventually(runs)
    prefect(here, "flow-run", "execute", run["id"])
    (run,) = runs()
    assert run["state"]["type"] == "COMPLETED", run["state"]["message"]
    assert [key for key in here.objects() if key.endswith("recordings.parquet")]


def test_a_search_gives_all_that_the_catalog_has(plain_here: World, capsys: Captured) -> None:
    first, _ = archive_two(plain_here, capsys)
    update_catalog.main([])
    capsys.readouterr()
    (row,) = printed(find_recordings.main(["reunion"]), capsys)
    assert row["archive_url"] == first["archive_url"]
    assert row["files"] == first["files"]
    assert (row["app_id"], row["month"], row["invoked_at"]) == (
        plain_here.kit.app_id,
        "2026-10",
        "2026-10-01T09:30:00+00:00",
    )


def test_after_a_recording_its_month_alone_is_updated(plain_here: World, capsys: Captured) -> None:
    first, _ = archive_two(plain_here, capsys)
    (report,) = printed(update_catalog.main(["--archive-url", first["archive_url"]]), capsys)
    assert (report["recordings"], report["months_written"]) == (1, 1)
    assert update_catalog.main(["--archive-url", "s3://elsewhere/"]) == 1
    assert "is not where recording" in capsys.readouterr().err


def test_on_a_terminal_a_table_comes(plain_here: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    first, _ = archive_two(plain_here, capsys)
    update_catalog.main([])
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "dumb")
    assert find_recordings.main([]) == 0
    shown = terminal.getvalue()
    (line,) = [line for line in shown.splitlines() if first["recording_id"] in line]
    assert line.split()[:4] == ["2026-10-01", "09:30", "0:01:30", "4.883"]
    assert "Réunion d'équipe" in line
    assert "2 found" in shown


def test_without_a_catalog_it_says_how_to_make_one(plain_here: World, capsys: Captured) -> None:
    archive_two(plain_here, capsys)
    assert find_recordings.main([]) == 1
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert "uv run python -m flows.update_catalog" in stderr


def test_nothing_found_is_no_failure(plain_here: World, capsys: Captured) -> None:
    archive_two(plain_here, capsys)
    update_catalog.main([])
    capsys.readouterr()
    assert find_recordings.main(["no such words"]) == 0
    stdout, stderr = capsys.readouterr()
    assert (stdout, "No recording" in stderr) == ("", True)


@pytest.mark.parametrize("main", [update_catalog.main, find_recordings.main])
def test_without_settings_both_say_what_is_missing(
    plain_here: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch, main: Any
) -> None:
    assert plain_here
    monkeypatch.delenv("ARCHIVE_URL")
    assert main([]) == 2
    assert "ARCHIVE_URL: is missing" in capsys.readouterr().err


@pytest.mark.parametrize("main", [update_catalog.main, find_recordings.main])
def test_without_the_extra_both_say_how_to_install_it(
    plain_here: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch, main: Any
) -> None:
    archive_two(plain_here, capsys)
    update_catalog.main([])
    archive_two(plain_here, capsys)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main([]) == 1
    assert "uv sync --extra catalog" in capsys.readouterr().err
