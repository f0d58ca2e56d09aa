"""Checks of single bags and folders: by the listing alone, by listing again, and by reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.archive import layout
from tasks.audit.fixity import Verification, verify_bag
from tasks.errors import ArchiverError, StoreRefused, StoreUnavailable, describe_unforeseen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tasks.archive import Held
    from tasks.audit.context import AuditContext
    from tasks.audit.log import Record
    from tasks.s3 import Upload


def is_suspicious(held: Held, records: Mapping[str, Record]) -> bool:
    """Tell whether a listing alone shows a change: a tag file is missing, or files came, went, or are of another size.

    A bag that was never read can only be compared with what all our bags have.
    """
    if held.ours and not held.tags.issuperset(layout.tag_files(held.folder)):
        return True
    record = records.get(held.folder)
    return record is not None and record.sizes != held.sums.sizes


def is_idle(context: AuditContext, folder: str, since: datetime) -> bool:
    """List a folder again, and tell whether no run writes to it: it has no marker, and no object in it is new."""
    listed = list(context.store.list(f"{context.root}{folder}"))
    marker = f"{context.root}{folder}{layout.MARKER}"
    return all(stored.key != marker and stored.modified is not None and stored.modified < since for stored in listed)


def verify_held(context: AuditContext, held: Held, *, payload: bool) -> Verification | str:
    """Verify a bag; return the reason as text if this bag alone cannot be read.

    Raises:
        StoreUnavailable, StoreRefused: the store is away.
    """
    folder, failure = f"{context.root}{held.folder}", ""
    for _ in range(2):
        try:
            return verify_bag(context.new_store(), folder, context.reader, ours=held.ours, payload=payload)
        except (StoreUnavailable, StoreRefused) as error:
            context.store.level(folder)  # waits for a store that is away, and raises if the store does not come back
            failure = str(error)
        except ArchiverError:
            raise
        except Exception as error:  # noqa: BLE001 - a bag may hold anything, and must not stop the audit of others
            return describe_unforeseen(error)
    return failure


def find_abandoned(context: AuditContext, before: datetime) -> list[Upload]:
    """Return the uploads that no run can complete; none on stores that do not list uploads."""
    uploads = context.store.list_uploads_if_supported(context.root) or ()
    return [upload for upload in uploads if upload.begun is not None and upload.begun < before]
