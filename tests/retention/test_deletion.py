"""What is deleted is gone with all that was made from it; a tombstone proves it; a death at any moment is mended."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import RequestUnclear
from tasks.retention import ExpiryReport
from tests.support.expiring import WHO, Expiring, is_without_names
from tests.support.meddling import WRITES, Meddled, refusal
from tests.support.meetings import Meeting, chat, transcript

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.archiving import Archiving


def archived_meeting(bench: Archiving, recordings: int = 1, **more: Any) -> tuple[Meeting, list[Any]]:
    """Archive a meeting with its documents, and its recordings."""
    meeting = Meeting.at(bench, **more)
    meeting.put("transcript", transcript("Hello"))
    meeting.put("chat", chat("hi"), "chat.json")
    found = [meeting.add_recording(after_s=10 * number) for number in range(recordings)]
    for recording in found:
        bench.run().archived_with_session(recording.id)
    return meeting, found


def test_a_recording_goes_with_its_sessions_documents_and_all_that_was_made_from_it(expiring: Expiring) -> None:
    bench = expiring.bench
    meeting, (recording,) = archived_meeting(bench)
    other = expiring.old(1)
    folder = bench.folder(recording)
    manifest = bench.objects()[f"{folder}manifest-sha256.txt"]
    for suffix in (".description.json", ".poster.jpg"):
        expiring.put(f"{folder.rstrip('/')}{suffix}")
    bench.s3.create_multipart_upload(Bucket=bench.bucket, Key=f"{folder}data/video/again.mp4")
    assert f"{folder.rstrip('/')}.vtt" in bench.stored_keys()

    shown = expiring.run(delete=False, recording_ids=(recording.id,))
    (planned,) = shown.deleted
    assert (shown.dry_run, planned.state, planned.session_ids) == (True, "planned", (meeting.id,))
    assert planned.objects == len([key for key in bench.stored_keys() if recording.id in key])
    assert expiring.events == []
    assert not bench.stored_keys("archive/_deleted/")

    report = expiring.run(recording_ids=(recording.id,), **WHO)
    assert {(its.kind, its.id, its.state) for its in report.deleted} == {
        ("recording", recording.id, "deleted"), ("session", meeting.id, "deleted"),
    }  # fmt: skip
    assert expiring.rest() == set(bench.stored_keys(bench.folder(other)))
    assert bench.uploads() == expiring.begun() == []
    tombstone = expiring.tombstone(folder)
    assert tombstone is not None
    assert (tombstone.state, tombstone.reason, tombstone.by) == ("deleted", "asked for", "Kim")
    (bag,) = tombstone.bags
    (file,) = bag.files
    assert bag.manifest_sha256 == hashlib.sha256(manifest).hexdigest()
    assert (file.kind, file.size, file.sha256) == ("video", 1000, manifest.decode().split()[0])
    of_session = expiring.tombstone(meeting.folder)
    assert of_session is not None
    assert {file.kind for bag in of_session.bags for file in bag.files} == {"transcript", "chat"}
    for its in (tombstone, of_session):
        assert is_without_names(its, "Mary", "user-0", "Weekly", ".mp4")
    names = [(event, its_id) for event, its_id, _ in expiring.events]
    assert names == [
        ("realtimekit.recording.deleted", recording.id),
        ("realtimekit.session.deleted", meeting.id),
        ("realtimekit.expiry.completed", f"{bench.bucket}/archive"),
    ]
    assert ExpiryReport.model_validate_json(report.model_dump_json()) == report

    again = expiring.run(recording_ids=(recording.id,), **WHO)
    assert again.deleted == ()
    assert again.notices == (f"recording {recording.id}: {tombstone.describe()}",)


def test_a_sessions_documents_stay_as_long_as_another_recording_of_it_does(expiring: Expiring) -> None:
    meeting, (first, second) = archived_meeting(expiring.bench, 2)
    report = expiring.run(recording_ids=(first.id,), **WHO)
    assert [its.id for its in report.deleted] == [first.id]
    assert report.notices == (f"session {meeting.id} is kept: its documents are those of a recording that stays, too",)
    assert meeting.wrong() == []
    report = expiring.run(recording_ids=(second.id,), **WHO)
    assert {its.id for its in report.deleted} == {second.id, meeting.id}
    assert expiring.rest() == set()


def test_documents_that_come_after_the_deletion_of_the_only_recording_are_not_archived(expiring: Expiring) -> None:
    bench = expiring.bench
    meeting = Meeting.at(bench)
    recording = meeting.add_recording(after_s=0)
    bench.archived(recording)
    expiring.run(recording_ids=(recording.id,), **WHO)
    meeting.put("transcript", transcript("Hello"))
    swept = bench.run().swept_sessions(datetime.now(UTC), "all")
    assert (swept.archived, swept.failed) == ([], [])
    assert expiring.rest() <= {f"archive/_sessions/{bench.setup().app_id}.json"}


def test_a_participants_recordings_go_by_the_id_or_the_exact_name_and_others_stay(expiring: Expiring) -> None:
    bench = expiring.bench
    mine, my_recordings = archived_meeting(bench, 2)
    mine.session.participants[1]["display_name"] = "Zoë"
    theirs = Meeting.at(bench, participants=1)
    recording = theirs.add_recording(after_s=0)
    bench.run().archived_with_session(recording.id)
    with pytest.raises(RequestUnclear, match="an id is of nobody in the archive"):
        expiring.run(participant_ids=("user-1", "user-l"), **WHO)
    report = expiring.run(participant_ids=("user-1",), **WHO)
    assert {its.id for its in report.deleted} == {mine.id, *(its.id for its in my_recordings)}
    assert {key.split("/")[5] for key in expiring.rest() if "_sessions" not in key} == {
        recording.id, f"session-{theirs.id}",
    }  # fmt: skip
    with pytest.raises(RequestUnclear, match="a name is of nobody"):
        expiring.run(participant_names=("mary 0",), **WHO)
    report = expiring.run(participant_names=("Mary 0",), **WHO)
    assert {its.id for its in report.deleted} == {theirs.id, recording.id}


def test_recordings_of_which_nobody_knows_who_took_part_are_told(expiring: Expiring) -> None:
    archived_meeting(expiring.bench)
    unknown = expiring.old(1)
    report = expiring.run(delete=False, participant_ids=("user-0",))
    assert report.notices == (f"the archive does not say who took part in 1 recordings: {unknown.id}",)


def test_sessions_of_which_it_cannot_be_read_who_took_part_are_told(expiring: Expiring) -> None:
    mine, _ = archived_meeting(expiring.bench)
    theirs = Meeting.at(expiring.bench)
    theirs.put("transcript", transcript("Hello"))
    expiring.bench.run().archived_session(theirs.id)
    expiring.put(f"{theirs.folder}v0001/participants.json", b"[")
    report = expiring.run(delete=False, participant_names=("Mary 0",))
    assert mine.id in str(report.deleted)
    assert report.notices == (f"the archive does not say who took part in 1 sessions, or not all of them: {theirs.id}",)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"recording_ids": ("182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e",), **WHO}, "is not in the archive"),
        ({"recording_ids": ("182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e",)}, "a request needs reason"),
        ({"reason": "spring cleaning"}, "reason and by belong to a request"),
    ],
)
def test_a_request_that_is_not_clear_deletes_nothing(
    expiring: Expiring, parameters: dict[str, Any], problem: str
) -> None:
    expiring.old(1)
    before = expiring.bench.stored_keys()
    with pytest.raises(RequestUnclear, match=problem):
        expiring.run(**parameters)
    assert expiring.bench.stored_keys() == before


def test_half_of_a_recording_that_was_never_committed_is_deleted_too(expiring: Expiring) -> None:
    bench = expiring.bench
    recording = bench.add(2 * bench.part)
    bench.run().move(recording.id)
    assert "bagit.txt" not in bench.names(recording)
    (deleted,) = expiring.run(recording_ids=(recording.id,), **WHO).deleted
    assert (deleted.state, expiring.rest(), bench.left_over()) == ("deleted", set(), [])


def test_the_tombstone_of_a_bag_that_others_have_made_names_nobody_whom_a_file_is_named_after(
    expiring: Expiring,
) -> None:
    recording = expiring.old(1)
    folder = expiring.bench.folder(recording)
    manifest = b"".join(b"%064d  data/%b\n" % (0, path) for path in (b"Mary.mp4", b"Mary/a.mp4"))
    expiring.put(f"{folder}manifest-sha256.txt", manifest)
    expiring.run(recording_ids=(recording.id,), **WHO)
    tombstone = expiring.tombstone(folder)
    assert tombstone is not None
    assert [file.kind for file in tombstone.bags[0].files] == ["other", "other"]
    assert is_without_names(tombstone, "Mary")


class Dying:
    """Ends a run as a kill does, after one of its writes to the store: reads leave the same behind."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.count = 0
        self._lock = Lock()

    def __call__(self, method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Count a write, and die if it is the turn; from then on, the dead send nothing."""
        with self._lock:
            if self.count >= self._number:
                raise Died
            self.count += method.startswith(WRITES)
        return send()


class Died(BaseException):
    """A process that is no more."""


def what_is_wrong(expiring: Expiring, before: dict[str, bytes], folders: list[str]) -> list[str]:
    """Return in sentences what no death may leave, judged by the objects alone.

    Args:
        before: all objects, as they were.
        folders: of the recording, and of its session.
    """
    bench, wrong = expiring.bench, []
    for folder in folders:
        keys, whole = set(bench.stored_keys(folder)), {key for key in before if key.startswith(folder)}
        bags = {key.removesuffix("bagit.txt") for key in keys if key.endswith("/bagit.txt")}
        stone = expiring.tombstone(folder)
        wrong += [f"{bag} is half a bag" for bag in bags if {key for key in whole if key.startswith(bag)} - keys]
        if keys != whole and stone is None:
            wrong.append(f"{folder} is touched without a tombstone")
        if keys and stone is not None and stone.state != "begun":
            wrong.append(f"the tombstone of {folder} claims {stone.state}, and {len(keys)} objects are there")
        if (
            stone is not None
            and stone.state == "begun"
            and not any(folder.split("/")[-2] in its for its in expiring.begun())
        ):
            wrong.append(f"nothing names the unfinished deletion of {folder}")
    return wrong


def test_a_death_at_any_write_leaves_no_half_bag_and_no_untold_deletion_and_the_next_run_finishes(
    expiring: Expiring,
) -> None:
    bench, number = expiring.bench, 0
    meeting, (recording,) = archived_meeting(bench)
    folders, before = [bench.folder(recording), meeting.folder], bench.objects()
    while True:
        number += 1
        dying = Dying(number)
        expiring.through(Meddled(bench.s3, dying))
        with suppress(Died):
            expiring.run(recording_ids=(recording.id,), **WHO)
        expiring.through(bench.s3)
        assert what_is_wrong(expiring, before, folders) == [], f"write {number}"
        expiring.run(recording_ids=(recording.id,), **WHO)
        assert expiring.rest() | set(expiring.begun()) == set(), f"write {number}"
        for folder in folders:
            stone = expiring.tombstone(folder)
            assert stone is not None
            assert stone.state == "deleted", f"write {number}"
            assert {bag.manifest_sha256 != "" for bag in stone.bags} == {True}, f"write {number}"
        if dying.count < number:
            break
        for key in bench.stored_keys():
            bench.s3.delete_object(Bucket=bench.bucket, Key=key)
        for key, content in before.items():
            expiring.put(key, content)
    assert number >= 20


def test_a_marker_that_may_not_be_deleted_ends_the_deletion_before_anything_is_lost(expiring: Expiring) -> None:
    bench = expiring.bench
    recording = expiring.old(1)
    before = expiring.rest()

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "delete_object" and request["Key"].endswith("/bagit.txt"):
            raise refusal("AccessDenied", 403)
        return send()

    expiring.through(Meddled(bench.s3, meddle))
    report, problem = expiring.incomplete(recording_ids=(recording.id,), **WHO)
    assert {its.state for its in report.deleted} == {"begun"}
    assert "the store does not let the marker go (AccessDenied)" in problem
    assert expiring.rest() == before
    assert bench.archived(recording).already_archived
    expiring.through(bench.s3)
    shown = expiring.run(delete=False)
    assert {its.state for its in shown.unfinished} == {"begun"}
    assert {its.state for its in expiring.run().unfinished} == {"deleted"}
    assert expiring.rest() == set()


def test_what_another_run_writes_after_the_deletion_is_found_and_deleted_by_the_next(expiring: Expiring) -> None:
    recording = expiring.old(1)
    folder = expiring.bench.folder(recording)
    expiring.run(recording_ids=(recording.id,), **WHO)
    expiring.put(f"{folder.rstrip('/')}.poster.jpg")
    expiring.put(f"{folder}data/video/late.mp4")
    assert [its.id for its in expiring.run().unfinished] == [recording.id]
    assert expiring.rest() == set()
    stone = expiring.tombstone(folder)
    assert stone is not None
    assert stone.state == "deleted"


def test_a_store_that_takes_no_tombstone_loses_nothing(expiring: Expiring) -> None:
    recording = expiring.old(1)
    before = expiring.rest()

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "put_object" and request["Key"].endswith(".json"):
            raise refusal("AccessDenied", 403)
        return send()

    expiring.through(Meddled(expiring.bench.s3, meddle))
    report, problem = expiring.incomplete(recording_ids=(recording.id,), **WHO)
    assert report.deleted == ()
    assert "AccessDenied" in problem
    assert expiring.rest() == before
    assert json.loads(report.model_dump_json())["failed"]
