"""Whoever waits at a terminal gets settings that suit it, unless others were chosen."""

from __future__ import annotations

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, Settings, temporary_settings

from flows.prefect_server import _patience

CASES = {
    "a temporary server": (None, {}, True),
    "a temporary server, and they are wanted": (None, {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "60"}, False),
    "a server of one's own": ("http://127.0.0.1:9/api", {}, False),
}


@pytest.mark.parametrize(("server", "chosen", "without"), CASES.values(), ids=CASES)
def test_only_runs_with_a_temporary_server_have_no_heartbeats(
    monkeypatch: pytest.MonkeyPatch, server: str | None, chosen: dict[str, str], *, without: bool
) -> None:
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("flows.prefect_server.get_current_settings", Settings)  # not those of all tests here
    with temporary_settings({PREFECT_API_URL: server}):
        changed = _patience()
    assert (PREFECT_FLOWS_HEARTBEAT_FREQUENCY in changed) is without
    assert changed.get(PREFECT_FLOWS_HEARTBEAT_FREQUENCY) is None
