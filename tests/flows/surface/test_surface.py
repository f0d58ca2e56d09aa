"""What people, deployments and other flows rely on is as it was recorded; `surface.py` says how to record."""

from __future__ import annotations

import pytest

from tests.flows.surface.surface import SECTIONS, collected, event_fields_of_triggers, recorded

SURFACE = recorded()
USED = [name for name in SURFACE if name.startswith("usage ")]


def test_all_that_is_recorded_is_looked_at() -> None:
    assert set(SECTIONS) == set(SURFACE)


@pytest.mark.parametrize("section", SURFACE)
def test_nothing_that_others_rely_on_has_changed(section: str) -> None:
    assert collected(section) == SURFACE[section]


@pytest.mark.parametrize("section", USED)
def test_wrong_usage_ends_with_2_and_a_cry_for_help_with_0(section: str) -> None:
    usage = SURFACE[section]
    helped = {line: code for line, code in usage["ends"].items() if line in {"-h", "--help"}}
    assert helped == {"-h": 0, "--help": 0}
    assert {code for line, code in usage["ends"].items() if line not in helped} == {2}
    assert all(isinstance(came, dict) for came in usage["accepted"].values())


def test_triggers_take_only_what_their_event_carries() -> None:
    asked = event_fields_of_triggers()
    assert ("realtimekit.recording.archived", "archive_url") in asked
    carried = {(name, key) for name, event in SURFACE["events"].items() for key in event["payload"]}
    assert asked <= carried
