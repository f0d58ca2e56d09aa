"""The stages of a restore, and what they work with."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Semaphore
from typing import TYPE_CHECKING

from tasks.errors import SettingsInvalid, StoreRefused, TargetUnusable
from tasks.restore.bag_restore import restore_bag
from tasks.restore.bucket_target import PARTS_AT_ONCE, BucketTarget
from tasks.restore.context import RestoreContext
from tasks.restore.folder_target import FolderTarget
from tasks.restore.report import make_report
from tasks.restore.selection import find_session
from tasks.restore.storage_class import wait_for_thaw
from tasks.s3 import MAX_BODIES, Store, Throttle, are_in_one_store, new_s3_client, open_reader
from tasks.setting_values import parse_archive_url
from tasks.transfer import Tally, progress_views, show_progress
from tasks.workers import Pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.restore.bag_restore import BagOutcome
    from tasks.restore.context import ChosenBag
    from tasks.restore.models import RestoreReport
    from tasks.restore.target import Target
    from tasks.s3 import Reader, ThawTier
    from tasks.session import StoreAccess
    from tasks.settings import RestoreSettings
    from tasks.text import Log

BAGS_AT_ONCE = 4
BARS_UP_TO = 1
"""Recordings that have a bar for each file; for more, there is one bar."""
ALL = "all recordings"
SPARE_CONNECTIONS = 32


@dataclass(frozen=True)
class RestoreOptions:
    """What a restore is told besides what to bring, and where."""

    sessions: bool = True
    derived: bool = False
    overwrite: bool = False
    thaw_days: int = 0
    thaw_tier: ThawTier = "standard"
    wait_until: float = 0.0  # by the monotonic clock, so that a stage that runs again waits no longer


@dataclass(frozen=True)
class RestoreSession:
    """What all stages of a restore share."""

    settings: RestoreSettings
    store_access: StoreAccess
    log: Log


class SummedTally(Tally):
    """Counts the bytes of many files as if they were one."""

    def begin(self, path: str, size: int, already: int) -> None:  # noqa: ARG002 - one for all
        """Note that a file of `size` bytes is being brought, of which `already` are there."""
        with self._lock:
            whole, before, since = self._files.get(ALL, (0, 0, time.monotonic()))
            self._files[ALL] = (whole + size, before + already, since)
            self._done[ALL] = self._done.get(ALL, 0) + already

    def advance(self, path: str, count: int) -> None:  # noqa: ARG002 - one for all
        """Note that `count` more bytes of the file were read."""
        super().advance(ALL, count)


def restore_recordings(
    session: RestoreSession, chosen: Sequence[ChosenBag], to: str, options: RestoreOptions
) -> RestoreReport:
    """Bring the bags of recordings, and of their sessions, to a folder or another bucket.

    Args:
        session: of the run.
        chosen: the recordings' bags.
        to: a path, or s3://bucket/prefix.
        options: see `RestoreOptions`.

    Raises:
        TargetUnusable, TargetUnavailable: the folder or the bucket.
        StoreRefused, StoreUnavailable: the archive's store.
    """
    began = time.monotonic()
    tally = Tally() if len(chosen) <= BARS_UP_TO else SummedTally()
    with _attempt(session, to, options, tally) as context, show_progress(tally, progress_views(session.log)):
        outcomes = _restore_all(context, chosen, with_sessions=options.sessions)
        return make_report(context.target.url, [outcome.result for outcome in outcomes], time.monotonic() - began)


def _restore_all(context: RestoreContext, chosen: Sequence[ChosenBag], *, with_sessions: bool) -> list[BagOutcome]:
    """Restore the bags of recordings, and then those of their sessions; again, once objects have become readable.

    All is asked for before anything is waited for: it takes hours, whatever the number of objects.
    """
    recordings: dict[ChosenBag, BagOutcome] = {}
    sessions: dict[ChosenBag, BagOutcome] = {}
    readable = list(chosen)
    while readable:
        restored = _restore_each(context, [bag for bag in readable if bag.kind == "recording"])
        recordings |= restored
        wanted = [bag for bag in readable if bag.kind == "session"]
        if with_sessions:
            wanted += [bag for bag in _of_sessions(context, restored) if bag not in {*wanted, *sessions}]
        sessions |= _restore_each(context, wanted)
        readable = wait_for_thaw(context, {bag: outcome.thawing for bag, outcome in (recordings | sessions).items()})
    return [*recordings.values(), *sessions.values()]


def _restore_each(context: RestoreContext, bags: Sequence[ChosenBag]) -> dict[ChosenBag, BagOutcome]:
    with Pool(BAGS_AT_ONCE, context.stop) as pool:
        return dict(zip(bags, pool.map(lambda bag: restore_bag(context, bag), bags), strict=True))


def _of_sessions(context: RestoreContext, recordings: Mapping[ChosenBag, BagOutcome]) -> list[ChosenBag]:
    """Return the newest versions of recordings' sessions, each session once."""
    of = [(bag, outcome.session_id) for bag, outcome in recordings.items() if outcome.session_id]
    first = {(bag.folder.split("/")[0], session_id): bag for bag, session_id in reversed(of)}
    bucket = context.new_bucket()
    with Pool(BAGS_AT_ONCE, context.stop) as pool:
        bags = pool.map(lambda item: find_session(bucket, context.root, item[1], item[0][1]), first.items())
    return [bag for bag in bags if bag is not None]


@contextmanager
def _attempt(session: RestoreSession, to: str, options: RestoreOptions, tally: Tally) -> Iterator[RestoreContext]:
    """Give what one attempt works with; all of it ends with the block."""
    settings, stop = session.settings, Event()
    with open_reader(settings.transfer_concurrency, whole_first=True) as reader:
        try:
            yield RestoreContext(
                new_bucket=lambda: session.store_access.store(stop),
                root=settings.root,
                target=_open_target(session, to, reader, stop),
                reader=reader,
                progress=tally,
                stop=stop,
                log=session.log,
                overwrite=options.overwrite,
                thaw_days=options.thaw_days,
                thaw_tier=options.thaw_tier,
                wait_until=options.wait_until,
                derived=options.derived,
            )
        finally:
            stop.set()


def _open_target(session: RestoreSession, to: str, reader: Reader, stop: Event) -> Target:
    settings = session.settings
    bucket, prefix = parse_target(to)
    if not bucket:
        return FolderTarget(Path(to).expanduser(), stop, session.log)
    profile, endpoint_url, keys = settings.restore_profile, settings.restore_endpoint_url, settings.store_keys
    try:
        client = new_s3_client(SPARE_CONNECTIONS, keys=keys, profile=profile, endpoint_url=endpoint_url)
    except StoreRefused as refused:
        raise TargetUnusable(to, refused.message, "Correct RESTORE_PROFILE and RESTORE_ENDPOINT_URL.") from None
    if are_in_one_store(client, session.store_access.client):
        require_apart(settings, bucket, prefix)
    store = Store(client, bucket, settings.transfer_patience, stop, Throttle(MAX_BODIES))
    parts = Semaphore(settings.transfer_concurrency + PARTS_AT_ONCE)
    return BucketTarget(store, f"{prefix}/" if prefix else "", reader, parts)


def parse_target(to: str) -> tuple[str, str]:
    """Return the bucket and the prefix that a target names; empty texts if it is a folder.

    Raises:
        SettingsInvalid: it begins like a bucket's, and names none; or like another URL, which is no folder either; or
            it is empty, as an unset variable is.
    """
    if not to.strip():
        raise SettingsInvalid(("TO: is empty",))
    if not to.startswith("s3:"):
        if scheme := re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)", to):
            raise SettingsInvalid((f"TO: begins with {scheme[0]}://: name a folder, or s3://bucket/prefix",))
        return "", ""
    try:
        return parse_archive_url(to)
    except ValueError as error:
        raise SettingsInvalid((f"TO: {error}",)) from None


def require_apart(settings: RestoreSettings, bucket: str, prefix: str) -> None:
    """Check that a target in the archive's own store is not the archive, and not within it.

    Raises:
        TargetUnusable: it is.
    """
    if bucket == settings.bucket and f"{prefix}/".startswith(settings.root):
        url = f"s3://{bucket}/{prefix}".rstrip("/")
        raise TargetUnusable(url, f"it lies in the archive {settings.archive_url}", "Restore to another place.")
