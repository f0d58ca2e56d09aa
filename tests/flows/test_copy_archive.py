"""The second copy as people meet it: a command or a flow, a line of JSON, an exit code, an event and a table."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from flows import archive_recording
from flows.copy_archive import copy_archive, main
from tasks.copying import CopyReport
from tasks.errors import CopyIncomplete
from tests.flows.test_audit_archive import CLOUDFLARES, flip
from tests.flows.world import eventually

if TYPE_CHECKING:
    from tests.flows.world import World

Captured = pytest.CaptureFixture[str]


def printed(capsys: Captured, *names: str) -> list[Any]:
    """Return fields of the line of JSON that a command has printed."""
    (line,) = capsys.readouterr().out.splitlines()
    return [json.loads(line)[name] for name in names]


def test_a_command_copies_and_compares_without_anything_of_cloudflares(
    plain_here: World, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    assert main([]) == 2
    assert "ARCHIVE_COPY_URL: is missing" in capsys.readouterr().err
    recordings = [plain_here.add(), plain_here.add()]
    keys = []
    for recording in recordings:
        assert archive_recording.main([recording.id]) == 0
        url, files = printed(capsys, "archive_url", "files")
        keys.append((url + files[0]["path"]).removeprefix(f"s3://{plain_here.bucket}/"))
    for name in CLOUDFLARES:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ARCHIVE_COPY_URL", f"s3://{plain_here.bucket}/pre/copy")
    assert main([]) == 1
    assert "lie in the same place of one bucket" in capsys.readouterr().err
    monkeypatch.setenv("ARCHIVE_COPY_URL", f"s3://{plain_here.bucket}/copy")
    assert main(["--max-bags", "1"]) == 0
    assert printed(capsys, "copied", "left", "failed") == [1, 1, 0]
    flip(plain_here, keys[0])
    flip(plain_here, keys[1])
    assert main([]) == 1
    stdout, stderr = capsys.readouterr()
    assert [json.loads(stdout)[name] for name in ("copied", "already_there", "failed")] == [0, 1, 1]
    assert "The second copy is not complete." in stderr
    for key in keys:
        flip(plain_here, key)
    assert main([]) == 0
    capsys.readouterr()
    assert main(["--compare"]) == 0
    assert printed(capsys, "already_there", "compared_only", "bytes") == [2, True, 0]


def test_a_flow_is_off_until_there_is_a_target_and_ends_with_an_event_and_a_table(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = copy_archive(return_state=True)
    assert (state.name, state.is_completed()) == ("Off", True)
    bucket = f"copy-{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("ARCHIVE_COPY_URL", f"s3://{bucket}/copy")
    with pytest.raises(CopyIncomplete, match=r"NoSuchBucket.*ARCHIVE_COPY_URL") as raised:
        copy_archive()
    assert isinstance(raised.value.result, CopyReport)
    assert not raised.value.result.finished
    here.store.client().create_bucket(Bucket=bucket)
    recording = here.add()
    assert archive_recording.main([recording.id]) == 0
    report = copy_archive()
    assert isinstance(report, CopyReport)
    assert (report.copied, report.finished) == (1, True)
    about = {"resource": {"id": [f"realtimekit.copy.{bucket}/copy"]}}
    events = eventually(
        lambda: [
            event["payload"]
            for event in here.ask_prefect("events", filter=about)["events"]
            if event["payload"]["finished"]
        ]
    )
    assert (events[0]["copied"], events[0]["bytes"]) == (1, report.bytes)
    tables = here.ask_prefect("artifacts", artifacts={"key": {"any_": ["copy-archive"]}})
    assert any(bucket in table["data"] for table in tables)
