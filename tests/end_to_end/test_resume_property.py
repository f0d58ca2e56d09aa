"""Whatever happens between runs: what has a `bagit.txt` is whole and of one source, and nothing is fetched twice."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tasks.archive import bag, layout
from tasks.errors import ArchiveDamaged, SourceUnavailable
from tests.standins.realtimekit import Answer, MediaSource, RealtimeKitStandIn, SyntheticContent
from tests.support.strategies import examples
from tests.torture.stage import SEND_BUFFER, archive_in

if TYPE_CHECKING:
    from tests.standins.realtimekit import FileRequest, StandInRecording
    from tests.support.archiving import Archiving

PART = 128 * 1024
MOST_PARTS = 4
SIZES = st.builds(
    lambda parts, more: parts * PART + more, st.integers(1, MOST_PARTS - 1), st.sampled_from([0, 1, 70_000])
)
JUNK = st.sampled_from(
    ["data/stray.bin", "data/video/other.mp4", "unfinished/x.json", "unfinished/nothing", "recording.json", layout.INFO,
     layout.MANIFEST, layout.TAG_MANIFEST]
)  # fmt: skip


class Runs(RuleBasedStateMachine):
    """Runs of one recording that break off, and what others do to source and store in between."""

    bench: Archiving

    def __init__(self) -> None:
        super().__init__()
        self.kit = RealtimeKitStandIn(send_buffer=SEND_BUFFER)
        self.kit.start()
        self.place = archive_in(self.bench.server, self.bench.s3, self.kit)
        self.stored: set[int] = set()  # numbers of the parts that survived, of the source as it is
        self.versions = 0

    def teardown(self) -> None:
        """Stop the stand-in."""
        self.kit.close()

    @initialize(size=SIZES)
    def begin(self, size: int) -> None:
        """Begin with a recording that nobody has touched."""
        self.media = MediaSource(SyntheticContent(size))
        self.recording: StandInRecording = self.place.add(self.media)
        self.committed: dict[str, str] = {}  # SHA-256 of the only file, by path, of the bag that counts

    @property
    def bag_is_there(self) -> bool:
        """Whether the recording is archived, whole or not."""
        return "bagit.txt" in self.place.names(self.recording)

    # What happens

    @precondition(lambda self: not self.bag_is_there)
    @rule(parts=st.integers(0, MOST_PARTS - 1))
    def a_run_breaks_off(self, parts: int) -> None:
        """A run is interrupted once so many parts are stored; those that were there before are not fetched again."""
        if parts * PART >= self.media.size:
            return
        self.kit.file_faults = lambda request: gone(request, parts * PART)
        began = len(self.kit.file_requests)
        with pytest.raises(SourceUnavailable):
            self.place.archived(self.recording, concurrency=1)
        self.kit.file_faults = []
        self.require_nothing_twice(began)
        self.note_what_survived()

    @rule()
    def a_run_ends(self) -> None:
        """A run archives the recording, or finds that it is."""
        there, began = self.bag_is_there, len(self.kit.file_requests)
        try:
            archived = self.place.archived(self.recording)
        except ArchiveDamaged:
            assert there
            return
        assert archived.already_archived == there
        if not there:
            self.require_nothing_twice(began)
            self.require_current(archived.files)
        assert self.place.left_over(self.recording) == []
        self.stored = set()

    @rule()
    def a_run_overwrites(self) -> None:
        """A run replaces what is archived, damaged or not."""
        archived = self.place.archived(self.recording, overwrite=True)
        self.require_current(archived.files)
        assert self.place.left_over(self.recording) == []
        self.stored = set()

    @rule(size=SIZES)
    def the_source_becomes_another(self, size: int) -> None:
        """Another object takes the place of the file."""
        self.versions += 1
        self.media.replace(SyntheticContent(size, seed=self.versions))
        self.stored = set()

    @rule()
    def the_source_changes_its_bytes_only(self) -> None:
        """Another object of the same size takes its place."""
        self.versions += 1
        self.media.replace(SyntheticContent(self.media.size, seed=self.versions))
        self.stored = set()

    @rule(name=JUNK, content=st.sampled_from([b"", b"junk", b"{}", b"[1]", b'{"etag": 1, "key": 2}']))
    @precondition(lambda self: not self.bag_is_there)
    def somebody_leaves_junk(self, name: str, content: bytes) -> None:
        """Something lies in the folder that no run has put there."""
        self.place.s3.put_object(Bucket=self.place.bucket, Key=self.place.folder(self.recording) + name, Body=content)

    @rule()
    @precondition(lambda self: self.stored)
    def the_records_are_lost(self) -> None:
        """Nobody can say of what source the uploads are."""
        for key in self.place.stored_keys(self.place.folder(self.recording) + "unfinished/"):
            self.place.s3.delete_object(Bucket=self.place.bucket, Key=key)
        self.stored = set()

    @rule()
    @precondition(lambda self: self.stored)
    def the_uploads_are_lost(self) -> None:
        """Their records point at nothing."""
        for upload in self.place.run().store.uploads(""):
            self.place.s3.abort_multipart_upload(Bucket=self.place.bucket, Key=upload.key, UploadId=upload.id)
        self.stored = set()

    @rule()
    @precondition(lambda self: self.bag_is_there)
    def a_tag_file_is_lost(self) -> None:
        """The bag is damaged."""
        self.place.s3.delete_object(Bucket=self.place.bucket, Key=self.place.folder(self.recording) + layout.INFO)

    @rule()
    @precondition(lambda self: self.bag_is_there)
    def the_marker_is_lost(self) -> None:
        """What was a bag is none any more."""
        self.place.s3.delete_object(Bucket=self.place.bucket, Key=self.place.folder(self.recording) + layout.MARKER)
        self.committed = {}

    # What must hold

    @invariant()
    def what_is_a_bag_is_whole_and_is_what_a_run_committed(self) -> None:
        """Read the folder as a stranger would."""
        folder = self.place.folder(self.recording)
        objects = {key.removeprefix(folder): body for key, body in self.place.objects().items()}
        if layout.MARKER not in objects:
            return
        stated = bag.parse_manifest(objects[layout.MANIFEST])
        held = {path: hashlib.sha256(body).hexdigest() for path, body in objects.items() if path.startswith("data/")}
        assert stated == held == self.committed

    def require_current(self, files: Any) -> None:
        """Check that a run archived what the source holds now."""
        (file,) = files
        assert file.sha256 == self.media.sha256()
        self.committed = {file.path: file.sha256}

    def require_nothing_twice(self, began: int) -> None:
        """Check that no stored part was fetched since."""
        assert self.kit.wait_idle()
        for request in self.kit.file_requests[began:]:
            # The first range is asked for to see what the source is; what is stored of it is not read.
            assert request.start == 0 or 1 + request.start // PART not in self.stored

    def note_what_survived(self) -> None:
        """Note the parts that the next run can carry on with."""
        store = self.place.run().store
        records = self.place.stored_keys(self.place.folder(self.recording) + "unfinished/")
        uploads = store.uploads("") if records else ()
        self.stored = max((set(store.parts(upload)) for upload in uploads), key=len, default=set())


def gone(request: FileRequest, start: int) -> Answer | None:
    """Let all requests fail from a byte on."""
    return Answer.slow_down(3600) if request.start >= start else None


def test_whatever_happens_between_runs_what_is_a_bag_is_whole_and_of_the_source_as_it_was(rclone: Archiving) -> None:
    class OfThisStore(Runs):
        bench = rclone

    run_state_machine_as_test(
        OfThisStore, settings=examples(6, stateful_step_count=8, suppress_health_check=list(HealthCheck))
    )
