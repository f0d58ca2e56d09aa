"""The bags of some months, as a listing shows them: which there are, and in which version each is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.archive import Month, days_beside, month_of, months_held, session_folders, session_of, survey
from tasks.catalog.bag_row import bag_version
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tasks.archive import Held, Holdings
    from tasks.s3 import Bucket, StoredObject

    Versions = Mapping[str, Held]
    """The bags of a session, by their folders."""


@dataclass
class ListedBags:
    """The bags of some months; folders are below the archive's root, with a slash at their ends."""

    held: dict[Month, dict[str, Held]] = field(default_factory=dict)  # of recordings, by folder
    sessions: dict[Month, dict[str, dict[str, Held]]] = field(default_factory=dict)  # by the session's folder
    descriptions: dict[str, StoredObject] = field(default_factory=dict)  # by the folder of the recording
    posters: dict[str, StoredObject] = field(default_factory=dict)  # by the folder of the recording

    def add(self, holdings: Holdings) -> None:
        """Add what was listed of a folder."""
        self.descriptions |= holdings.descriptions
        self.posters |= holdings.posters
        for folder, held in holdings.bags.items():
            if held.is_session:
                session = session_of(folder)
                self.sessions.setdefault(month_of(session), {}).setdefault(session, {})[folder] = held
            elif held.ours:
                self.held.setdefault(month_of(folder), {})[folder] = held

    @property
    def months(self) -> set[Month]:
        """The months of which there is anything."""
        return self.held.keys() | self.sessions.keys()

    def versions(self, month: Month) -> dict[str, str]:
        """Return the version of each recording's bag of a month, by its folder."""
        return {folder: self.version(held) for folder, held in self.held.get(month, {}).items()}

    def version(self, held: Held) -> str:
        """Return a text that is another one whenever a recording's bag is, or what was made from the recording."""
        return bag_version(held, self.descriptions.get(held.folder), self.posters.get(held.folder))

    def session_versions(self, month: Month) -> dict[str, str]:
        """Return the version of each session that recordings of a month may belong to, by the session's folder."""
        near = dict(self.sessions.get(month, {}))
        for day in days_beside(month):
            of_month = self.sessions.get(month_of(day), {})
            near |= {folder: versions for folder, versions in of_month.items() if folder.startswith(f"{day}/")}
        return {folder: session_version(versions) for folder, versions in near.items()}

    def session_for(self, folder: str, session_id: str | None) -> str:
        """Return the folder of the session that a recording belongs to; empty if nothing is archived of it.

        Args:
            folder: of the recording.
            session_id: as the recording's details name the session.
        """
        likely = session_folders(folder, (session_id or "").lower())
        return next((session for session in likely if self.session_bags(session)), "")

    def session_bags(self, session: str) -> Versions:
        """Return the bags of a session, by their folders."""
        return self.sessions.get(month_of(session), {}).get(session, {})


def list_bags(bucket: Bucket, root: str, months: Collection[Month], app_ids: Collection[str]) -> ListedBags:
    """List the bags of some months, or of all; months at the same time, as a long listing comes page by page.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
        months: which to list, with the days beside them, where sessions of their recordings may lie; none for all.
        app_ids: whose months, of all; none for all apps.
    """
    beside = {day for month in months for day in days_beside(month) if month_of(day) not in months}
    folders = [month.folder for month in months or months_held(bucket, root, app_ids)]
    listed = ListedBags()
    for holdings in a_few_at_a_time(lambda folder: survey(bucket, root, [folder]), [*folders, *sorted(beside)]):
        listed.add(holdings)
    for month in listed.held.keys() - set(months) if months else ():
        del listed.held[month]  # recordings of a day beside are not all of their month
    return listed


def session_version(versions: Versions) -> str:
    """Return a text that is another one whenever a bag of a session is."""
    return digest({folder: bag_version(held) for folder, held in versions.items()})


def digest(versions: Mapping[str, str]) -> str:
    """Return a digest of versions by their folders."""
    text = "\n".join(f"{folder} {version}" for folder, version in sorted(versions.items()))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
