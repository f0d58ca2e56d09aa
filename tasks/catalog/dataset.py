"""The files of the catalog: one for each month of an app, at a fixed key, replaced as a whole.

A store shows an object either as it was or as it is, and a recording belongs to one month: so whoever reads all files
sees no half file and no recording twice, at any moment. Beside these files nothing is ever written, as readers take all
that lies there for rows.

Each file says in its footer what it was derived from. The newest file holds these statements of all other files, too,
by their ETags: so that an update which finds nothing new reads one file, and no more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.archive import CATALOG, Month, is_a_folder, parse_catalog_path, shown
from tasks.catalog import parquet
from tasks.catalog.schema import SCHEMA_VERSION, Row
from tasks.catalog.session_row import MOST_PEOPLE, SessionRow
from tasks.errors import CatalogNewer, ObjectTooLarge
from tasks.s3 import bare_etag
from tasks.text import MIB
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.s3 import Bucket, StoredObject

LARGEST_FILE = 512 * MIB
"""Bytes of a month's file: a million recordings take less."""
MOST_OF_SESSIONS = 32 * MIB
"""Characters of the sessions in a footer: Parquet's readers refuse the file if the footer has some 100 MB."""
FOREIGN_SHOWN = 5


class Source(BaseModel):
    """What a file was derived from; the same of two files means the same rows."""

    model_config = ConfigDict(frozen=True)

    schema_version: int = SCHEMA_VERSION
    bags: str = ""  # a digest of all bags of the month and their versions
    sessions: str = ""  # a digest of the sessions that they may belong to; empty if there is none
    audits: str = ""  # the version of the audit log; empty before any audit was looked at


class SealedSource(BaseModel):
    """The source of another file, which counts as long as that has this ETag."""

    etag: str
    source: Source


class Footer(BaseModel):
    """What a file says in its metadata."""

    source: Source
    others: dict[str, SealedSource] = {}  # by path below the archive's root
    sessions: tuple[SessionRow, ...] = ()  # those of the month that no recording of the month belongs to


@dataclass(frozen=True)
class MonthContents:
    """What the file of a month holds."""

    rows: Sequence[Row] = ()  # a recording each
    sessions: Sequence[SessionRow] = ()  # of the month, without a recording in the month


@dataclass
class Files:
    """The files of the catalog, as listed."""

    listed: dict[Month, StoredObject] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)  # keys that readers take for rows, fit to be shown

    @property
    def newest(self) -> Month | None:
        """The month whose file holds the sources of all others."""
        return newest_of(self.listed)


def newest_of(months: Iterable[Month]) -> Month | None:
    """Return the newest of some months; of several apps, one and the same for everybody."""
    return max(months, key=by_age, default=None)


def by_age(month: Month) -> tuple[str, str]:
    """Return the sort key of a month, oldest first."""
    return month.month, month.app_id


class Dataset:
    """The catalog of an archive.

    Args:
        bucket: where the archive is.
        root: its key prefix, with a slash at its end, or empty.
    """

    def __init__(self, bucket: Bucket, root: str) -> None:
        self.root = root
        self._bucket = bucket
        self._sources: dict[tuple[Month, str], Source | None] = {}  # by the file's ETag
        self._sealed: dict[Month, dict[str, SealedSource]] = {}  # what a file holds of others, as last read or written

    @property
    def url(self) -> str:
        """Where the catalog is, for people."""
        return f"s3://{self._bucket.bucket}/{self.root}{CATALOG}/"

    def files(self, month: Month | None = None) -> Files:
        """List the files.

        Args:
            month: only that of this month; None for all.
        """
        files = Files()
        for stored in self._bucket.list(self._key(month) if month else f"{self.root}{CATALOG}/"):
            path = stored.key.removeprefix(self.root)
            if parsed := parse_catalog_path(path):
                files.listed[parsed] = stored
            elif not is_a_folder(stored) and len(files.foreign) < FOREIGN_SHOWN:
                files.foreign.append(shown(path))
        return files

    def sources(self, files: Files) -> dict[Month, Source | None]:
        """Return what the files were derived from; None for a file that cannot be read as one of ours.

        Raises:
            CatalogNewer: a newer version of this program has written one of them.
        """
        if files.newest:
            self._learn(files.newest, files)
        unknown = [
            month for month, stored in files.listed.items() if (month, bare_etag(stored.etag)) not in self._sources
        ]
        a_few_at_a_time(lambda month: self._learn(month, files), unknown)
        sources = {month: self._sources[month, bare_etag(stored.etag)] for month, stored in files.listed.items()}
        for month, source in sources.items():
            if source and source.schema_version > SCHEMA_VERSION:
                raise CatalogNewer(f"{self.url}{self._key(month)}", source.schema_version, SCHEMA_VERSION)
        return sources

    def contents(self, month: Month) -> MonthContents:
        """Return what the file of a month holds; nothing if there is none that can be read as one of ours."""
        content = self._content(month)
        footer = _parse_footer(content)
        return MonthContents(parquet.decode(content), footer.sessions if footer else ())

    def whole_rows(self, month: Month) -> list[Row]:
        """Return the rows of a month, each with the columns that stand in paths alone."""
        return [month.columns | row for row in self.contents(month).rows]

    def whole_rows_and_sessions(self, month: Month) -> list[Row]:
        """Return the same, and each session of the month without a recording in the form of a row."""
        contents = self.contents(month)
        return [month.columns | row for row in (*contents.rows, *(session.as_row() for session in contents.sessions))]

    def delete(self, month: Month) -> None:
        """Delete the file of a month."""
        self._bucket.delete([self._key(month)])

    def write(
        self,
        month: Month,
        rows: list[Row],
        source: Source,
        others: Mapping[str, SealedSource],
        sessions: Sequence[SessionRow] = (),
    ) -> None:
        """Replace the file of a month.

        Args:
            month: of the recordings.
            rows: a recording each.
            source: what they are derived from.
            others: the sources of other files.
            sessions: those of the month that no recording of the month belongs to.
        """
        footer = Footer(source=source, others=dict(others), sessions=_fitting(sessions))
        content = parquet.encode(rows, footer.model_dump_json())
        self._bucket.put(self._key(month), content, parquet.CONTENT_TYPE)
        # The ETag that most stores give it; with others, the file is read again.
        self._sources[month, hashlib.md5(content, usedforsecurity=False).hexdigest()] = source
        self._sealed[month] = dict(others)

    def sealed(self, month: Month) -> dict[str, SealedSource]:
        """Return what the file of a month holds of others."""
        return self._sealed.get(month, {})

    def to_seal(self, files: Files) -> dict[str, SealedSource]:
        """Return what the newest file is to hold of all others."""
        return {
            month.catalog_path: SealedSource(etag=bare_etag(stored.etag), source=source)
            for month, stored in sorted(files.listed.items())
            if month != files.newest and (source := self._sources.get((month, bare_etag(stored.etag))))
        }

    def _learn(self, month: Month, files: Files) -> None:
        """Read what a file says of itself, and of others."""
        etag = bare_etag(files.listed[month].etag)
        if (month, etag) in self._sources and month in self._sealed:
            return
        footer = _parse_footer(self._content(month))
        if footer is None:
            self._sources[month, etag], self._sealed[month] = None, {}
            return
        self._sources[month, etag], self._sealed[month] = footer.source, footer.others
        for path, sealed in footer.others.items():
            if other := parse_catalog_path(path):
                self._sources.setdefault((other, sealed.etag), sealed.source)

    def _content(self, month: Month) -> bytes:
        try:
            return self._bucket.get(self._key(month), LARGEST_FILE) or b""
        except ObjectTooLarge:
            return b""

    def _key(self, month: Month) -> str:
        return self.root + month.catalog_path


def _fitting(sessions: Sequence[SessionRow]) -> tuple[SessionRow, ...]:
    """Return sessions that a footer has room for: with fewer of who took part if there are very many."""
    most, fitting = MOST_PEOPLE, tuple(sessions)
    while most and sum(len(row.model_dump_json()) for row in fitting) > MOST_OF_SESSIONS:
        most //= 2
        fitting = tuple(row.with_people(most) for row in fitting)
    return fitting


def _parse_footer(content: bytes) -> Footer | None:
    """Return what a file says of itself; None if the file is not one of ours."""
    try:
        return Footer.model_validate_json(parquet.decode_footer(content))
    except ValidationError:
        return None
