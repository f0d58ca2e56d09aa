"""When a session's documents are asked for: by age, within what Cloudflare allows, and until they are deleted."""

from __future__ import annotations

import random
from bisect import bisect
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.sweep.session_schedule import (
    REQUESTS,
    REQUESTS_TO_ADD,
    SeenSession,
    SessionLook,
    Step,
    due_sessions,
    next_step,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KINDS = ("transcript", "chat", "summary")


def step(age: timedelta, looked: timedelta | None = None, **known: Any) -> Step | None:
    """Return what a session of this age is due for that was looked at when it was so old."""
    ended = NOW - age
    facts: dict[str, Any] = {"ended": ended, "awaited": KINDS, "archived": True} | known
    look = None if looked is None else SessionLook(ended + looked, **facts)
    return next_step(SeenSession("a", "app", ended), look, NOW)


@pytest.mark.parametrize(
    ("age", "looked", "known", "expected"),
    [
        (5 * MINUTE, None, {}, None),
        (11 * MINUTE, None, {}, Step.ARCHIVE),
        (8 * DAY, None, {}, Step.ARCHIVE),  # participants and details are kept for ever
        (30 * MINUTE, 11 * MINUTE, {}, None),
        (61 * MINUTE, 11 * MINUTE, {}, Step.ASK),
        (5 * HOUR, 61 * MINUTE, {}, None),
        (7 * HOUR, 61 * MINUTE, {}, Step.ASK),
        (5 * DAY, 7 * HOUR, {}, None),
        (6 * DAY + HOUR, 7 * HOUR, {}, Step.ASK),
        (6 * DAY + 22 * HOUR, 6 * DAY + HOUR, {}, Step.ASK),
        (7 * DAY + HOUR, 6 * DAY + 22 * HOUR, {}, Step.CLOSE),
        (7 * DAY + HOUR, 6 * DAY + HOUR, {}, Step.ARCHIVE),  # no sweep ran in the last hours
        (7 * DAY + HOUR, 2 * HOUR, {}, Step.ARCHIVE),  # no sweep ran for days
        (8 * DAY, 7 * DAY + HOUR, {}, None),
        (26 * MINUTE, 11 * MINUTE, {"expected": ("summary",)}, Step.ASK),
        (26 * HOUR, 7 * HOUR, {"expected": ("summary",)}, Step.ASK),
        (26 * HOUR, 7 * HOUR, {}, None),
        (61 * MINUTE, 11 * MINUTE, {"awaited": ()}, None),  # all is there
        (61 * MINUTE, 11 * MINUTE, {"awaited": ("participants",)}, Step.ARCHIVE),
        (61 * MINUTE, 11 * MINUTE, {"archived": False}, Step.ARCHIVE),  # it was still LIVE
        (20 * MINUTE, 11 * MINUTE, {"failures": 1}, None),
        (27 * MINUTE, 11 * MINUTE, {"failures": 1}, Step.ARCHIVE),
        (5 * HOUR, HOUR, {"failures": 9}, None),
        (8 * HOUR, HOUR, {"failures": 9}, Step.ARCHIVE),
    ],
)  # fmt: skip
def test_a_session_is_asked_about_ever_more_seldom_and_once_more_before_the_end(
    age: timedelta, looked: timedelta | None, known: dict[str, Any], expected: Step | None
) -> None:
    assert step(age, looked, **known) == expected


def test_a_session_of_unknown_age_is_asked_about_now_and_then() -> None:
    session = SeenSession("a", "app", None)
    assert next_step(session, None, NOW) == Step.ARCHIVE
    look = SessionLook(NOW - HOUR, awaited=KINDS, archived=True)
    assert next_step(session, look, NOW) is None
    assert next_step(session, replace(look, looked_at=NOW - 7 * HOUR), NOW) == Step.ARCHIVE


def test_what_is_deleted_soonest_comes_first_what_failed_comes_last() -> None:
    sessions = [SeenSession(name, "app", NOW - age) for name, age in (("a", DAY), ("b", 6 * DAY), ("c", 2 * DAY))]
    looks = {"b": SessionLook(NOW - DAY, ended=NOW - 6 * DAY, failures=1)}
    assert [due.session.id for due in due_sessions(sessions, looks, NOW)] == ["c", "a", "b"]


def test_ten_thousand_sessions_a_week_take_less_than_a_tenth_of_what_cloudflare_allows() -> None:
    tenth, every, days = 10, timedelta(minutes=15), 10  # of the sessions and of the requests, to be done soon
    chance = random.Random(17)
    ends = sorted(chance.uniform(0, days * DAY / MINUTE) for _ in range(10_000 // tenth * days // 7))
    comes = [_documents(chance) for _ in ends]
    sessions = [SeenSession(str(number), "app", NOW + minutes * MINUTE) for number, minutes in enumerate(ends)]
    looks: dict[str, SessionLook] = {}
    requests, steps = [], Counter[Step]()
    for now in (NOW + number * every for number in range(int(days * DAY / every))):
        age = (now - NOW) / MINUTE
        seen = sessions[bisect(ends, age - 9 * DAY / MINUTE) : bisect(ends, age)]
        taken = 0
        for due in due_sessions(seen, looks, now):
            if taken + due.requests > REQUESTS // tenth:
                break
            looks[due.session.id], count = _looked(due, looks.get(due.session.id), comes[int(due.session.id)], now)
            taken += count
            steps[due.step] += 1
        if now - NOW > 7 * DAY:
            requests.append(taken)
    assert len(due_sessions(seen, looks, now)) < 10  # no heap grows
    assert max(requests) < REQUESTS // tenth + REQUESTS_TO_ADD
    of_lists = 102  # of 10,000 recordings, in a sweep without work
    assert (sum(requests) / len(requests) * tenth + of_lists) / 3 <= 120  # in five minutes
    assert steps[Step.CLOSE] > 100


def _documents(chance: random.Random) -> dict[str, timedelta]:
    """Return after which time which document comes: half of the sessions have all, some late, and half have a chat."""
    chat = {"chat": MINUTE} if chance.random() < 0.5 else {}
    if chance.random() < 0.5:
        return chat
    transcript = timedelta(minutes=chance.uniform(2, 90))
    return chat | {"transcript": transcript, "summary": transcript + timedelta(minutes=chance.uniform(1, 60))}


def _looked(due: Any, look: SessionLook | None, comes: dict[str, timedelta], now: datetime) -> tuple[SessionLook, int]:
    """Return what a sweep knows afterwards, and how many requests to the API it took."""
    there = {kind for kind, after in comes.items() if due.ended + after <= now}
    awaited = tuple(kind for kind in KINDS if kind not in there)
    expected = tuple(kind for kind in awaited if "transcript" in comes and kind != "chat")
    if due.step is Step.CLOSE:
        return replace(look or SessionLook(now), looked_at=now, awaited=()), 0
    if due.step is Step.ASK and look is not None:
        asked = [kind for kind in KINDS if kind in look.awaited]
        first = next((number for number, kind in enumerate(asked, 1) if kind in there), 0)
        if not first:
            return replace(look, looked_at=now), len(asked)
        count = first + REQUESTS_TO_ADD
    else:
        count = due.requests if look is None else REQUESTS_TO_ADD
    return SessionLook(now, due.ended, awaited=awaited, expected=expected, archived=True), count
