"""The stage of a copy: it may run again, and what was done counts on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.copying.archive_copy import ArchiveCopy
from tasks.copying.places import require_apart

if TYPE_CHECKING:
    from tasks.copying.archive_copy import CopyOptions
    from tasks.copying.context import CopySession
    from tasks.copying.findings import CopyFindings


def copy_bags(session: CopySession, findings: CopyFindings, options: CopyOptions) -> None:
    """Copy what the copy has not, or compare both archives.

    Args:
        session: of the run.
        findings: told of all that is done and found out.
        options: see `CopyOptions`.

    Raises:
        StoreUnavailable, StoreRefused: the archive's store.
        CopyUnusable, CopyUnavailable: the copy's store.
    """
    with session.attempt() as context:
        if (options.replace or session.is_doubtful) and not options.compare:
            require_apart(context)
        ArchiveCopy(context, findings, options).run()
