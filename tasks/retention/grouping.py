"""What is deleted together: a session's documents go with the last of its recordings.

As long as another recording of the session stays in the archive, or may be one of the session as far as anybody knows,
the documents stay. Sessions without recordings go by their age.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tasks.archive import session_folders
from tasks.retention.listing import Folder, Neighbours

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tasks.retention.facts import FactsReader

DOCUMENTS_MAY_COME = timedelta(days=10)
"""For so long after a recording, RealtimeKit may hand out documents of the recording's session."""
LONG_AGO = date.min


@dataclass(frozen=True)
class Candidate:
    """A recording with the sessions whose documents go with it, or a session that has no recording."""

    folder: Folder
    session_id: str
    reason: str
    sessions: tuple[str, ...] = ()  # folders, below the archive's root; of those of which nothing is archived, too

    @property
    def order(self) -> tuple[date, str]:
        """The sort key, oldest first."""
        return self.folder.day or LONG_AGO, self.folder.path


class Grouping:
    """Knows which recordings and sessions belong together.

    Args:
        folders: all of the archive, by path.
        facts: reads what they state.
        today: the UTC day of the run.
    """

    def __init__(self, folders: Mapping[str, Folder], facts: FactsReader, today: date) -> None:
        self._folders = folders
        self._facts = facts
        self._today = today
        self._near = Neighbours(folders.values())

    def recordings_of(self, session: Folder) -> list[Folder]:
        """Return the recordings that are known to be of a session."""
        near = list(self._near.recordings_near(session))
        facts = self._facts.read(near)
        return [folder for folder, its in zip(near, facts, strict=True) if its.session_id == session.id]

    def candidates(self, due: Mapping[str, str]) -> list[Candidate]:
        """Return the candidates, oldest first, each session with the last of its recordings.

        Args:
            due: reasons by the paths of folders.
        """
        recordings = sorted(
            (self._folders[path] for path in due if self._folders[path].kind == "recording"),
            key=lambda folder: (folder.day or LONG_AGO, folder.path),
        )
        last = {session: folder.path for folder in recordings for session in self._sessions_going(folder, due)}
        going: dict[str, list[str]] = {}  # sessions by the recording that they go with, the last of theirs
        for session, path in sorted(last.items()):
            going.setdefault(path, []).append(session)
        candidates = [
            Candidate(folder, self._facts.of(folder).session_id, due[folder.path], tuple(going.get(folder.path, ())))
            for folder in recordings
        ]
        alone = [self._folders[path] for path in due if self._folders[path].kind == "session" and path not in last]
        candidates += [Candidate(its, its.id, due[its.path]) for its in alone if not self._has_others(its, due)]
        return sorted(candidates, key=lambda candidate: candidate.order)

    def _sessions_going(self, recording: Folder, due: Collection[str]) -> list[str]:
        """Return the folders of a recording's session, if no other recording needs them."""
        session_id = self._facts.of(recording).session_id
        if not session_id:
            return []
        archived = self._facts.sessions_of(recording, session_id)
        if archived:
            return [session.path for session in archived if not self._has_others(session, due)]
        if recording.day is None or self._today - recording.day > DOCUMENTS_MAY_COME:
            return []
        # Nobody knows on which of these days the session began, and so of which days its other recordings are.
        may_be = [Folder(path) for path in session_folders(recording.path, session_id)]
        if not may_be or any(self._has_others(session, due) for session in may_be):
            return []
        return [may_be[0].path]

    def _has_others(self, session: Folder, due: Collection[str]) -> bool:
        """Tell whether a recording that stays is of a session, or may be as far as anybody knows.

        Of what cannot be read and has no day, nobody knows more than of all other sessions.
        """
        near = [folder for folder in self._near.recordings_near(session) if folder.path not in due]
        return any(
            its.session_id == session.id
            or (its.unknown and not its.session_id and folder.day is not None and session.day is not None)
            for folder, its in zip(near, self._facts.read(near), strict=True)
        )
