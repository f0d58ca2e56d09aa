"""A session's bag, as the catalog has it: who took part in the meeting, and what is archived besides recordings.

A session without any recording has no row, as a row is a recording. What is known of it stands in the footer of its
month's file, where the library finds it, and which readers of the table do not see.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tasks.archive import INFO, PARTICIPANTS, PAYLOAD, SESSION_DETAILS, inspect_bag, stated_findings, version_of
from tasks.catalog.bag_listing import session_version
from tasks.catalog.bag_row import LARGEST_NUMBER
from tasks.catalog.row_texts import plain_text, plain_texts
from tasks.catalog.schema import Row, empty_row
from tasks.realtimekit import parse_session
from tasks.realtimekit.values import as_object
from tasks.text import one_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.archive import Held, InspectedBag
    from tasks.catalog.bag_listing import Versions
    from tasks.s3 import Bucket

MOST_PEOPLE = 1000
DOCUMENTS = ("transcript", "chat", "summary")


class SessionRow(BaseModel):
    """What the newest whole bag of a session holds."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    session_version: str
    archive_url: str
    archived_at: AwareDatetime | None = None
    meeting_id: str | None = None
    title: str | None = None
    started_at: AwareDatetime | None = None
    stopped_at: AwareDatetime | None = None
    bytes: int = Field(default=0, ge=0, le=LARGEST_NUMBER)
    findings: tuple[str, ...] = ()
    participants: tuple[str, ...] = ()
    participant_ids: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()  # which of `DOCUMENTS` there are

    def people(self) -> Row:
        """Return the columns of a recording that come from its session."""
        names, ids = list(self.participants), list(self.participant_ids)
        return {"participants": names, "participant_ids": ids, "session_version": self.session_version}

    def with_people(self, most: int) -> SessionRow:
        """Return the same with the first of who took part."""
        people = {"participants": self.participants[:most], "participant_ids": self.participant_ids[:most]}
        return self.model_copy(update=people)

    def as_row(self) -> Row:
        """Return the session in the form of a recording that has neither an id nor files, to be searched and shown."""
        known = self.model_dump(exclude={"documents"})
        lists = {name: list(value) for name, value in known.items() if isinstance(value, tuple)}
        return empty_row() | known | lists | {"documents": list(self.documents)}


def read_session(bucket: Bucket, root: str, versions: Versions) -> SessionRow | None:
    """Return what the newest bag of a session holds that is whole; None if there is none.

    Args:
        bucket: where they are.
        root: the archive's key prefix, with a slash at its end, or empty.
        versions: the bags as listed.

    Raises:
        StoreRefused, StoreUnavailable: the store does not give one of their files.
    """
    for folder in sorted(versions, key=version_of, reverse=True):
        bag = inspect_bag(bucket, f"{root}{folder}")
        if bag is not None and not bag.findings:
            url = f"s3://{bucket.bucket}/{root}{folder}"
            return build_session_row(versions[folder], bag, session_version(versions), url)
    return None


def build_session_row(held: Held, bag: InspectedBag, version: str, url: str) -> SessionRow:
    """Return what a bag of a session holds.

    Args:
        held: the bag, as listed.
        bag: its content.
        version: of all bags of the session.
        url: where the bag is.
    """
    session = parse_session(as_object(_json(bag.tags.get(SESSION_DETAILS, b""))))
    people = [_fields(entry) for entry in _entries(bag.tags.get(PARTICIPANTS, b""))]
    payload = {path: stored for path, stored in bag.listed.items() if path.startswith(PAYLOAD)}
    names = {path.removeprefix(PAYLOAD).partition(".")[0] for path in payload}
    return SessionRow(
        session_id=held.session_id,
        session_version=version,
        archive_url=url,
        archived_at=held.marked,
        meeting_id=plain_text(session.meeting_id),
        title=plain_text(session.title),
        started_at=session.started_at or session.created_at,
        stopped_at=session.ended_at,
        bytes=sum(stored.size for stored in payload.values()),
        findings=tuple(plain_texts(stated_findings(bag.tags.get(INFO, b"")))),
        participants=_each_once(people, "displayname"),
        participant_ids=_each_once(people, "customparticipantid"),
        documents=tuple(name for name in DOCUMENTS if name in names),
    )


def _each_once(people: list[Mapping[str, Any]], name: str) -> tuple[str, ...]:
    """Return a field of some people, as texts that can be shown; who came again is there once."""
    texts = dict.fromkeys(text for person in people if (text := plain_text(person.get(name))))
    return tuple(texts)[:MOST_PEOPLE]


def _fields(entry: object) -> Mapping[str, Any]:
    """Return the fields of a participant by their names as one word: in snake_case and camelCase they are the same."""
    return {one_word(name): value for name, value in as_object(entry).items()}


def _entries(content: bytes) -> list[object]:
    entries = _json(content)
    return entries if isinstance(entries, list) else []


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
