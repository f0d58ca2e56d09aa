"""What a policy lets go, and what it holds: a wrong word must never let more go."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tasks.errors import PolicyInvalid
from tasks.retention.facts import Facts
from tasks.retention.policy import MOST_DAYS, Policy, is_over, parse_policy

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
FOREVER_DAYS = 100 * MOST_DAYS


def policy(text: str) -> Policy:
    return parse_policy(f"version = 1\n{text}".encode(), "s3://bucket/policy.toml")


def facts(**more: Any) -> Facts:
    its: dict[str, Any] = {"meeting_ids": frozenset({"m"}), "titles": frozenset({"Weekly"})} | more
    return Facts(**({"kind": "recording", "id": ID, "app_id": "app"} | its))


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ("", 30),
        ('[[rules]]\napp_id = "app"\nkeep_days = 7', 7),
        ('[[rules]]\napp_id = "other"\nkeep_days = 7', 30),
        ('[[rules]]\ntitle = "Weekly"\nkeep_days = 7\n[[rules]]\napp_id = "app"\nkeep_days = 90', 7),
        ('[[rules]]\ntitle = "Weekly"\nkeep_days = 7\n[[rules]]\nmeeting_id = "m"\nkeep_days = 8', 8),
        ('[[rules]]\ntitle = "weekly"\nkeep_days = 7', 30),
        ('[[rules]]\nmeeting_id = "m"\napp_id = "other"\nkeep_days = 7', 30),
        ('[[rules]]\nmeeting_id = "m"\nkeep_days = "forever"', FOREVER_DAYS),
    ],
)
def test_the_most_special_rule_counts_and_the_longest_of_equals(rules: str, days: int) -> None:
    assert policy(f"keep_days = 30\n{rules}").keep_days_of(facts())[0] == days


def test_where_nobody_knows_the_meeting_the_longest_rule_and_every_hold_of_meetings_may_be_meant() -> None:
    text = 'keep_days = 7\n[[rules]]\nmeeting_id = "m"\nkeep_days = 90\n[[holds]]\nmeeting_id = "n"\nreason = "case"'
    nobody_knows = facts(meeting_ids=frozenset())
    assert policy(text).keep_days_of(nobody_knows)[0] == 90
    assert "may be held" in policy(text).hold_of(nobody_knows)
    assert policy(text).hold_of(facts()) == ""
    assert policy(text).hold_of(facts(meeting_ids=frozenset({"n"}))) == "held by meeting_id = 'n': case"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "keep_days: Field required"),
        ("keep_days = 0", "keep_days: "),
        ("keep_days = true", "keep_days: "),
        ('keep_days = "30"', "keep_days: "),
        ('keep_days = "for ever"', "keep_days: "),
        ("keep_days = 30.0", "keep_days: "),
        ("keep_days = 30\nkeep_day = 40", "keep_day: Extra inputs are not permitted"),
        ("keep_days = 30\nkeep_days = 40", "not TOML: "),
        ('keep_days = 30\n[[rule]]\napp_id = "app"\nkeep_days = 90', "rule: Extra"),
        ('keep_days = 30\n[[rules]]\napp = "app"\nkeep_days = 90', "rules, number 1, app: Extra"),
        ("keep_days = 30\n[[rules]]\nkeep_days = 90", "rules, number 1: names neither"),
        ('keep_days = 30\n[[rules]]\ntitle = ""\nkeep_days = 90', "rules, number 1, title: "),
        ('keep_days = 30\n[[rules]]\ntitle = "a "\nkeep_days = 90', "must have no blanks at its ends"),
        ('keep_days = 30\n[[rules]]\ntitle = "a"\nmeeting_id = "b"\nkeep_days = 90', "one is enough"),
        ('keep_days = 30\n[[rules]]\ntitle = "a"\nkeep_days = 9\n[[rules]]\ntitle = "a"\nkeep_days = 8', "there twice"),
        ('keep_days = 30\n[[holds]]\nreason = "r"', "holds, number 1: names either"),
        ('keep_days = 30\n[[holds]]\nrecording_id = "182bd5e5"\nreason = "r"', "must be a UUID"),
        ('keep_days = 30\n[[holds]]\nmeeting_id = "m"', "holds, number 1, reason: Field required"),
    ],
)
def test_whatever_is_not_well_formed_is_an_error_that_says_where(text: str, problem: str) -> None:
    with pytest.raises(PolicyInvalid) as raised:
        policy(text)
    assert problem in str(raised.value)
    assert "s3://bucket/policy.toml" in str(raised.value)


def test_another_version_of_the_policy_is_an_error() -> None:
    with pytest.raises(PolicyInvalid, match="version"):
        parse_policy(b"version = 2\nkeep_days = 30", "policy.toml")
    with pytest.raises(PolicyInvalid, match="not TOML"):
        parse_policy(b"\xff", "policy.toml")


def test_a_recording_is_kept_for_so_many_whole_days() -> None:
    assert not is_over(date(2026, 1, 1), 30, date(2026, 1, 31))  # it may have ended at midnight
    assert is_over(date(2026, 1, 1), 30, date(2026, 2, 1))
