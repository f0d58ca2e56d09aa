"""Which recordings and sessions are to be deleted: by the policy, or by a request. Nothing is changed here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.archive import find_by_id
from tasks.errors import PolicyInvalid, RequestUnclear
from tasks.retention.facts import FactsReader
from tasks.retention.grouping import Candidate, Grouping
from tasks.retention.people import PeopleSearch
from tasks.retention.policy import Hold, is_over

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from tasks.retention.listing import Folder
    from tasks.retention.policy import Policy, Rule
    from tasks.s3 import Bucket


@dataclass(frozen=True)
class Request:
    """What a person wants deleted now, whatever its age."""

    recording_ids: tuple[str, ...] = ()
    participant_ids: tuple[str, ...] = field(default=(), repr=False)
    participant_names: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return not (self.recording_ids or self.participant_ids or self.participant_names)

    @property
    def asks_for_people(self) -> bool:
        """Whether it is about people."""
        return bool(self.participant_ids or self.participant_names)


@dataclass(frozen=True)
class Kept:
    """What would be deleted, but is kept."""

    folder: Folder
    reason: str


@dataclass
class Selection:
    """What is to be deleted, oldest first, and what there is to tell of the others."""

    candidates: list[Candidate] = field(default_factory=list)
    held: list[Kept] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    looked_at: int = 0  # recordings and sessions of the archive


class Selector:
    """Decides what is to be deleted.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        today: the UTC day of the run.
        folders: all of the archive, by path.
        hidden_ids: of recordings of which the store may keep older versions alone: a hold may mean them.
    """

    def __init__(
        self, bucket: Bucket, root: str, today: date, folders: Mapping[str, Folder], hidden_ids: Collection[str]
    ) -> None:
        self._bucket = bucket
        self._root = root
        self._today = today
        self.folders = folders
        self._hidden_ids = hidden_ids
        self._facts = FactsReader(bucket, root, self.folders)
        self._grouping = Grouping(self.folders, self._facts, today)

    def by_policy(self, policy: Policy, target: str) -> Selection:
        """Select what the policy lets go.

        Args:
            policy: as the operator wrote it.
            target: where it is, for people.

        Raises:
            PolicyInvalid: a rule or a hold means nothing in the archive.
        """
        selection = self._selection()
        old = self._old_enough(policy)
        self._require_matches(policy.must_match(), target, old)
        due: dict[str, str] = {}
        for folder in old:
            (facts,) = self._facts.with_meetings([folder])
            days, why = policy.keep_days_of(facts)
            if folder.day is None or not is_over(folder.day, days, self._today):
                continue
            if hold := policy.hold_of(facts):
                selection.held.append(Kept(folder, hold))
            else:
                due[folder.path] = f"kept for more than {days} days, as {why} says"
        timeless = sum(folder.day is None for folder in self.folders.values())
        if timeless:
            selection.notices.append(
                f"{timeless} recordings or sessions without any time are kept: their age is unknown"
            )
        self._settle(selection, due)
        return selection

    def by_request(
        self, request: Request, policy: Policy | None, target: str, reason: str, *, finishing: bool
    ) -> Selection:
        """Select what a person wants deleted; what the policy holds stays.

        Args:
            request: what is asked for.
            policy: for its holds; None if there is none.
            target: where the policy is, for people.
            reason: why it is asked for.
            finishing: deletions that began earlier are not finished, and may be those of the same people.

        Raises:
            RequestUnclear: an id or a name means nothing in the archive.
            PolicyInvalid: a hold means nothing in the archive, so that what is asked for may be what it was to keep.
        """
        selection = self._selection()
        wanted = self._of_ids(request.recording_ids, selection)
        if request.asks_for_people:
            ids, names = set(request.participant_ids), set(request.participant_names)
            search = PeopleSearch(self.folders.values(), self._facts)
            wanted |= search.folders_of(ids, names, selection.notices, finishing=finishing)
        folders = [self.folders[path] for path in sorted(wanted)]
        if policy is not None:
            self._require_matches(policy.holds_that_must_match(), target, folders)
        for folder, facts in zip(folders, self._facts.with_meetings(folders), strict=True):
            if policy is not None and (hold := policy.hold_of(facts)):
                selection.held.append(Kept(folder, hold))
                wanted.discard(folder.path)
        self._settle(selection, dict.fromkeys(wanted, reason))
        self._tell_sessions_that_stay(selection, wanted)
        return selection

    def hold_of_rest(self, path: str, policy: Policy | None) -> str:
        """Return why what an unfinished deletion has left in a folder is held; empty if it is not.

        A session is held with any of its recordings. Of what is no bag any more, it may be unknown for good of which
        meeting it is: then no hold of a meeting keeps it.

        Args:
            path: of the folder.
            policy: for its holds; None if there is none.
        """
        folder = self.folders.get(path)
        if policy is None or folder is None:
            return ""
        of_session = self._grouping.recordings_of(folder) if folder.kind == "session" else []
        everything = [folder, *of_session]
        for its, facts in zip(everything, self._facts.with_meetings(everything), strict=True):
            if hold := policy.hold_of(facts, or_may=bool(its.bags) and its is folder):
                return hold if its is folder else f"its documents are those of recording {its.id}, {hold}"
        return ""

    def _tell_sessions_that_stay(self, selection: Selection, wanted: Collection[str]) -> None:
        """Tell of the documents of sessions that a request means, or touches, and that other recordings keep."""
        going = {path for candidate in selection.candidates for path in (candidate.folder.path, *candidate.sessions)}
        why = "its documents are those of a recording that stays, too"
        for path in sorted(set(wanted) - going):
            selection.held.append(Kept(self.folders[path], why))
        touched = {
            session.path
            for candidate in selection.candidates
            for session in self._facts.sessions_of(candidate.folder, candidate.session_id)
        }
        for path in sorted(touched - going - set(wanted)):
            selection.notices.append(f"session {self.folders[path].id} is kept: {why}")

    def _selection(self) -> Selection:
        return Selection(looked_at=len(self.folders))

    def _old_enough(self, policy: Policy) -> list[Folder]:
        """Return the folders that any rule may let go, by their days alone; a few are read at the same time."""
        old = [
            folder
            for folder in self.folders.values()
            if folder.day and is_over(folder.day, policy.shortest_days(folder.app_id), self._today)
        ]
        self._facts.with_meetings(old)
        return sorted(old, key=lambda folder: folder.path)

    def _require_matches(self, entries: Iterable[Rule | Hold], target: str, first: Sequence[Folder]) -> None:
        """Check that rules and holds mean something: all of the archive is read only if one seems not to.

        Args:
            entries: rules and holds of the policy.
            target: where the policy is, for people.
            first: the folders that are read in any case.
        """
        ids = {*self._hidden_ids, *(folder.id for folder in self.folders.values() if folder.kind == "recording")}
        unmatched = [entry for entry in entries if not (isinstance(entry, Hold) and entry.recording_id in ids)]
        everything = list(self.folders.values())
        for folders in (first, everything):
            if unmatched:
                facts = self._facts.with_meetings(folders)
                unmatched = [entry for entry in unmatched if not any(entry.matches(its) for its in facts)]
        if unmatched:
            hint = "nothing in the archive is like that: correct it, or write may_match_nothing = true"
            raise PolicyInvalid(target, tuple(f"{entry.target}: {hint}" for entry in unmatched))

    def _of_ids(self, recording_ids: Iterable[str], selection: Selection) -> set[str]:
        by_id: dict[str, list[str]] = {}
        for folder in self.folders.values():
            if folder.kind == "recording":
                by_id.setdefault(folder.id, []).append(folder.path)
        unknown = [recording_id for recording_id in recording_ids if recording_id not in by_id]
        deleted = find_by_id(self._bucket, self._root, unknown)
        selection.notices += [f"recording {its_id}: {stone.describe()}" for its_id, stone in deleted.items()]
        if problems := [f"recording {its_id} is not in the archive" for its_id in unknown if its_id not in deleted]:
            raise RequestUnclear(tuple(problems))
        return {path for recording_id in recording_ids for path in by_id.get(recording_id, ())}

    def _settle(self, selection: Selection, due: Mapping[str, str]) -> None:
        """Note what is due with the sessions that go with it.

        A session that tells no meeting may be held by itself; it is of its recordings' meeting, and goes with them.
        """
        selection.candidates = self._grouping.candidates(due)
        going = {path for candidate in selection.candidates for path in candidate.sessions}
        selection.held = [kept for kept in selection.held if kept.folder.path not in going]
