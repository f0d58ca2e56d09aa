"""The restore of one bag: its files first, each verified, and `bagit.txt` last, once all others are there.

A bag may be replaced in the archive while it is read. So nothing counts as damaged or missing unless the bag's listing
is the same before and after the look that found it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.archive import shown, tag_type
from tasks.errors import StoredWrong, StoreRefused, StoreUnavailable
from tasks.restore.bag_contents import read_bag, read_derived
from tasks.restore.file_reading import FileReading
from tasks.restore.models import CHANGEABLE, Problem, RestoredBag
from tasks.restore.target import FileDamaged, FileUnplaceable, State
from tasks.s3 import ARCHIVED_CLASS
from tasks.workers import Pool

if TYPE_CHECKING:
    from tasks.restore.context import ChosenBag, RestoreContext
    from tasks.restore.models import BagContents, BagFile, ProblemKind
    from tasks.s3 import Bucket

LOOKS = 3
"""At a bag that is another at each."""
FILES_AT_ONCE = 2
"""Of one bag."""


def restore_bag(context: RestoreContext, chosen: ChosenBag) -> tuple[RestoredBag, str]:
    """Restore a bag as far as that can be done; return what became of it, and the id of the recording's session.

    Raises:
        StoreUnavailable, StoreRefused: the archive's store is away.
        TargetUnusable, TargetUnavailable: nothing can be brought there.
        TransferStopped: the run is being stopped.
    """
    bucket = context.new_bucket()
    for _ in range(LOOKS):
        restore = BagRestore(context, bucket, chosen)
        result, session_id = restore.run()
        if not {problem.kind for problem in result.problems} & CHANGEABLE or not restore.has_changed():
            break
        context.log.info("%s was replaced meanwhile: looking again.", result.archive_url)
    for problem in result.problems:
        context.log.error("%s: %s: %s: %s", chosen.id, problem.path or "the recording", problem.kind, problem.detail)
    return result, session_id


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
        self._problems: list[Problem] = []
        self._right: dict[str, BagFile] = {}
        self._fetched = 0

    @property
    def _folder(self) -> str:
        return self._context.root + self._chosen.folder

    def run(self) -> tuple[RestoredBag, str]:
        """Restore the bag; see `restore_bag`."""
        self._contents = contents = self._read() if self._chosen.folder else None
        if contents is None:
            if not self._problems:
                self._note("not archived", "", "no bag of it is in the archive")
            return self._result(whole=False), ""
        self._problems += contents.problems
        whole = self._restore(contents)
        return self._result(whole=whole), contents.session_id

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
            is_archived = isinstance(error, StoreRefused) and error.code == ARCHIVED_CLASS
            if not is_archived:
                self._note("unreadable", "", str(error))
            elif not self._context.thaw_days:
                self._note("archived class", "", "its tag files have to be asked for first, and maybe all else")
            else:
                for stored in self._bucket.list(self._folder):
                    self._note_archived_class(stored.key.removeprefix(self._folder), stored.key)
            return None

    def _restore(self, contents: BagContents) -> bool:
        """Bring what is missing, and tell whether the bag is whole now."""
        has_derived = self._context.derived and self._chosen.kind == "recording"
        derived = read_derived(self._bucket, self._folder) if has_derived else []
        files, marker = [*contents.files, *derived], contents.marker
        wanted = self._look(files)
        lost = any(file.stored is None and file.path not in self._right for file in contents.files)
        if wanted or lost or (marker is not None and self._look([marker])):
            try:
                with self._target.hold(self._base):
                    self._bring_all(contents, wanted, lost=lost)
            except FileUnplaceable as error:
                self._note("unsafe", "", error.reason)
        return marker is not None and marker.path in self._right and contents.is_stated and self._has_all(contents)

    def _has_all(self, contents: BagContents) -> bool:
        return all(file.path in self._right for file in contents.files)

    def _bring_all(self, contents: BagContents, wanted: list[BagFile], *, lost: bool) -> None:
        """Bring files, and the marker once all are there: until then, what is there is no bag.

        Args:
            lost: a file is neither here nor in the archive.
        """
        marker = contents.marker
        wanted = self._tell_apart(self._look(wanted))  # another restore may have been at work meanwhile
        if marker is not None and (wanted or lost) and self._target.state(self._at(marker), marker) is State.RIGHT:
            self._target.remove(self._at(marker))
            self._right.pop(marker.path, None)
        self._target.require_room(self._base, {self._at(file): file for file in wanted})
        self._bring_each(wanted)
        if marker is not None and contents.is_stated and self._has_all(contents):
            self._target.settle(self._base)
            self._bring_each(self._look([marker]))
            self._target.settle(self._base)

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
            described = self._described(file)
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
            if refused.code == ARCHIVED_CLASS:
                self._note_archived_class(file.path, self._folder + file.path)
            else:
                self._note("unreadable", file.path, str(refused))
        except StoreUnavailable as away:
            self._bucket.level(self._folder)  # raises if the store is away
            self._note("unreadable", file.path, str(away))
        else:
            self._right[file.path] = file
            self._fetched += fetched

    def _described(self, file: BagFile) -> BagFile:
        """Return a file with the type and the metadata of its object, where the target keeps them."""
        if not self._target.keeps_types or file.content_type:
            return file
        if file.content is not None or file.stored is None:
            return replace(file, content_type=tag_type(file.path))
        found = self._bucket.head(file.stored.key)
        if found is None or found.size != file.size:
            raise StoredWrong(file.stored.key, f"{file.size} bytes", f"{found.size} bytes" if found else "nothing")
        return replace(file, stored=found, content_type=found.content_type)

    def _at(self, file: BagFile) -> str:
        """Return where a file belongs, below the target's root."""
        return f"{self._base}{file.path}" if file.is_beside else f"{self._base}/{file.path}"

    def _note_archived_class(self, path: str, key: str) -> None:
        """Note that an object is in an archived storage class, and ask for it if that is wanted."""
        detail = "its storage class has to be asked for it first"
        if self._context.thaw_days:
            if not self._bucket.thaw(key, self._context.thaw_days):
                return
            detail = f"asked for: it will be readable for {self._context.thaw_days} days"
        self._note("archived class", path, detail)

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
