"""What an audit reads first, when it has read enough, and how it remembers what it read."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive.inventory import Held, Sums
from tasks.audit import log
from tasks.audit.log import AuditLog, Record
from tasks.audit.schedule import Budget, order_bags, select_bags

if TYPE_CHECKING:
    from tests.support.archiving import Archiving

LOG = logging.getLogger(__name__)
NOW = datetime(2026, 11, 1, 0, 10, tzinfo=UTC)
DAY = timedelta(days=1)


def held(name: str, size: int = 1, versions: int = 1) -> Held:
    return Held(f"{name}/", sums=Sums(1, size, 1, versions))


def record(name: str, age_days: float, **more: Any) -> Record:
    its: dict[str, Any] = {"outcome": "whole", "versions": 1} | more
    return Record(folder=f"{name}/", at=NOW - age_days * DAY, **its)


def names(bags: Any) -> list[str]:
    return [one.folder.rstrip("/") for one in bags]


def order(bags: list[Held], known: list[Record]) -> tuple[list[str], list[str]]:
    usual, troubled = order_bags(bags, {one.folder: one for one in known})
    return names(usual), names(troubled)


class Clock:
    """Stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        """Tell the time that it was set to."""
        return self.now


def test_never_read_comes_first_then_replaced_then_longest_ago_and_trouble_apart() -> None:
    bags = [held(name) for name in ("young", "old", "never", "bad", "unread")] + [held("replaced", versions=2)]
    known = [record("young", 1), record("old", 9), record("replaced", 0.5)]
    known += [record("bad", 3, outcome="damaged"), record("unread", 5, outcome="unread")]
    assert order(bags, known) == (["never", "replaced", "old", "young"], ["unread", "bad"])


def test_where_all_seems_replaced_each_time_the_turns_are_kept_all_the_same() -> None:
    bags = [held(name, versions=7) for name in ("a", "b", "c")]
    assert order(bags, [record("a", 1), record("b", 3), record("c", 2)]) == (["b", "c", "a"], [])


def test_what_gave_trouble_is_tried_between_the_others_within_half_the_budget() -> None:
    usual, troubled = [held(name, 10) for name in "abcdef"], [held(name, 10) for name in "xyz"]
    assert names(select_bags(usual, troubled, Budget(60, 60))) == ["a", "x", "b", "c", "d", "e"]
    assert names(select_bags([], troubled, Budget(0, 60))) == ["x", "y", "z"]


def test_superseded_versions_come_last_of_those_never_read_and_take_turns_by_age_with_all_that_were() -> None:
    bags = [held(name) for name in ("a-older", "b", "c-older", "d")]
    older = {"a-older/", "c-older/"}
    assert names(order_bags(bags, {}, older)[0]) == ["b", "d", "a-older", "c-older"]
    known = {f"{name}/": record(name, age) for name, age in (("a-older", 4), ("b", 3), ("c-older", 2), ("d", 1))}
    assert names(order_bags(bags, known, older)[0]) == ["a-older", "b", "c-older", "d"]


def test_superseded_versions_take_no_more_than_half_the_budget_and_hold_up_nothing() -> None:
    older = {f"older-{number}/" for number in range(9)}
    queue = [*(held(name.rstrip("/"), 10) for name in sorted(older)), *(held(name, 10) for name in "abcdef")]
    chosen = names(select_bags(queue, [], Budget(60, 60), older))
    assert chosen == ["older-0", "older-1", "older-2", "a", "b", "c"]
    assert names(select_bags([held("older-0", 1000)], [], Budget(60, 60), older)) == ["older-0"]
    assert len(names(select_bags(queue, [], Budget(0, 60), older))) == len(queue)


def test_a_bag_larger_than_the_budget_is_read_alone_and_none_is_passed_over_for_its_size() -> None:
    assert names(select_bags([held("huge", 1000), held("small")], [], Budget(100, 60))) == ["huge"]
    assert names(select_bags([held("small"), held("huge", 1000), held("tiny")], [], Budget(100, 60))) == ["small"]


def test_no_bag_is_begun_that_would_last_beyond_the_time_at_the_pace_so_far() -> None:
    clock = Clock()
    budget = Budget(0, 100, clock)
    assert budget.grants(400)
    clock.now = 40.0
    budget.spent(400, 400)
    assert not budget.grants(700)
    assert budget.grants(500)
    budget.spent(500, 0)  # deleted meanwhile: nothing was read
    assert budget.grants(500)
    clock.now = 100.0
    budget.spent(500, 500)
    assert not budget.grants(0)


def test_bags_of_which_nothing_can_be_read_tell_nothing_of_the_pace_and_end_with_the_time() -> None:
    clock = Clock()
    budget = Budget(0, 100, clock)
    for _ in range(50):
        assert budget.grants(10**9)
        clock.now += 1.0
        budget.spent(10**9, 5000)
    assert budget.grants(10**9), "what can be read is read all the same"
    clock.now += 20.0
    budget.spent(10**9, 10**9)
    assert budget.grants(10**9)
    assert not budget.grants(10**9), "two would take until 110"
    clock.now = 100.0
    budget.spent(10**9, 5000)
    assert not budget.grants(0)


@pytest.fixture
def log_of(rclone: Archiving) -> Any:
    return lambda: AuditLog(rclone.run().store, "archive/", LOG)


def test_the_last_record_of_each_bag_counts_whoever_wrote_it(log_of: Any) -> None:
    one, other = log_of(), log_of()
    one.append([record("a", 2), record("b", 2)], NOW - 2 * DAY)
    other.append([record("a", 1, size=7)], NOW - 2 * DAY)
    one.append([record("a", 3), record("c", -400)], NOW)
    known = log_of().read(NOW)
    assert {name: (NOW - its.at) / DAY for name, its in known.items()} == {"a/": 1, "b/": 2}
    assert known["a/"].size == 7


def test_years_of_records_are_read_in_a_few_requests(
    rclone: Archiving, log_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "STATE_AFTER", 10)
    for age in range(40, 2, -1):
        log_of().append([record(f"bag-{age}", age)], NOW - age * DAY)
    assert len(log_of().read(NOW - 2 * DAY)) == 38  # and writes a state, in the month before
    log_of().append([record("late", 3)], NOW - 2.5 * DAY)  # was under way while the state was written
    log_of().append([record("new", 0)], NOW)
    asked: list[str] = []

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        asked.append(request.get("Key", method))
        return send()

    known = AuditLog(rclone.run(meddle).store, "archive/", LOG).read(NOW)
    assert len(known) == 40
    assert len([key for key in asked if key.endswith(".jsonl")]) == 3
    assert len(asked) < 9


def test_a_broken_state_or_line_and_a_clock_that_was_wrong_hide_nothing_else(
    rclone: Archiving, log_of: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(log, "STATE_AFTER", 0)
    log_of().append([record("a", 1)], NOW - DAY)
    log_of().read(NOW)
    log_of().append([record("z", -9000)], NOW + 9000 * DAY)
    folder = "archive/_audit/2026/11/20261101T0010000000"
    put = {"01Z-0123456789ab-1-state.jsonl": b"{", "02Z-0123456789ab-1.jsonl": b'{"folder": 1}\nnot json\n\xff\n'}
    for name, body in put.items():
        rclone.s3.put_object(Bucket=rclone.bucket, Key=folder + name, Body=body)
    assert set(log_of().read(NOW)) == {"a/"}
    assert "3 records of earlier audits cannot be read" in caplog.text
    state = next(key for key in rclone.stored_keys("archive/_audit/") if "-state" in key)
    body = rclone.s3.get_object(Bucket=rclone.bucket, Key=state)["Body"].read()
    assert json.loads(body.splitlines()[1])["folder"] == "a/"
