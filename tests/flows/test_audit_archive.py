"""The audit as people meet it: a run that ends well or loudly, an event, a table, a line of JSON, an exit code."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flows import archive_session
from flows.audit_archive import audit_archive, main
from tasks.audit import auditor, bag_checks
from tasks.audit.fixity import verify_bag
from tasks.audit.models import AuditReport
from tasks.engine import ALARM_LABEL, NO_LABELS, Engine
from tasks.errors import AuditUnfinished, DamageFound
from tests.flows.running import archive_recording
from tests.flows.world import World, eventually
from tests.standins.realtimekit import StandInSession
from tests.support.meetings import SUMMARY, document, transcript

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.standins.realtimekit import StandInRecording

CLOUDFLARES = ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_BASE_URL")


def archived(world: World) -> tuple[StandInRecording, str]:
    """Archive a recording; return it and the key of its video."""
    recording = world.add()
    done = archive_recording(recording.id)
    return recording, (done.archive_url + done.files[0].path).removeprefix(f"s3://{world.bucket}/")


def flip(world: World, key: str) -> None:
    client = world.store.client()
    body = bytearray(client.get_object(Bucket=world.bucket, Key=key)["Body"].read())
    body[0] ^= 1
    client.put_object(Bucket=world.bucket, Key=key, Body=bytes(body))


def transcript_of_next_version(world: World, session: StandInSession, capsys: pytest.CaptureFixture[str]) -> str:
    """Archive what has come of a session; return the key of the transcript in the version that was written."""
    capsys.readouterr()
    assert archive_session.main([session.id]) == 0
    url: str = json.loads(capsys.readouterr().out)["archive_url"]
    return f"{url}data/transcript.csv".removeprefix(f"s3://{world.bucket}/")


def test_damage_ends_the_run_loudly_with_an_event_a_table_and_the_command_that_mends_it(
    here: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (whole, _), (broken, key) = archived(here), archived(here)
    for name in CLOUDFLARES:
        monkeypatch.delenv(name)
    assert audit_archive().coverage.reread_within == 2
    flip(here, key)
    with pytest.raises(DamageFound, match=broken.id) as raised:
        audit_archive(max_gigabytes=0.000_000_001)
    result = raised.value.result
    assert isinstance(result, AuditReport)
    assert AuditReport.model_validate_json(result.model_dump_json()) == result
    (damaged,) = result.damaged
    assert damaged.findings[0].path in str(raised.value)
    command = f"uv run python -m flows.archive_recording {broken.id} --overwrite"
    assert damaged.command == command
    assert command in str(raised.value)

    (event,) = eventually(lambda: [one for one in here.events(broken) if one["event"] == "realtimekit.archive.damaged"])
    assert event["payload"] == damaged.model_dump(mode="json")
    assert set(event["payload"]) == set(type(damaged).model_fields)
    assert not [one for one in here.events(whole) if one["event"] == "realtimekit.archive.damaged"]
    tables = here.ask_prefect("artifacts", artifacts={"key": {"any_": ["audit-archive"]}})
    latest = max(tables, key=lambda table: str(table["created"]))
    assert all(told in latest["data"] for told in (broken.id, damaged.findings[0].found, command))
    (run,) = here.ask_prefect("flow_runs", flow_runs={"id": {"any_": [latest["flow_run_id"]]}})
    assert run["state"]["type"] == "FAILED"
    assert broken.id in run["state"]["message"]

    for name, value in here.settings().items():
        monkeypatch.setenv(name, value)
    archive_recording(broken.id, overwrite=True)
    capsys.readouterr()
    assert main(["--max-minutes", "1"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["damaged"], told["coverage"]["reread_within"]) == ([], 2)


def test_a_damaged_session_fails_the_run_with_its_newest_version_and_is_told_with_an_older_one(
    plain_here: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = plain_here.kit.add_session(StandInSession(started_at=datetime.now(UTC) - timedelta(days=1)))
    session.transcript = document(transcript("Hello"))
    keys = [transcript_of_next_version(plain_here, session, capsys)]
    session.summary = document(SUMMARY)
    keys.append(transcript_of_next_version(plain_here, session, capsys))
    events: list[tuple[str, str, dict[str, Any]]] = []

    asks_for_a_person: list[str] = []

    def emit(
        _: Engine, event: str, its_id: str, payload: dict[str, Any], kind: str = "recording",
        labels: Mapping[str, str] = NO_LABELS,
    ) -> None:  # fmt: skip
        if kind == "recording":
            events.append((event, its_id, payload))
            asks_for_a_person.append(labels[ALARM_LABEL])

    monkeypatch.setattr(Engine, "emit", emit)
    flip(plain_here, keys[0])
    assert main([]) == 0, "a newer version supersedes what is damaged"
    stdout, stderr = capsys.readouterr()
    told = json.loads(stdout)
    assert (told["coverage"]["recordings"], told["sessions"]["sessions"], told["damaged"]) == (0, 1, [])
    (older,) = told["damaged_sessions"]
    assert (older["session_id"], older["version"], older["superseded"]) == (session.id, 1, True)
    assert f"Damaged: session {session.id}, version 1" in stderr
    assert events == [("realtimekit.archive.damaged", f"session-{session.id}/v0001", older)]
    assert asks_for_a_person == ["no"]

    flip(plain_here, keys[1])
    assert main([]) == 1
    stdout, stderr = capsys.readouterr()
    assert AuditReport.model_validate_json(stdout).damaged_sessions[1].superseded is False
    assert f"DAMAGED: session {session.id}, version 2" in stderr
    assert f"1 sessions damaged: session {session.id}, version 2" in stderr
    assert json.loads(stdout)["damaged_sessions"][1] in [payload for _, _, payload in events]
    assert "yes" in asks_for_a_person


def test_on_a_terminal_damage_is_a_line_of_json_and_a_paragraph(
    here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    recording, key = archived(here)
    here.store.client().delete_object(Bucket=here.bucket, Key=key)
    capsys.readouterr()
    assert main(["--no-deep"]) == 0, "nothing is known of it yet, and its tag files are there"
    assert json.loads(capsys.readouterr().out)["coverage"]["never_reread"] == 1
    assert main([]) == 1
    stdout, stderr = capsys.readouterr()
    assert [one["recording_id"] for one in json.loads(stdout)["damaged"]] == [recording.id]
    assert "The archive is damaged; the audit has changed nothing." in stderr


def test_wrong_usage_and_settings_are_told_at_once(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (["--max-minutes", "0"], ["--max-gigabytes", "nan"], ["--app-id", "a/b"], ["--nonsense"]):
        with pytest.raises(SystemExit) as raised:
            main(wrong)
        assert raised.value.code == 2
    monkeypatch.setenv("ARCHIVE_URL", f"http://{here.bucket}")
    assert main([]) == 2


def test_a_store_that_fails_ends_the_run_as_unfinished_with_what_was_read(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        archived(here)
    monkeypatch.setenv("TRANSFER_CONCURRENCY", "1")
    monkeypatch.setenv("TRANSFER_PATIENCE", "0.5")
    monkeypatch.setattr(auditor, "WRITTEN_EVERY_S", 0.0)
    done: list[Any] = []

    def then_go_away(*arguments: Any, **options: Any) -> Any:
        if done:
            here.store.kill()
        done.append(verify_bag(*arguments, **options))
        return done[-1]

    monkeypatch.setattr(bag_checks, "verify_bag", then_go_away)
    try:
        with pytest.raises(AuditUnfinished, match="what was audited is recorded") as raised:
            audit_archive()
    finally:
        here.store.start()
    assert raised.value.retryable
    assert isinstance(raised.value.result, AuditReport)
    assert (raised.value.result.reread, raised.value.result.damaged) == (1, ())
    monkeypatch.setattr(bag_checks, "verify_bag", verify_bag)
    assert audit_archive(max_gigabytes=0.000_000_001).coverage.reread_within == 2
