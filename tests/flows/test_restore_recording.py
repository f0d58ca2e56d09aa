"""Restore as people meet it: a command or a flow, a line of JSON, an exit code; and links that nothing keeps."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import bagit
import httpx
import pytest

from flows import archive_recording, update_catalog
from flows.restore_recording import main, restore_recording
from tasks.errors import NothingSelected, RestoreIncomplete
from tasks.restore import RestoreReport, file_system
from tests.flows.test_audit_archive import CLOUDFLARES, archived, flip

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.world import World

Captured = pytest.CaptureFixture[str]


def printed(capsys: Captured) -> dict[str, Any]:
    """Return the line of JSON that a command has printed."""
    (line,) = capsys.readouterr().out.splitlines()
    read: dict[str, Any] = json.loads(line)
    return read


def test_a_recording_comes_back_without_anything_of_cloudflares(
    either_here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    recording = either_here.add()
    assert archive_recording.main([recording.id]) == 0
    size = printed(capsys)["bytes"]
    for name in CLOUDFLARES:
        monkeypatch.delenv(name)
    assert main([recording.id.upper(), str(tmp_path / "to")]) == 0
    report = printed(capsys)
    assert (report["recordings"], report["problems"], report["to"]) == (1, 0, str(tmp_path / "to"))
    assert report["bags"][0]["whole"]
    assert report["fetched_bytes"] > size
    bagit.Bag(str(tmp_path / "to" / recording.id)).validate()


def test_damage_ends_the_run_loudly_and_with_all_that_could_be_restored(
    here: World, tmp_path: Path, capsys: Captured
) -> None:
    (whole, _), (broken, key) = archived(here), archived(here)
    flip(here, key)
    with pytest.raises(RestoreIncomplete, match=rf"{broken.id}.*flows.archive_recording") as raised:
        restore_recording(str(tmp_path / "a"), (whole.id, broken.id))
    result = raised.value.result
    assert isinstance(result, RestoreReport)
    assert [bag.whole for bag in result.bags] == [True, False]
    tables = here.ask_prefect("artifacts", artifacts={"key": {"any_": ["restore-recording"]}})
    latest = max(tables, key=lambda table: str(table["created"]))
    assert broken.id in latest["data"]
    (run,) = here.ask_prefect("flow_runs", flow_runs={"id": {"any_": [latest["flow_run_id"]]}})
    assert run["state"]["type"] == "FAILED"
    capsys.readouterr()
    assert main([broken.id, str(tmp_path / "b")]) == 1
    stdout, stderr = capsys.readouterr()
    assert json.loads(stdout)["bags"][0]["problems"][0]["kind"] == "damaged"
    assert "Not everything was restored." in stderr
    assert not (tmp_path / "b" / broken.id / "bagit.txt").exists()


def test_recordings_are_selected_by_conditions_with_the_help_of_the_catalog(
    plain_here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    titled = {"invoked_time": "2026-10-01T09:30:00Z", "meeting": {"id": "m1", "title": "Réunion d'équipe"}}
    recordings = [plain_here.add(details=titled), plain_here.add()]
    for recording in recordings:
        assert archive_recording.main([recording.id]) == 0
    capsys.readouterr()
    assert main(["--meeting", "reunion", str(tmp_path)]) == 1
    assert "uv run python -m flows.update_catalog" in capsys.readouterr().err
    assert update_catalog.main([]) == 0
    capsys.readouterr()
    assert main(["--meeting", "reunion", str(tmp_path), "--until", "2026-10"]) == 0
    assert [bag["id"] for bag in printed(capsys)["bags"]] == [recordings[0].id]
    assert main(["--meeting", "no such meeting", str(tmp_path)]) == 1
    assert "No recording in the catalog is like that" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main([recordings[1].id, str(tmp_path)]) == 0, "ids need no catalog"
    assert {path.name for path in tmp_path.iterdir()} == {recording.id for recording in recordings}


def test_a_run_that_is_not_told_what_to_bring_brings_nothing(here: World, tmp_path: Path) -> None:
    assert here
    wrong: tuple[dict[str, Any], ...] = (
        {},
        {"recording_ids": ("182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e",), "since": "2026-11"},
    )
    for parameters in wrong:
        with pytest.raises(NothingSelected):
            restore_recording(str(tmp_path / "to"), **parameters)
    assert not (tmp_path / "to").exists()


def test_interrupted_it_says_that_the_next_run_carries_on(
    plain_here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    recording = plain_here.add()
    assert archive_recording.main([recording.id]) == 0
    capsys.readouterr()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(file_system.FlushedFile, "write", interrupt)
        assert main([recording.id, str(tmp_path)]) == 130
    stdout, stderr = capsys.readouterr()
    assert (stdout, "The next run carries on" in stderr) == ("", True)
    assert main([recording.id, str(tmp_path)]) == 0


def test_links_are_printed_and_are_nowhere_else(here: World, capsys: Captured) -> None:
    recording, _ = archived(here)
    before = here.ask_prefect("flow_runs")
    capsys.readouterr()
    assert main([recording.id, "--link", "2d"]) == 0
    stdout, stderr = capsys.readouterr()
    (line,) = stdout.splitlines()
    link = json.loads(line)
    assert httpx.get(link["url"]).content == b"vide\0" * 1000
    assert (link["recording_id"], link["path"]) == (recording.id, f"data/video/{recording.id}.mp4")
    assert "X-Amz-Expires=172800" in link["url"]
    assert "X-Amz" not in stderr
    assert len(here.ask_prefect("flow_runs")) == len(before), "it is no run of Prefect's"
    assert main([recording.id, "--link", "2d", "--file", "data/other"]) == 1
    stdout, stderr = capsys.readouterr()
    assert (stdout, "holds no 'data/other'" in stderr) == ("", True)


def test_what_is_not_archived_or_no_settings_is_told(
    plain_here: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    recording = plain_here.add()
    assert main([recording.id, str(tmp_path)]) == 1
    assert "not archived" in capsys.readouterr().err
    assert main([recording.id, "--link", "1h"]) == 1
    assert "Archive the recording first" in capsys.readouterr().err
    assert main([recording.id, ""]) == 2
    assert "TO: is empty" in capsys.readouterr().err
    assert main([recording.id, "s3://not?a-bucket"]) == 2
    assert "TO: must look like s3://bucket/prefix" in capsys.readouterr().err
    monkeypatch.delenv("ARCHIVE_URL")
    assert main([recording.id, str(tmp_path)]) == 2
    assert "ARCHIVE_URL: is missing" in capsys.readouterr().err
