"""Bags of which files are in an archived storage class, so that nobody can read the files now.

Such a bag is neither damaged nor whole. What its listing and its other files show still counts, and so does what
earlier audits have found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.audit.schedule import is_new

if TYPE_CHECKING:
    from tasks.archive import Held
    from tasks.audit.fixity import Verification
    from tasks.audit.log import Record

CHANGED = (
    "files came, went or were cut since the last audit, and the files that state what has to be there are in an "
    "archived storage class: ask the store for these files with flows.restore_recording ID TO --thaw DAYS"
)


def hides_change(result: Verification, before: Record | None) -> bool:
    """Tell whether the listing differs from the last audit's, while nothing readable states what has to be there.

    Args:
        result: of verifying the bag now.
        before: the last record of the bag.
    """
    if not result.lacks_texts or before is None or before.outcome == "gone":  # the sizes of a lost bag are not kept
        return False
    return before.sizes != result.sums.sizes


def is_known_damage(held: Held, before: Record | None) -> bool:
    """Tell whether an earlier audit has found this version of a bag damaged."""
    return before is not None and before.outcome == "damaged" and not is_new(held, before)
