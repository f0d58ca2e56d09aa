"""One bag on its way to the copy, what is compared of two bags, and how a bag is deleted from the copy.

A copy is a restore into another bucket: verified while the bytes move, carried on after a death, `bagit.txt` last.
Nothing in the copy is ever written over or deleted by that.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from tasks.archive import held_at, inspect_bag, layout, shown
from tasks.copying.listing import has_same_content
from tasks.copying.models import CopyProblem
from tasks.errors import ObjectTooLarge, StoredWrong, StoreRefused
from tasks.restore import ChosenBag, restore_bag
from tasks.s3 import ARCHIVED_CLASS, crc64

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.archive import InspectedBag
    from tasks.copying.context import CopyContext
    from tasks.copying.listing import ListedBag
    from tasks.restore import RestoredBag
    from tasks.s3 import Bucket, StoredObject

ANOTHER = "it and the archive's state different files"
COLD = b"in an archived storage class"
"""In place of a content that nobody can read now; no tag file holds that."""


def copy_bag(context: CopyContext, folder: str) -> RestoredBag:
    """Copy a bag, as far as that can be done.

    Args:
        context: of the run.
        folder: of the bag, below the roots, with a slash at its end.

    Raises:
        StoreUnavailable, StoreRefused: the archive's store is away.
        CopyUnusable, CopyUnavailable: the copy's store.
        TransferStopped: the run is being stopped.
    """
    held = held_at(folder)
    chosen = ChosenBag("session" if held.is_session else "recording", held.recording_id, folder)
    with context.as_target():
        return restore_bag(context.restore, chosen).result


def is_the_same(context: CopyContext, first: ListedBag, copy: ListedBag) -> bool:
    """Tell whether two bags state the same, by their tag manifests: these state the manifests, and so all files."""
    ours, theirs = (bag.files.get(layout.TAG_MANIFEST) for bag in (first, copy))
    if ours is None or theirs is None:
        return True  # one of the two lacks a file, and nothing says that they are different bags
    if has_same_content(ours, theirs):
        return True
    with context.at_copy():
        content = _read_if_warm(context.copy, theirs.key)
    stated = _read_if_warm(context.first, ours.key)
    return COLD in {content, stated} or content == stated


def _read_if_warm(bucket: Bucket, key: str) -> bytes | None:
    """Return a small object's content, or `COLD` if it is in an archived storage class."""
    try:
        return bucket.get(key)
    except StoreRefused as refused:
        if refused.code != ARCHIVED_CLASS:
            raise
        return COLD


def inspect_first(context: CopyContext, folder: str) -> tuple[InspectedBag | None, list[CopyProblem]]:
    """Return the archive's bag, and what is wrong with the bag as far as its tag files and its listing show."""
    try:
        inspected = inspect_bag(context.first, context.first_root + folder)
    except StoreRefused as refused:
        context.first.level(context.first_root + folder)  # raises if the store refuses all
        return None, [describe_refusal(refused)]
    findings = inspected.findings if inspected else ()
    return inspected, [CopyProblem(kind="damaged", path="", detail=shown(finding)) for finding in findings]


def describe_refusal(refused: StoreRefused, path: str = "") -> CopyProblem:
    """Return why a file of the archive cannot be read."""
    kind = "archived class" if refused.code == ARCHIVED_CLASS else "unreadable"
    return CopyProblem(kind=kind, path=shown(path), detail=shown(f"{refused.code}: {refused.message}"))


def compare_manifests(context: CopyContext, bag: ListedBag, listed: ListedBag) -> list[CopyProblem]:
    """Read the tag files of a bag in both archives, and return in what the two differ, or are damaged.

    If they are in an archived storage class on either side, names and sizes of the files are compared.

    Args:
        context: of the run.
        bag: in the archive, as listed.
        listed: the same in the copy.
    """
    folder, is_cold = bag.folder, False
    first, problems = inspect_first(context, folder)
    with context.at_copy():
        try:
            copy = inspect_bag(context.copy, context.copy_root + folder)
        except StoreRefused as refused:
            if refused.code != ARCHIVED_CLASS:
                raise
            copy, is_cold = None, True
    if is_cold or [problem.kind for problem in problems] == ["archived class"]:
        different = CopyProblem(kind="another", path="", detail="names or sizes of its files are not the archive's")
        return [] if bag.sizes == listed.sizes else [different]
    if first is None or copy is None:  # it was deleted meanwhile, or cannot be read
        return problems
    problems += [CopyProblem(kind="damaged in the copy", path="", detail=shown(finding)) for finding in copy.findings]
    return problems or ([] if first.tags == copy.tags else [CopyProblem(kind="another", path="", detail=ANOTHER)])


def replace_bag(context: CopyContext, folder: str) -> RestoredBag | list[CopyProblem]:
    """Copy a bag in the place of the one in the copy, which is deleted once the archive's was read, and is whole.

    Returns:
        What became of the bag, or what is wrong with the archive's: then the copy is as it was.
    """
    inspected, problems = inspect_first(context, folder)
    if inspected is not None and not problems:
        problems = [problem for path in inspected.checksums if (problem := _read(context, inspected, path))]
    if inspected is None or problems:
        return problems or [CopyProblem(kind="not archived", path="", detail="no bag of it is in the archive")]
    with context.at_copy():
        listed = list(context.copy.list(context.copy_root + folder))
    delete_objects(context, folder, listed)
    return copy_bag(context, folder)


def _read(context: CopyContext, bag: InspectedBag, path: str) -> CopyProblem | None:
    """Read a payload file of the archive, and return what is wrong with the file."""
    sha256 = bag.checksums[path]
    try:
        actual = context.reader.digests(context.first, bag.listed[path], ("sha256",))["sha256"]
    except StoreRefused as refused:
        return describe_refusal(refused, path)
    except StoredWrong as wrong:
        return CopyProblem(kind="damaged", path=shown(path), detail=f"expected {wrong.expected}, found {wrong.actual}")
    if actual == sha256:
        return None
    return CopyProblem(kind="damaged", path=shown(path), detail=f"expected SHA-256 {sha256}, found {actual}")


def delete_objects(context: CopyContext, folder: str, stored: Iterable[StoredObject]) -> None:
    """Delete objects of a bag from the copy, and uploads under way: the marker first, so that no half looks whole.

    Args:
        context: of the run.
        folder: of the bag, below the roots, with a slash at its end.
        stored: the bag's objects, and what was made from the recording.
    """
    marker = f"{context.copy_root}{folder}{layout.MARKER}"
    with context.at_copy():
        context.copy.delete(chain([marker], (each.key for each in stored if each.key != marker)))
        for upload in context.copy.list_uploads_if_supported(context.copy_root + folder) or ():
            context.copy.abort(upload)


def copy_small_file(context: CopyContext, path: str, first: StoredObject, copies: Mapping[str, StoredObject]) -> int:
    """Copy a file that no manifest states, unless the copy has it; return the bytes that were sent, or -1.

    Args:
        context: of the run.
        path: below the roots.
        first: the file in the archive.
        copies: such files in the copy, by path.
    """
    there = copies.get(path)
    if there is not None and (has_same_content(first, there) or _is_younger(there, first)):
        return -1
    try:
        described, content = context.first.head(first.key), context.first.get(first.key)
    except (StoreRefused, ObjectTooLarge) as error:
        context.first.level(first.key.rpartition("/")[0] + "/")  # raises if the store refuses all
        context.log.warning("Not copied: %s: %s", shown(path), error)
        return -1
    if described is None or content is None:  # it was deleted meanwhile
        return -1
    key = context.copy_root + path
    with context.at_copy():
        context.copy.put(key, content, described.content_type, described.metadata)
        context.copy.verify(key, len(content), crc64(content))
    return len(content)


def _is_younger(copy: StoredObject, first: StoredObject) -> bool:
    """Tell whether a copy of the same size was written after the file: stores differ in their ETags."""
    if copy.size != first.size or copy.modified is None or first.modified is None:
        return False
    return copy.modified > first.modified
