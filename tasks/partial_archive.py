"""Knows archives that a person had made although files were missing: what they lack, and when the rest can be had.

Such a bag states what it lacks. Only bags are read that the two lists of a sweep raise doubts about.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from tasks import bag
from tasks.archive import which
from tasks.errors import ObjectTooLarge, StoreRefused
from tasks.window import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.archive import ArchivedRecording
    from tasks.bucket import Bucket
    from tasks.details import Recording

NAMED = 5
"""How many missing files are named; the others are counted."""


def stated_by(bucket: Bucket, folders: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the findings of bags that state that files are missing, in the order of the folders; of others, none.

    A bag that cannot be read is none of these: whoever needs that bag is told why.

    Args:
        bucket: where the bags are.
        folders: their key prefixes, with a slash at their ends.
    """

    def stated(folder: str) -> tuple[str, ...]:
        with suppress(StoreRefused, ObjectTooLarge):
            findings = bag.stated_findings(bucket.get(folder + bag.INFO) or b"")
            return findings if bag.missing_in(findings) else ()
        return ()

    return list(a_few_at_a_time(stated, list(folders)))


def is_all_there(held: Mapping[str, int], findings: Sequence[str], files: Mapping[str, int]) -> bool:
    """Tell whether there are as many files of each kind as an archive holds and lacks; names may differ.

    Args:
        held: how many the archive holds, by kind.
        findings: what the archive states.
        files: how many can be downloaded, by kind.
    """
    wanted = Counter(held) + Counter(label.split("/")[0] for label in bag.missing_in(findings))
    return not wanted - Counter(files)


def can_be_completed(found: ArchivedRecording, recording: Recording) -> bool:
    """Tell whether an archive states that files are missing, and the API hands out these and all others by now."""
    if not bag.missing_in(found.findings) or recording.status != "UPLOADED" or recording.without_url:
        return False
    if not {which(file.path) for file in found.files} <= set(map(which, bag.payload_paths(recording).values())):
        return False  # as many may have gone as have come
    held = Counter(file.path.split("/")[1] for file in found.files)
    return is_all_there(held, found.findings, Counter(media.kind for media in recording.media))


def described(findings: Sequence[str]) -> str:
    """Return what an archive lacks, and what else the archive states, in sentences."""
    missing = bag.missing_in(findings)
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    others = [finding for finding in findings if not bag.missing_in([finding])]
    return " ".join([f"Without {', '.join(missing[:NAMED])}{more}.", *others])
