"""Restores for tests, without Prefect, and what they leave, judged by programs that know nothing of us."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any

import bagit

from tasks.restore import RestoreOptions, RestoreSession, find_recordings, restore_recordings
from tasks.session import StoreAccess
from tasks.settings import RestoreSettings
from tests.support.meddling import Meddled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tasks.restore import RestoredBag, RestoreReport
    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving, Setup

LOG = logging.getLogger(__name__)
CHUNK = 64 * 1024
"""Bytes of what is read and written at once, where a test wants small files to take several steps."""


def settings_of(setup: Setup, **different: Any) -> RestoreSettings:
    """Return the settings of a restore from a bench's archive."""
    own: dict[str, Any] = {
        "archive_url": f"s3://{setup.bucket}/{setup.prefix}",
        "transfer_concurrency": setup.concurrency,
        "transfer_patience": setup.patience_s,
        "restore_profile": "",
        "restore_endpoint_url": "",
    }
    return RestoreSettings.model_construct(**own | different)


def restore_with(
    settings: RestoreSettings, client: Any, recording_ids: Sequence[str], to: Path | str, **options: Any
) -> RestoreReport:
    """Restore recordings, with a client of the archive's store."""
    session = RestoreSession(settings, StoreAccess(settings, client), LOG)
    chosen = find_recordings(session.store_access.store(Event()), settings.root, recording_ids, (), LOG)
    return restore_recordings(session, chosen, str(to), RestoreOptions(**options))


def restored(
    bench: Archiving,
    to: Path | str,
    *recordings: StandInRecording,
    meddle: Callable[..., Any] | None = None,
    **options: Any,
) -> RestoreReport:
    """Restore recordings in a run of its own, its store's client in the hands of `meddle`."""
    client = Meddled(bench.s3, meddle) if meddle else bench.s3
    return restore_with(settings_of(bench.setup()), client, [one.id for one in recordings], to, **options)


def problems_of(report: RestoreReport) -> dict[str, str]:
    """Return the kind of each problem by its path."""
    return {problem.path: problem.kind for bag in report.bags for problem in bag.problems}


def only(report: RestoreReport) -> RestoredBag:
    """Return the only bag of a report."""
    (bag,) = report.bags
    return bag


def files_in(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder by their paths."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def require_whole(bag: Path) -> None:
    """Check a bag as `bagit.py --validate` does, and that nothing unfinished is left in it."""
    bagit.Bag(str(bag)).validate()
    assert not (bag / "unfinished").exists()


class Fetched:
    """Counts the bytes of payload files that are asked for, by their paths; in the hands of `Meddled`."""

    def __init__(self, then: Callable[[str, Callable[[], Any]], Any] = lambda _, send: send()) -> None:
        self.ranges: list[tuple[str, int, int]] = []
        self._then = then

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Note a request."""
        path = request.get("Key", "").partition("/data/")[2]
        if method != "get_object" or not path:
            return send()
        if match := re.fullmatch(r"bytes=(\d+)-(\d+)", request.get("Range", "")):
            self.ranges.append((path, int(match[1]), int(match[2]) + 1))
        return self._then(path, send)

    @property
    def count(self) -> int:
        """Bytes that were asked for."""
        return sum(stop - start for _, start, stop in self.ranges)


@contextmanager
def small_ranges(size: int = CHUNK) -> Iterator[None]:
    """Read objects in small ranges and chunks, so that small files take several."""
    import pytest  # noqa: PLC0415 - a child needs none

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.s3.read_ahead.RANGE", size)
        patch.setattr("tasks.s3.bucket.READ_CHUNK", size)
        yield
