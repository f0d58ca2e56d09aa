"""The audit log: what was audited when, in small objects below `_audit/` that are only ever added.

Each object holds the records of some bags, a line of JSON each, under a unique key. So audits may run at once, and an
audit that is killed loses only the records that it had not written yet. When there are too many objects to read each
time, all records are written again as one object, a state; from then on, only the state and later objects are read. A
state names the objects of the day before it that it includes, as an object of another audit may arrive later than the
time in its key.

If the audit log is lost, only the order in which bags are read again is lost.
"""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.archive import (
    AUDIT,
    Finding,
)
from tasks.errors import ObjectTooLarge, StoreRefused
from tasks.s3 import ARCHIVED_CLASS
from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasks.s3 import Bucket
    from tasks.text import Log


STATE_AFTER = 100
"""Number of objects that are read before a state is written."""
OVERLAP = timedelta(days=1)
"""How much later than the time in its key an object may arrive: clocks differ, and the store may be away."""
LARGEST = 256 * MIB
"""Bytes of an object that is read: far more than the state of a million bags."""
READ_AT_ONCE = 8

_NAME = re.compile(r"(?P<time>[0-9]{8}T[0-9]{12}Z)-[0-9a-f]{12}-[0-9]+(?P<state>-state)?\.jsonl")
_FOLDER = re.compile(r"[0-9]{2,4}/")
_TIME = "%Y%m%dT%H%M%S%fZ"


class Record(BaseModel):
    """The result of the last audit of one bag."""

    model_config = ConfigDict(frozen=True)

    folder: str  # below the archive's root, with a slash at its end
    at: datetime  # when the bag was verified
    outcome: Literal["whole", "damaged", "unverifiable", "unread", "gone", "archived class"]
    read_at: datetime | None = None  # when its whole payload was read last
    objects: int = 0
    size: int = 0  # bytes
    sizes: int = 0  # see `tasks.archive.inventory.Sums`
    versions: int = 0
    findings: tuple[Finding, ...] = ()
    more: int = 0  # findings that are not kept


class _State(BaseModel):
    """The first line of a state."""

    knows: frozenset[str]  # names of the objects of the day before it whose records it includes


class AuditLog:
    """The records of an archive.

    Args:
        bucket: the archive's.
        root: the archive's key prefix, with a slash at its end, or empty.
        log: gets a warning for what cannot be read.
    """

    def __init__(self, bucket: Bucket, root: str, log: Log) -> None:
        self._bucket = bucket
        self._root = f"{root}{AUDIT}/"
        self._log = log
        self._run = uuid.uuid4().hex[:12]
        self._numbers = count(1)

    def append(self, records: Iterable[Record], now: datetime) -> None:
        """Write records, in an object of their own."""
        self._write("", [record.model_dump_json(exclude_defaults=True) for record in records], now)

    def version(self, now: datetime) -> str:
        """Return a text that is another one whenever there are new records; empty if there are none.

        Args:
            now: see `read`.
        """
        names = [_name(key) for key in self._keys(f"{now + OVERLAP:{_TIME}}") if not _is_state(key)]
        return blake2b("\n".join(names).encode(), digest_size=16).hexdigest() if names else ""

    def read(self, now: datetime) -> dict[str, Record]:
        """Return the last record of each bag, by folder; what cannot be read is logged, and left out.

        Args:
            now: records of more than a day later are left out, too: they would count as the last ones for ever.
        """
        keys = self._keys(f"{now + OVERLAP:{_TIME}}")
        known, state = self._state(keys)
        unread = [key for key in keys if not _is_state(key) and _may_be_new(key, state)]
        unread = [key for key in unread if state is None or _name(key) not in state[1].knows]
        with ThreadPoolExecutor(READ_AT_ONCE) as threads:
            for lines in threads.map(self._lines, unread):
                _merge(known, self._records(lines), now + OVERLAP)
        if len(unread) > STATE_AFTER:
            last_day = f"{now - OVERLAP:{_TIME}}"
            knows = _State(knows=frozenset(_name(key) for key in keys if _name(key) >= last_day))
            records = [record.model_dump_json(exclude_defaults=True) for record in known.values()]
            self._write("-state", [knows.model_dump_json(), *records], now)
        return known

    def _keys(self, latest: str) -> list[str]:
        """Return the keys of the objects since the last state and of the month before it, sorted by name.

        Args:
            latest: the last name that counts; an object written by a wrong clock must not hide later ones.
        """
        keys: list[str] = []
        with_state = 0
        for year in self._below(self._root):
            for month in self._below(year):
                listed = [stored.key for stored in self._bucket.list(month) if stored.size <= LARGEST]
                of_month = [key for key in listed if _NAME.fullmatch(_name(key)) and _name(key) <= latest]
                keys += of_month
                with_state += with_state > 0 or any(map(_is_state, of_month))
                if with_state > 1:
                    return sorted(keys, key=_name)
        return sorted(keys, key=_name)

    def _below(self, folder: str) -> Sequence[str]:
        """Return the folders of years or months, newest first."""
        folders = [below for below in self._bucket.level(folder)[0] if _FOLDER.fullmatch(below.removeprefix(folder))]
        return sorted(folders, reverse=True)

    def _state(self, keys: Sequence[str]) -> tuple[dict[str, Record], tuple[str, _State] | None]:
        """Return the records of the last state that can be read, and the state's name and first line."""
        for key in reversed([key for key in keys if _is_state(key)]):
            lines = self._lines(key)
            try:
                first = _State.model_validate_json(lines[0] if lines else b"")
            except ValidationError:
                self._log.warning("%s cannot be read: an earlier state is used.", key)
                continue
            return {record.folder: record for record in self._records(lines[1:])}, (_name(key), first)
        return {}, None

    def _lines(self, key: str) -> list[bytes]:
        try:
            return (self._bucket.get(key, LARGEST) or b"").splitlines()
        except ObjectTooLarge as large:  # it was smaller when it was listed
            self._log.warning("%s", large)
        except StoreRefused as refused:
            if refused.code != ARCHIVED_CLASS:
                raise
            self._log.warning("%s is in an archived storage class: what it tells of bags is not known.", key)
        return []

    def _records(self, lines: Iterable[bytes]) -> list[Record]:
        records, broken = [], 0
        for line in lines:
            try:
                records.append(Record.model_validate_json(line))
            except ValidationError:
                broken += 1
        if broken:
            self._log.warning("%d records of earlier audits cannot be read: their bags count as never audited.", broken)
        return records

    def _write(self, kind: str, lines: Sequence[str], now: datetime) -> None:
        name = f"{now:{_TIME}}-{self._run}-{next(self._numbers)}{kind}.jsonl"
        content = "".join(f"{line}\n" for line in lines).encode()
        self._bucket.put(f"{self._root}{now:%Y/%m}/{name}", content, "application/jsonl")


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _is_state(key: str) -> bool:
    match = _NAME.fullmatch(_name(key))
    return match is not None and match["state"] is not None


def _may_be_new(key: str, state: tuple[str, _State] | None) -> bool:
    """Tell whether an object may hold records that a state does not include."""
    if state is None:
        return True
    since = datetime.strptime(state[0].partition("-")[0], _TIME).replace(tzinfo=UTC) - OVERLAP
    return _name(key) >= f"{since:{_TIME}}"


def _merge(known: dict[str, Record], records: Iterable[Record], latest: datetime) -> None:
    for record in records:
        before = known.get(record.folder)
        if record.at <= latest and (before is None or before.at <= record.at):
            known[record.folder] = record
