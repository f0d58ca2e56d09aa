"""The restore of one bag: its files first, each verified, and `bagit.txt` last, once all others are there.

A bag may be replaced in the archive while it is read. So nothing counts as damaged or missing unless the bag's listing
is the same before and after the look that found it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tasks.archive import find_tombstone, layout, shown
from tasks.errors import StoredWrong, StoreRefused, StoreUnavailable
from tasks.restore.bag_contents import read_bag, read_derived
from tasks.restore.file_reading import FileReading, describe
from tasks.restore.models import CHANGEABLE, Problem, RestoredBag
from tasks.restore.storage_class import ArchivedObjects
from tasks.restore.target import FileDamaged, FileUnplaceable, State
from tasks.workers import Pool

if TYPE_CHECKING:
    from tasks.errors import ArchiverError
    from tasks.restore.context import ChosenBag, RestoreContext
    from tasks.restore.models import BagContents, BagFile, ProblemKind
    from tasks.s3 import Bucket

LOOKS = 3
"""At a bag that is another at each."""
FILES_AT_ONCE = 2  # of one bag


class BagOutcome(NamedTuple):
    """What became of a bag."""

    result: RestoredBag
    session_id: str  # of a recording; empty if nothing tells it
    thawing: tuple[str, ...] = ()  # keys of objects that are asked for, and not readable yet


def restore_bag(context: RestoreContext, chosen: ChosenBag) -> BagOutcome:
    """Restore a bag as far as that can be done.

    Raises:
        StoreUnavailable, StoreRefused: the archive's store is away.
        TargetUnusable, TargetUnavailable: nothing can be brought there.
        TransferStopped: the run is being stopped.
    """
    bucket = context.new_bucket()
    for _ in range(LOOKS):
        restore = BagRestore(context, bucket, chosen)
        outcome = restore.run()
        result = outcome.result
        if not {problem.kind for problem in result.problems} & CHANGEABLE or not restore.has_changed():
            break
        context.log.info("%s was replaced meanwhile: looking again.", result.archive_url)
    for problem in result.problems:
        context.log.error("%s: %s: %s: %s", chosen.id, problem.path or "the recording", problem.kind, problem.detail)
    return outcome


class BagRestore:
    """One look at a bag, and the restore of what that shows.

    Args:
        context: of the run.
        bucket: the archive's.
        chosen: the bag.
    """

    def __init__(self, context: RestoreContext, bucket: Bucket, chosen: ChosenBag) -> None:
        self._context = context
        self._target = context.target
        self._bucket = bucket
        self._chosen = chosen
        self._base = context.target.base(chosen.folder) if chosen.folder else chosen.id
        self._contents: BagContents | None = None
        self._archived = ArchivedObjects(context, bucket, self._folder)
        self._problems: list[Problem] = []
        self._right: dict[str, BagFile] = {}
        self._fetched = 0
        self._has_strangers = False

    @property
    def _folder(self) -> str:
        return self._context.root + self._chosen.folder

    def run(self) -> BagOutcome:
        """Restore the bag; see `restore_bag`."""
        self._contents = contents = self._read() if self._chosen.folder else None
        if contents is None:
            if not self._problems:
                self._note("not archived", "", self._why_not())
            return BagOutcome(self._result(whole=False), "", tuple(self._archived.thawing))
        self._problems += contents.problems
        if self._context.whole_only and contents.findings:
            for finding in contents.findings if not contents.problems else ():
                self._note("damaged", "", finding)
            return BagOutcome(self._result(whole=False), contents.session_id)
        whole = self._restore(contents)
        return BagOutcome(self._result(whole=whole), contents.session_id, tuple(self._archived.thawing))

    def _why_not(self) -> str:
        """Return why there is no bag: a catalog may name one that was deleted since."""
        deleted = find_tombstone(self._bucket, self._folder) if self._chosen.folder else None
        if deleted is not None and deleted.is_in_force:
            return deleted.describe()
        return self._chosen.deleted or "no bag of it is in the archive"

    def has_changed(self) -> bool:
        """Tell whether the bag is another one now."""
        if self._contents is None:
            return False
        now = read_bag(self._bucket, self._folder)
        return now is None or now.versions != self._contents.versions

    def _read(self) -> BagContents | None:
        try:
            return read_bag(self._bucket, self._folder)
        except (StoreRefused, StoreUnavailable) as error:
            self._bucket.level(self._folder)  # raises if the store is away, or refuses all
            if isinstance(error, StoreRefused):
                self._problems += self._archived.problems_of_all(error)
            else:
                self._note("unreadable", "", str(error))
            return None

    def _restore(self, contents: BagContents) -> bool:
        """Bring what is missing, and tell whether the bag is whole now."""
        has_derived = self._context.derived and self._chosen.kind == "recording"
        derived = read_derived(self._bucket, self._folder, self._note_derived) if has_derived else []
        files, marker = [*contents.files, *derived], contents.marker
        wanted = self._look(files)
        self._look_for_strangers(contents)
        lost = any(file.stored is None and file.path not in self._right for file in contents.files)
        if wanted or lost or (marker is not None and self._look([marker])):
            try:
                with self._target.hold(self._base):
                    self._bring_all(contents, wanted, lost=lost)
            except FileUnplaceable as error:
                self._note("unsafe", "", error.reason)
        return marker is not None and marker.path in self._right and self._has_all(contents)

    def _note_derived(self, suffix: str, error: ArchiverError) -> None:
        """Note that something that was made from the recording cannot be had: the recording itself may be."""
        if isinstance(error, StoreRefused):
            self._bucket.level(self._folder)  # raises if the store refuses all
            key = self._folder.rstrip("/") + suffix
            self._problems.append(self._archived.problem_of(suffix, error, key))
        else:
            self._note("unreadable", suffix, str(error))

    def _has_all(self, contents: BagContents) -> bool:
        is_there = all(file.path in self._right for file in contents.files)
        return is_there and contents.is_stated and not self._has_strangers

    def _look_for_strangers(self, contents: BagContents) -> None:
        """Note files among the payload that are not the bag's: with them, it is no whole bag for anybody's tools."""
        if not contents.is_stated:
            return
        for path in self._target.strangers(self._base, {file.path for file in contents.files}):
            self._has_strangers = True
            self._note("in the way", path, "no manifest states it, and it is left as it is: move it elsewhere")

    def _bring_all(self, contents: BagContents, wanted: list[BagFile], *, lost: bool) -> None:
        """Bring files, and the marker once all are there: until then, what is there is no bag.

        Args:
            lost: a file is neither here nor in the archive.
        """
        marker = contents.marker
        wanted = self._tell_apart(self._look(wanted))  # another restore may have been at work meanwhile
        if wanted or lost:
            self._remove_marker(marker)
        self._target.require_room(self._base, {self._at(file): file for file in wanted})
        self._bring_each(wanted)
        if marker is not None and self._has_all(contents):
            self._target.settle(self._base)
            self._bring_each(self._look([marker]))
            self._target.settle(self._base)

    def _remove_marker(self, marker: BagFile | None) -> None:
        """Remove the marker of this bag, or of what is being replaced."""
        if marker is None:
            if self._context.overwrite:
                self._target.remove(f"{self._base}/{layout.MARKER}")
        elif self._target.state(self._at(marker), marker) is State.RIGHT:
            self._target.remove(self._at(marker))
            self._right.pop(marker.path, None)

    def _tell_apart(self, files: list[BagFile]) -> list[BagFile]:
        """Return the files without those whose names the target takes for those of others."""
        in_bag = [file.path for file in (*files, *self._right.values()) if not file.is_beside]
        clashing = self._target.clashes(self._base, in_bag)
        for path in sorted(clashing):
            self._note("unsafe", path, "this file system takes the name for that of another file")
        return [file for file in files if file.path not in clashing]

    def _bring_each(self, files: list[BagFile]) -> None:
        with Pool(FILES_AT_ONCE, self._context.stop) as pool:
            pool.map(self._bring, files)

    def _look(self, files: list[BagFile]) -> list[BagFile]:
        """Return the files that are to be brought; note those that are there, and what lies in the way."""
        with Pool(FILES_AT_ONCE, self._context.stop) as pool:
            wanted = pool.map(self._is_wanted, files)
        return [file for file, is_wanted in zip(files, wanted, strict=True) if is_wanted]

    def _is_wanted(self, file: BagFile) -> bool:
        try:
            state = self._target.state(self._at(file), file)
        except FileUnplaceable as error:
            self._note("unsafe", file.path, error.reason)
            return False
        if state is State.RIGHT:
            self._right[file.path] = file
        elif file.stored is None and file.content is None:
            return False  # the problem is known
        elif state is State.OTHER and not self._context.overwrite:
            self._note("in the way", file.path, f"{self._target.place(self._at(file))} is another file, left as it is")
            return False
        return state is not State.RIGHT

    def _bring(self, file: BagFile) -> None:
        """Bring one file, or note why that cannot be done."""
        try:
            described = describe(self._bucket, file) if self._target.keeps_types else file
            fetched = self._target.write(
                self._base,
                self._at(file),
                described,
                FileReading(self._context, self._bucket, described),
                overwrite=self._context.overwrite,
            )
        except FileDamaged as damaged:
            self._note("damaged", file.path, f"expected SHA-256 {file.sha256}, found {damaged.actual}")
        except StoredWrong as wrong:
            self._note("damaged", file.path, f"expected {wrong.expected}, found {wrong.actual}")
        except FileUnplaceable as error:
            self._note("in the way" if error.in_the_way else "unsafe", file.path, error.reason)
        except StoreRefused as refused:
            self._problems.append(self._archived.problem_of(file.path, refused))
        except StoreUnavailable as away:
            self._bucket.level(self._folder)  # raises if the store is away
            self._note("unreadable", file.path, str(away))
        else:
            self._right[file.path] = file
            self._fetched += fetched

    def _at(self, file: BagFile) -> str:
        """Return where a file belongs, below the target's root."""
        return f"{self._base}{file.path}" if file.is_beside else f"{self._base}/{file.path}"

    def _note(self, kind: ProblemKind, path: str, detail: str) -> None:
        self._problems.append(Problem(kind=kind, path=shown(path), detail=shown(detail)))

    def _result(self, *, whole: bool) -> RestoredBag:
        right = [file for file in self._right.values() if not file.is_beside]
        return RestoredBag(
            kind=self._chosen.kind,
            id=self._chosen.id,
            archive_url=f"s3://{self._bucket.bucket}/{self._folder}" if self._chosen.folder else "",
            restored_to=self._target.place(self._base),
            whole=whole,
            files=len(right),
            bytes=sum(file.size for file in right),
            fetched_bytes=self._fetched,
            problems=tuple(self._problems),
        )
