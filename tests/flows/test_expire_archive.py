"""The retention as people meet it: nothing without --delete, then events, a table, a line of JSON, an exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from flows.expire_archive import expire_archive, main
from tests.flows.running import archive_recording
from tests.flows.world import World, eventually

if TYPE_CHECKING:
    import pytest


def test_a_run_shows_first_then_deletes_with_an_event_and_a_table_and_a_wrong_policy_is_a_failure(
    here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recording, client = here.add(), here.store.client()
    archived = archive_recording(recording.id)
    for name in ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "REALTIMEKIT_APP_ID"):
        monkeypatch.delenv(name)  # the archive alone is needed
    assert expire_archive(recording_ids=(recording.id,)).deleted[0].state == "planned"
    capsys.readouterr()
    arguments = ["--recording-id", recording.id, "--reason", "asked for", "--by", "Kim", "--delete"]
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    deleted = next(its for its in result["deleted"] if its["kind"] == "recording")
    assert (deleted["state"], deleted["archive_url"]) == ("deleted", archived.archive_url)
    events = eventually(lambda: [one for one in here.events(recording) if one["event"].endswith(".deleted")])
    assert [one["payload"] for one in events] == [deleted]
    tables = here.ask_prefect("artifacts", artifacts={"key": {"any_": ["expire-archive"]}})
    assert any(recording.id in table["data"] for table in tables)

    prefix = archived.archive_url.removeprefix(f"s3://{here.bucket}/").rpartition(f"{deleted['app_id']}/")[0]
    client.put_object(Bucket=here.bucket, Key=f"{prefix}_retention/policy.toml", Body=b"version = 1\nkeep_day = 1")
    assert main(["--delete"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "keep_day: Extra inputs are not permitted" in shown.err
