"""What has to be known of a recording or a session to decide about it: read from the archive itself, not the catalog.

Sources: `recording.json`, and `session.json` and `participants.json` of every version of the session, be it committed
or not. A file that cannot be read is named, and what it might say counts as unknown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tasks.archive import DETAILS, PARTICIPANTS, SESSION_DETAILS, session_folders
from tasks.errors import ObjectTooLarge, StoreRefused
from tasks.realtimekit import parse_archived, parse_session
from tasks.realtimekit.values import as_object, as_word
from tasks.text import one_word
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.retention.listing import Folder
    from tasks.s3 import Bucket

ID_FIELDS = frozenset({"id", "userid", "customparticipantid", "clientspecificid", "peerid", "participantid"})
NAME_FIELDS = frozenset({"displayname", "name"})


@dataclass(frozen=True)
class Facts:
    """What is known of a recording or a session."""

    kind: Literal["recording", "session"]
    id: str
    app_id: str
    session_id: str = ""  # of a recording
    meeting_ids: frozenset[str] = frozenset()
    titles: frozenset[str] = frozenset()
    person_ids: frozenset[str] = field(default=frozenset(), repr=False)
    person_names: frozenset[str] = field(default=frozenset(), repr=False)
    unknown: str = ""  # why not all of it is known; empty if it is
    has_people: bool = True  # it is known who took part

    def with_session(self, session: Facts) -> Facts:
        """Return the facts of a recording with those of its meeting."""
        ids, titles = self.meeting_ids | session.meeting_ids, self.titles | session.titles
        return replace(self, meeting_ids=ids, titles=titles)


class FactsReader:
    """Reads facts, each once.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        folders: all folders of the archive, by their paths.
    """

    def __init__(self, bucket: Bucket, root: str, folders: Mapping[str, Folder]) -> None:
        self._bucket = bucket
        self._root = root
        self._sessions: dict[tuple[str, str], list[Folder]] = {}
        for folder in folders.values():
            if folder.kind == "session":
                self._sessions.setdefault((folder.app_id, folder.id), []).append(folder)
        self._known: dict[str, Facts] = {}

    def read(self, folders: Iterable[Folder]) -> list[Facts]:
        """Return the facts of some folders, in their order; a few are read at the same time."""
        wanted = list(folders)
        new = [folder for folder in wanted if folder.path not in self._known]
        self._known |= {its.path: facts for its, facts in zip(new, a_few_at_a_time(self._read, new), strict=True)}
        return [self._known[folder.path] for folder in wanted]

    def of(self, folder: Folder) -> Facts:
        """Return the facts of a folder."""
        return self.read([folder])[0]

    def with_meetings(self, folders: Iterable[Folder]) -> list[Facts]:
        """Return the facts of some folders, those of recordings with what their sessions tell of the meeting."""
        wanted = list(folders)
        facts = self.read(wanted)
        sessions = [self.sessions_of(folder, its.session_id) for folder, its in zip(wanted, facts, strict=True)]
        self.read({session.path: session for of_one in sessions for session in of_one}.values())
        joined = []
        for its, of_one in zip(facts, sessions, strict=True):
            for session in of_one:
                its = its.with_session(self.of(session))
            joined.append(its)
        return joined

    def sessions_of(self, recording: Folder, session_id: str) -> list[Folder]:
        """Return the folders that are archived of a recording's session, whose day is near; or nobody knows a day."""
        if recording.kind == "session":
            return []
        likely = {*session_folders(recording.path, session_id)}
        of_id = self._sessions.get((recording.app_id, session_id), ())
        return [its for its in of_id if its.path in likely or its.day is None or recording.day is None]

    def _read(self, folder: Folder) -> Facts:
        return self._of_session(folder) if folder.kind == "session" else self._of_recording(folder)

    def _of_recording(self, folder: Folder) -> Facts:
        facts = Facts("recording", folder.id, folder.app_id, has_people=False)
        content, unknown = self._content(folder.path + DETAILS)
        recording = parse_archived(content) if content is not None else None
        if recording is None:
            return replace(facts, unknown=unknown or f"{DETAILS} is missing or no JSON")
        details = recording.details
        meeting = as_object(details.get("meeting"))
        callers = [as_object(as_object(details.get(name)).get("caller")) for name in ("start_reason", "stop_reason")]
        ids, names = _people(callers)
        return replace(
            facts,
            session_id=recording.session_id.lower(),
            meeting_ids=_texts([meeting.get("id"), details.get("meeting_id")]),
            titles=_texts([meeting.get("title")]),
            person_ids=ids,
            person_names=names,
        )

    def _of_session(self, folder: Folder) -> Facts:
        facts = Facts("session", folder.id, folder.app_id, has_people=False)
        for version in sorted(folder.versions):
            details, unknown = self._json(version + SESSION_DETAILS)
            people, people_unknown = self._json(version + PARTICIPANTS)
            session = parse_session(as_object(details))
            entries = [as_object(entry) for entry in people] if isinstance(people, list) else []
            ids, names = _people(entries)
            facts = replace(
                facts,
                meeting_ids=facts.meeting_ids | _texts([session.meeting_id]),
                titles=facts.titles | _texts([session.title]),
                person_ids=facts.person_ids | ids,
                person_names=facts.person_names | names,
                has_people=facts.has_people or isinstance(people, list),
                unknown=facts.unknown or unknown or people_unknown,
            )
        return facts

    def _json(self, path: str) -> tuple[object, str]:
        content, unknown = self._content(path)
        try:
            return (None if content is None else json.loads(content)), unknown
        except (ValueError, RecursionError):
            return None, f"{path.rpartition('/')[2]} is no JSON"

    def _content(self, path: str) -> tuple[bytes | None, str]:
        """Return a file's content, or why it cannot be read; neither if there is none."""
        name = path.rpartition("/")[2]
        try:
            return self._bucket.get(self._root + path), ""
        except StoreRefused as refused:
            return None, f"{name} cannot be read ({refused.code})"
        except ObjectTooLarge:
            return None, f"{name} is too large"


def _people(entries: Iterable[Mapping[str, Any]]) -> tuple[frozenset[str], frozenset[str]]:
    """Return ids and names of people; fields are written in snake_case and camelCase."""
    fields = [(one_word(name), value) for entry in entries for name, value in entry.items()]
    ids = _texts([value for name, value in fields if name in ID_FIELDS])
    return ids, _texts([value for name, value in fields if name in NAME_FIELDS])


def _texts(values: Iterable[object]) -> frozenset[str]:
    texts = (value.strip() if isinstance(value, str) else as_word(value) for value in values)
    return frozenset(text for text in texts if text)
