"""Which recordings and sessions are a person's: those of the sessions in which the person took part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.errors import RequestUnclear

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.retention.facts import FactsReader
    from tasks.retention.listing import Folder


class PeopleSearch:
    """Finds what people took part in.

    Args:
        folders: all of the archive.
        facts: reads what they state.
    """

    def __init__(self, folders: Iterable[Folder], facts: FactsReader) -> None:
        self._folders = list(folders)
        self._facts = facts

    def folders_of(self, ids: set[str], names: set[str], notices: list[str], *, finishing: bool) -> set[str]:
        """Return the folders of sessions in which people took part, and of the recordings of these sessions.

        Args:
            ids: of participants, exactly as the archive has them.
            names: the same for names.
            notices: told what the archive does not know.
            finishing: deletions that began earlier are not finished, and may be those of the same people.

        Raises:
            RequestUnclear: an id or a name is of nobody in the archive.
        """
        folders = self._folders
        facts = dict(zip((folder.path for folder in folders), self._facts.read(folders), strict=True))
        mine = {path for path, its in facts.items() if ids & its.person_ids or names & its.person_names}
        known_ids, known_names = (
            {text for path in mine for text in getattr(facts[path], name)} for name in ("person_ids", "person_names")
        )
        problems = ["participant_ids: an id is of nobody in the archive"] if ids - known_ids else []
        problems += ["participant_names: a name is of nobody in the archive"] if names - known_names else []
        if problems and not finishing:
            raise RequestUnclear(tuple(problems))
        notices += problems
        for folder in folders:
            of_sessions = self._facts.sessions_of(folder, facts[folder.path].session_id)
            mine |= {folder.path} if any(session.path in mine for session in of_sessions) else set()
        self._tell_unknown(notices)
        return mine

    def _tell_unknown(self, notices: list[str]) -> None:
        """Tell of what the archive does not say who took part in, or says in a file that cannot be read."""
        recordings = [
            folder.id for folder in self._folders if folder.kind == "recording" and not self._knows_people(folder)
        ]
        sessions = [folder for folder in self._folders if folder.kind == "session"]
        facts = zip(sessions, self._facts.read(sessions), strict=True)
        unclear = [folder.id for folder, its in facts if its.unknown or not its.has_people]
        for what, unknown in (("recordings", recordings), ("sessions, or not all of them", unclear)):
            if unknown:
                named = ", ".join(sorted(unknown)[:5]) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
                notices.append(f"the archive does not say who took part in {len(unknown)} {what}: {named}")

    def _knows_people(self, recording: Folder) -> bool:
        sessions = self._facts.sessions_of(recording, self._facts.of(recording).session_id)
        return any(self._facts.of(session).has_people for session in sessions)
