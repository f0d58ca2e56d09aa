"""A trial whether the copy is another place than the archive, whatever the names of stores and buckets are."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from tasks.archive import layout
from tasks.errors import CopyUnusable, StoreRefused

if TYPE_CHECKING:
    from tasks.copying.context import CopyContext

_PROBE = b"is this another place than the archive?"


def require_apart(context: CopyContext) -> None:
    """Check that an object that is put into the copy does not appear in the archive's bucket.

    A store may have several addresses, and a bucket several names: whoever deletes from a copy that is the archive
    itself deletes the archive.

    Raises:
        CopyUnusable: the object appears there, or the copy does not take it.
        CopyUnavailable: the copy's store is away.
        StoreRefused, StoreUnavailable: the archive's store.
    """
    key = f"{context.copy_root}{layout.UNFINISHED}/is-it-another-place-{uuid.uuid4().hex}"
    with context.at_copy():
        context.copy.put(key, _PROBE, "text/plain")
    try:
        is_seen = context.first.head(key) is not None
    finally:
        with context.at_copy(), suppress(StoreRefused):  # a copy from which nothing may be deleted
            context.copy.delete([key])
    if is_seen:
        reason = f"what is put there appears in the archive's bucket {context.first.bucket}: one store has two names"
        raise CopyUnusable(context.copy_url, reason, "Name another place in ARCHIVE_COPY_URL.")
