"""Partial archives, which a person had made although files were missing: what they lack, and when the rest can be had.

Such a bag states what it lacks, in bag-info.txt.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from tasks.archive import bag, layout
from tasks.archive.file_names import payload_paths
from tasks.errors import ObjectTooLarge, StoreRefused
from tasks.realtimekit import RecordingStatus
from tasks.workers import a_few_at_a_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.archive.models import ArchivedRecording
    from tasks.realtimekit import Recording
    from tasks.s3 import Bucket

NAMED = 5
"""How many missing files are named; the others are counted."""


def read_missing(bucket: Bucket, folders: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the findings of the bags that state that files are missing, in the order of the folders; else none.

    A bag that cannot be read counts as one without findings: the run that needs the bag tells why.

    Args:
        bucket: where the bags are.
        folders: their key prefixes, with a slash at their ends.
    """

    def read(folder: str) -> tuple[str, ...]:
        with suppress(StoreRefused, ObjectTooLarge):
            findings = bag.stated_findings(bucket.get(folder + layout.INFO) or b"")
            return findings if bag.missing_labels(findings) else ()
        return ()

    return list(a_few_at_a_time(read, list(folders)))


def can_be_whole(held: Mapping[str, int], findings: Sequence[str], files: Mapping[str, int]) -> bool:
    """Tell whether there are as many files of each kind as an archive holds and lacks; names may differ.

    Args:
        held: how many the archive holds, by kind.
        findings: what the archive states.
        files: how many can be downloaded, by kind.
    """
    wanted = Counter(held) + Counter(label.split("/")[0] for label in bag.missing_labels(findings))
    return not wanted - Counter(files)


def can_be_completed(archived: ArchivedRecording, recording: Recording) -> bool:
    """Tell whether an archive states that files are missing, and the API hands out these and all others by now."""
    if (
        not bag.missing_labels(archived.findings)
        or recording.status != RecordingStatus.UPLOADED
        or recording.without_url
    ):
        return False
    held_files = {layout.identity_of(file.path) for file in archived.files}
    if not held_files <= set(map(layout.identity_of, payload_paths(recording).values())):
        return False  # as many may have gone as have come
    held = Counter(layout.kind_of(file.path) for file in archived.files)
    return can_be_whole(held, archived.findings, Counter(media.kind for media in recording.media))


def describe_missing(findings: Sequence[str]) -> str:
    """Return what an archive lacks, and what else the archive states, in sentences."""
    missing = bag.missing_labels(findings)
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    others = [finding for finding in findings if not bag.missing_labels([finding])]
    return " ".join([f"Without {', '.join(missing[:NAMED])}{more}.", *others])
