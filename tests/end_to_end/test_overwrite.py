"""Overwriting replaces an archive only when the new one is complete, and survives to die at any point of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import ReplacementSmaller, StoreRefused
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.archiving import Archiving, payload
from tests.support.bags import bag_of, key_of, stored_payload
from tests.support.meddling import Failing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.archive.models import ArchivedRecording
    from tests.standins.realtimekit import StandInRecording


def changed(recording: StandInRecording, how: int = 1) -> None:
    """Let other bytes of the same sizes lie at the source."""
    for seed, source in enumerate(recording.files().values()):
        source.replace(SyntheticContent(source.size, seed=1000 * how + seed))


def checksums(archived: ArchivedRecording) -> dict[str, str]:
    return {file.path: file.sha256 for file in archived.files}


def test_an_archive_is_not_replaced_by_one_that_lacks_a_file_of_it(bench: Archiving) -> None:
    recording = bench.add(1000, audio=MediaSource(SyntheticContent(20), "audio/mpeg"))
    old = bench.archived(recording)
    recording.audio = None
    with pytest.raises(ReplacementSmaller, match="1 of audio/"):
        bench.archived(recording, overwrite=True)
    assert checksums(bench.archived(recording)) == checksums(old)
    assert bench.left_over(recording) == []


def test_a_run_that_finds_a_withdrawn_archive_deletes_nothing_that_nobody_else_has(bench: Archiving) -> None:
    recording = bench.add(1000, audio=MediaSource(SyntheticContent(20), "audio/mpeg"))
    old = bench.archived(recording)
    bench.s3.delete_object(
        Bucket=bench.bucket, Key=key_of(bench, recording, "bagit.txt")
    )  # as an overwrite leaves it that is killed then
    audio, recording.audio = recording.audio, None
    with pytest.raises(ReplacementSmaller, match="1 of audio/"):
        bench.archived(recording)
    recording.audio = audio
    assert checksums(bench.archived(recording)) == checksums(old)


@pytest.mark.parametrize("store", ["rclone", "swift"])
def test_whichever_write_fails_the_old_bag_stays_whole_until_the_flip_and_the_next_run_ends_with_the_new(
    request: pytest.FixtureRequest, store: str
) -> None:
    bench: Archiving = request.getfixturevalue(store)
    # On rclone two files, so that there is a moment when one is new and one old; on Swift that would take too long.
    audio = MediaSource(SyntheticContent(20), "audio/mpeg") if store == "rclone" else None
    recording = bench.add(bench.part + 1 if audio else 1000, audio=audio)
    found, number, failing = bench.archived(recording), 0, None
    while failing is None or failing.happened:
        number, old = number + 1, found
        changed(recording, number)
        failing = Failing(number)
        try:
            bench.run(failing, concurrency=1).archived(recording.id, overwrite=True)
            assert failing.failed_to_clear or not failing.happened
        except StoreRefused:
            flipping = failing.had("delete_object", "bagit.txt")
            if not flipping:
                assert checksums(bench.archived(recording)) == checksums(old), failing.calls
            found = bench.archived(recording, overwrite=not flipping)
        else:
            found = bench.archived(recording)
        at_source = {source.sha256() for source in recording.files().values()}
        assert set(checksums(found).values()) == at_source, failing.calls
        if failing.failed_to_clear:
            bench.archived(recording, overwrite=True)
        assert bench.left_over(recording) == [], failing.calls
    assert failing.calls[-1].endswith("bagit.txt"), "the marker is the last thing written"


def test_an_overwritten_archive_is_the_new_one_byte_for_byte(bench: Archiving, tmp_path: Path) -> None:
    recording = bench.add(2 * bench.part, audio=MediaSource(b"s\0und", "audio/mpeg"))
    bench.archived(recording)
    changed(recording)
    bench.archived(recording, overwrite=True)
    assert stored_payload(bag_of(bench, tmp_path)) == sorted(payload(recording).values())
    assert bench.left_over() == []


def test_until_it_is_complete_overwriting_touches_no_object_of_the_archive(bench: Archiving) -> None:
    recording = bench.add(2 * bench.part, audio=MediaSource(b"s\0und", "audio/mpeg"))
    bench.archived(recording)
    before = bench.objects()
    changed(recording)
    bench.run().move(recording.id, replace=True)
    after = bench.objects()
    assert {key: body for key, body in after.items() if "/unfinished/" not in key} == before
    assert len(bench.uploads()) == 2


@pytest.mark.parametrize("parts", [0, 1])
def test_a_rotten_file_is_not_trusted_when_overwriting_it_was_cut_short(
    bench: Archiving, parts: int, tmp_path: Path
) -> None:
    """Its size and metadata are as they should be: only the manifest of the withdrawn bag can tell."""
    size = parts * bench.part + 1000
    recording = bench.add(size)
    bench.archived(recording)
    key = key_of(bench, recording, "data/video/")
    at = {"Bucket": bench.bucket, "Key": key}
    metadata = bench.s3.head_object(**at)["Metadata"]
    lowered = {name.lower(): value for name, value in metadata.items()}
    bench.s3.put_object(**at, Body=b"r" * size, Metadata=lowered, ContentType="video/mp4")
    run = bench.run()
    run.move(recording.id, replace=True)
    run.archive.withdraw(run.recording(recording.id))
    for upload in run.store.uploads(""):
        run.store.abort(upload)
    bench.archived(recording)
    assert stored_payload(bag_of(bench, tmp_path)) == list(payload(recording).values())


def test_what_was_already_replaced_when_a_flip_was_cut_short_is_not_fetched_again(bench: Archiving) -> None:
    recording = bench.add(2 * bench.part, audio=MediaSource(b"s\0und", "audio/mpeg"))
    bench.archived(recording)
    completed: list[str] = []

    def die_at_the_second(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "complete_multipart_upload":
            completed.append(request["Key"])
            if len(completed) == 2:
                message = "dead"
                raise KeyboardInterrupt(message)
        return send()

    with pytest.raises(KeyboardInterrupt):
        bench.run(die_at_the_second).archived(recording.id, overwrite=True)
    assert "bagit.txt" not in bench.names(recording)
    run = bench.run()
    run.archived(recording.id)
    assert not +run.counted.read
    assert bench.left_over() == []


def test_a_completion_that_cannot_be_proven_after_the_flip_has_the_file_moved_again(
    bench: Archiving, tmp_path: Path
) -> None:
    recording = bench.add(2 * bench.part)
    bench.archived(recording)
    changed(recording)

    def abort_first(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "complete_multipart_upload" and not aborted:
            aborted.append(request["UploadId"])
            bench.s3.abort_multipart_upload(Bucket=bench.bucket, Key=request["Key"], UploadId=request["UploadId"])
        return send()

    aborted: list[str] = []
    bench.run(abort_first).archived(recording.id, overwrite=True)
    assert stored_payload(bag_of(bench, tmp_path)) == list(payload(recording).values())
    assert bench.left_over() == []
