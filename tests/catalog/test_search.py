"""A search finds what a person means, however they write it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import Month
from tasks.catalog import COLUMNS, Query, could_match, search

if TYPE_CHECKING:
    from tasks.catalog import Row


def made(recording_id: str, **known: Any) -> Row:
    empty: Row = {column.name: [] if column.kind in {"texts", "files"} else None for column in COLUMNS}
    return empty | {"app_id": "app", "recording_id": recording_id, "archive_url": f"s3://b/{recording_id}/"} | known


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


TRACK = {"path": "data/tracks/default/José_Núñez.webm", "size": 1, "sha256": "", "content_type": ""}
ROWS = [
    made("a", title="Réunion d'équipe ÄRGER", invoked_at=at(1), duration_s=60.0, started_by="Zoë Łukasz"),
    made("b", title="Straße nach Øresund", invoked_at=at(2), duration_s=3600.0, meeting_id="m-1", condition="damaged"),
    made("c", session_id="S-9", started_at=at(3), files=[TRACK], condition="whole", fixity_outcome="damaged"),
    made("d", condition="unreadable", findings=["cannot be read: AccessDenied"], app_id="other"),
    made("f", participants=["Åsa Öberg", "Анна Иванова", "Bo Ek"], participant_ids=["user-0817"], started_at=at(1, 3)),
    made("e", title="\uff37\uff49\uff44\uff45 e\N{COMBINING ACUTE ACCENT}quipe", invoked_at=at(2, 5)),
]  # fmt: skip


def ids(**query: Any) -> str:
    return "".join(row["recording_id"] for row in search(ROWS, Query(**query)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "cebfad"),
        ("reunion", "a"), ("RÉUNION", "a"), ("équipe", "ea"), ("EQUIPE", "ea"), ("arger", "a"), ("  uni   quip ", "a"),
        ("strasse", "b"), ("STRAẞE", "b"), ("oresund", "b"), ("wide", "e"), ("lukasz zoe", "a"), ("nunez", "c"),
        ("s-9", "c"), ("accessdenied", "d"), ("reunion strasse", ""), ("nothing", ""), ("tracks/default", "c"),
        ("asa oberg", "f"), ("ИВАНОВ bo", "f"), ("ek 0817", "f"),
    ],
)  # fmt: skip
def test_case_accents_and_parts_of_words_make_no_difference(text: str, expected: str) -> None:
    assert ids(text=text) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"since": at(2)}, "ceb"), ({"until": at(2)}, "fa"), ({"since": at(2), "until": at(2, 5)}, "b"),
        ({"meeting": "M-1"}, "b"), ({"meeting": "equipe"}, "ea"), ({"session": "s-"}, "c"), ({"person": "jose"}, "c"),
        ({"person": "ZOE"}, "a"), ({"person": "reunion"}, ""), ({"person": "oberg"}, "f"), ({"person": "USER-08"}, "f"),
        ({"min_duration_s": 61}, "b"),
        ({"max_duration_s": 60}, "cefad"), ({"damaged": True}, "cbd"), ({"findings": True}, "d"),
        ({"app_id": "other"}, "d"), ({"text": "equipe", "since": at(2)}, "e"),
    ],
)  # fmt: skip
def test_all_that_is_given_must_hold(query: dict[str, Any], expected: str) -> None:
    assert ids(**query) == expected


@pytest.mark.parametrize(
    ("month", "query", "expected"),
    [
        ("2026-11", {}, True), ("2026-11", {"since": at(30)}, True), ("2026-10", {"since": at(1)}, False),
        ("2026-11", {"until": at(1)}, True), ("2026-12", {"until": at(30)}, False), ("0000-00", {"until": at(1)}, True),
        ("2026-11", {"app_id": "app"}, True), ("2026-11", {"app_id": "ap"}, False),
    ],
)  # fmt: skip
def test_months_that_cannot_hold_what_is_meant_are_not_read(month: str, query: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    assert could_match(Month("app", month), Query(**query)) is expected
