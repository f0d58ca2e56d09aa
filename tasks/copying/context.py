"""What all stages of a copy share: the two archives, and how bags come from one to the other."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Semaphore
from typing import TYPE_CHECKING

from tasks.errors import (
    CopyUnavailable,
    CopyUnusable,
    StoredWrong,
    StoreRefused,
    StoreUnavailable,
    TargetUnavailable,
    TargetUnusable,
)
from tasks.restore import PARTS_AT_ONCE, BucketTarget, RestoreContext, SummedTally
from tasks.s3 import are_in_one_store, open_reader
from tasks.transfer import progress_views, show_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.copy_settings import CopyArchiveSettings, CopySettings
    from tasks.s3 import Bucket, Reader, Store
    from tasks.session import StoreAccess
    from tasks.settings import ArchiveSettings
    from tasks.text import Log


def require_two_places(
    first: ArchiveSettings, first_access: StoreAccess, copy: ArchiveSettings, copy_access: StoreAccess
) -> None:
    """Check that neither the copy lies in the archive, nor the archive in the copy.

    Raises:
        CopyUnusable: one of them does.
    """
    if _overlap(first, copy) and are_in_one_store(first_access.client, copy_access.client):
        reason = f"it and the archive {first.archive_url} lie in the same place of one bucket"
        raise CopyUnusable(copy.archive_url, reason, "Name another bucket or prefix in ARCHIVE_COPY_URL.")


def _overlap(first: ArchiveSettings, copy: ArchiveSettings) -> bool:
    """Tell whether one of two archives lies in the other, if they are in one store."""
    is_nested = first.root.startswith(copy.root) or copy.root.startswith(first.root)
    return first.bucket == copy.bucket and is_nested


@dataclass(frozen=True)
class CopySession:
    """What all stages of a copy share.

    Raises:
        CopyUnusable: the copy would lie in the archive, or the archive in the copy.
    """

    settings: CopySettings
    copy_settings: CopyArchiveSettings
    store_access: StoreAccess  # the archive's
    copy_access: StoreAccess
    log: Log

    def __post_init__(self) -> None:
        """Check that the two archives are two."""
        require_two_places(self.settings, self.store_access, self.copy_settings, self.copy_access)

    @property
    def is_doubtful(self) -> bool:
        """Whether buckets and prefixes are the same, so that two addresses may be those of one store."""
        return _overlap(self.settings, self.copy_settings)

    @contextmanager
    def attempt(self) -> Iterator[CopyContext]:
        """Give what one attempt at a stage works with; all of it ends with the block."""
        settings, stop, tally = self.settings, Event(), SummedTally()
        copy = self.copy_access.store(stop)
        parts = Semaphore(settings.transfer_concurrency + PARTS_AT_ONCE)
        with (
            open_reader(settings.transfer_concurrency, whole_first=True) as reader,
            show_progress(tally, progress_views(self.log)),
        ):
            restore = RestoreContext(
                new_bucket=lambda: self.store_access.store(stop),
                root=settings.root,
                target=BucketTarget(copy, self.copy_settings.root, reader, parts),
                reader=reader,
                progress=tally,
                stop=stop,
                log=self.log,
                whole_only=True,
            )
            try:
                yield CopyContext(
                    self.store_access.store(stop),
                    copy,
                    settings.root,
                    self.copy_settings.root,
                    self.copy_settings.archive_url,
                    restore,
                    reader,
                    stop,
                    self.log,
                )
            finally:
                stop.set()


@dataclass(frozen=True)
class CopyContext:
    """What one attempt at a stage works with."""

    first: Bucket  # the archive's
    copy: Store
    first_root: str  # key prefixes, with a slash at their ends, or empty
    copy_root: str
    copy_url: str
    restore: RestoreContext
    reader: Reader
    stop: Event
    log: Log

    @contextmanager
    def at_copy(self) -> Iterator[None]:
        """Tell errors of the copy's store apart from those of the archive's.

        Raises:
            CopyUnusable, CopyUnavailable: what the copy's store did in the block.
        """
        try:
            yield
        except StoreRefused as refused:
            failure: Exception = CopyUnusable(self.copy_url, f"{refused.code}: {refused.message}")
        except StoreUnavailable as away:
            failure = CopyUnavailable(self.copy_url, away.reason)
        except StoredWrong as wrong:
            failure = CopyUnavailable(self.copy_url, f"{wrong.target}: expected {wrong.expected}, got {wrong.actual}")
        else:
            return
        raise failure

    @contextmanager
    def as_target(self) -> Iterator[None]:
        """Translate the errors of a restore's target, which here is the copy.

        Raises:
            CopyUnusable, CopyUnavailable: what the copy's store did in the block.
        """
        try:
            yield
        except TargetUnusable as unusable:
            failure: Exception = CopyUnusable(self.copy_url, unusable.reason)
        except TargetUnavailable as away:
            failure = CopyUnavailable(self.copy_url, away.reason)
        else:
            return
        raise failure
