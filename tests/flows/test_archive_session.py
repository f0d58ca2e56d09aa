"""What belongs to a session is archived by a command, with a Prefect server and without, and again as more comes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flows import archive_session
from tests.standins.realtimekit import StandInSession
from tests.support.meetings import SUMMARY, document, transcript

if TYPE_CHECKING:
    from tests.flows.world import World

Captured = pytest.CaptureFixture[str]


def printed(code: int, capsys: Captured) -> dict[str, Any]:
    """Return the line of JSON that the command printed."""
    stdout, stderr = capsys.readouterr()
    assert code == 0, stderr
    (line,) = stdout.splitlines()
    result: dict[str, Any] = json.loads(line)
    return result


def test_a_session_is_archived_and_again_only_when_more_has_come(either_here: World, capsys: Captured) -> None:
    started = (datetime.now(UTC) - timedelta(days=1)).replace(microsecond=0)
    session = either_here.kit.add_session(StandInSession(started_at=started))
    session.transcript = document(transcript("Hello"))
    first = printed(archive_session.main([session.id]), capsys)
    assert (first["version"], first["changed"]) == (1, True)
    assert [file["path"] for file in first["files"]] == ["data/transcript.csv"]
    assert [piece["name"] for piece in first["missing"]] == ["chat", "summary"]
    again = printed(archive_session.main([session.id]), capsys)
    assert (again["version"], again["changed"]) == (1, False)
    session.summary = document(SUMMARY)
    more = printed(archive_session.main([session.id, "--no-uploads"]), capsys)
    assert (more["version"], more["changed"]) == (2, True)
    assert more["archive_url"].startswith(f"s3://{either_here.bucket}/pre/")


def test_a_session_that_does_not_exist_is_an_error(either_here: World, capsys: Captured) -> None:
    assert archive_session.main(["182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"]) == 1
    stdout, stderr = capsys.readouterr()
    assert not stdout
    assert "Session not found" in stderr
    assert either_here.kit.token not in stderr
