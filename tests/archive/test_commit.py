"""What is archived is a bag that strangers' tools find valid; what is not whole is never taken for one."""

from __future__ import annotations

from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive.models import StoredFile
from tasks.errors import ArchiveDamaged, StoreRefused
from tasks.s3.bucket import LARGEST_READ, READ_CHUNK
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.archiving import Archiving, payload
from tests.support.bags import bag_of, key_of, stored_payload
from tests.support.meddling import Failing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.standins.realtimekit import StandInRecording

HOSTILE_NAMES = [
    "../../../../etc/passwd",
    "..\\..\\windows\\system32\\x.mp4",
    "n" * 400 + ".mp4",
    "Wöchentliches Treffen, 会議 🎬.mp4",
    "line\nbreak\r\nand\ttab.mp4",
    "",
    " . ",
    "100%25 'quoted' \"name\" & more.mp4",
    "-rf *.mp4",
]


def small(bench: Archiving) -> StandInRecording:
    return bench.add(1000, audio=MediaSource(b"s\0und" * 50, "audio/mpeg"))


def test_an_archive_copied_to_a_disk_is_a_valid_bag_with_the_sources_bytes(bench: Archiving, tmp_path: Path) -> None:
    tracks = {"default": {"peer.webm": MediaSource(b"tr\0ck", "video/webm")}}
    recording = bench.add(2 * bench.part + 17, audio=MediaSource(b"s\0und", "audio/mpeg"))
    bench.archived(recording)
    path = bag_of(bench, tmp_path / "one")
    assert stored_payload(path) == sorted(payload(recording).values())
    for key in bench.stored_keys():
        bench.s3.delete_object(Bucket=bench.bucket, Key=key)
    recording = bench.add(tracks=tracks, file_size=None)
    bench.archived(recording)
    assert stored_payload(bag_of(bench, tmp_path / "two")) == [b"tr\0ck"]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
def test_whatever_a_file_is_called_it_lies_below_data_and_the_bag_is_valid(
    bench: Archiving, name: str, tmp_path: Path
) -> None:
    recording = bench.add(100, details={"output_file_name": name})
    (file,) = bench.archived(recording).files
    assert file.path.startswith("data/video/")
    path = bag_of(bench, tmp_path)
    assert stored_payload(path) == list(payload(recording).values())
    assert len(list((path / "data").rglob("*"))) == 2, "one folder, one file"
    assert bench.archived(recording).already_archived


def test_a_recording_that_is_archived_is_answered_without_a_byte_of_it_being_moved(bench: Archiving) -> None:
    recording = small(bench)
    first = bench.archived(recording)
    asked, before = len(bench.kit.file_requests), bench.objects()
    second = bench.archived(recording)
    assert second.already_archived
    assert not first.already_archived
    if bench.server.name == "swift":
        assert second.model_copy(update={"already_archived": False, "lag_s": first.lag_s}) == first
    assert len(bench.kit.file_requests) == asked
    assert bench.objects() == before


def test_the_files_of_an_archive_are_asked_for_a_few_at_a_time(rclone: Archiving) -> None:
    tracks = {"default": {f"{number}.webm": MediaSource(b"\0track", "video/webm") for number in range(8)}}
    recording, together = rclone.add(tracks=tracks, file_size=None), Barrier(4, timeout=20)
    rclone.archived(recording)

    def meet(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "head_object":
            together.wait()
        return send()

    assert len(rclone.run(meet).archived(recording.id).files) == 8


def test_a_tag_file_that_somebody_made_huge_is_damage_and_never_read_whole(rclone: Archiving) -> None:
    recording, read = small(rclone), list[int]()
    rclone.archived(recording)
    key = key_of(rclone, recording, "recording.json")
    rclone.s3.put_object(Bucket=rclone.bucket, Key=key, Body=bytes(LARGEST_READ + 8 * READ_CHUNK))

    def count_bytes(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        if method == "get_object" and request["Key"] == key:
            real = answer["Body"].read

            def counting(amount: int) -> bytes:
                read.append(amount)
                content: bytes = real(amount)
                return content

            answer["Body"].read = counting
        return answer

    with pytest.raises(ArchiveDamaged, match=r"recording\.json has more than"):
        rclone.run(count_bytes).archived(recording.id)
    assert sum(read) <= 2 * (LARGEST_READ + READ_CHUNK), "at each of two looks"


def test_recordings_without_any_time_have_a_place_too(rclone: Archiving) -> None:
    nothing = {"invoked_time": None, "started_time": None, "stopped_time": None}
    assert "/0000/00/00/" in rclone.archived(rclone.add(10, details=nothing)).archive_url


# Damage

DAMAGE: dict[str, Callable[[Any, dict[str, str]], Any]] = {
    "is missing": lambda s3, at: s3.delete_object(**at),
    "is in no manifest": lambda s3, at: s3.put_object(**at | {"Key": at["Key"] + ".extra"}, Body=b"x"),
    "Payload-Oxum": lambda s3, at: s3.put_object(**at, Body=b"x" * 999),
}


@pytest.mark.parametrize("finding", DAMAGE)
def test_a_payload_that_is_not_as_stated_is_damage_that_overwriting_repairs(
    bench: Archiving, finding: str, tmp_path: Path
) -> None:
    recording = small(bench)
    bench.archived(recording)
    DAMAGE[finding](bench.s3, {"Bucket": bench.bucket, "Key": key_of(bench, recording, "data/video/")})
    with pytest.raises(ArchiveDamaged, match=finding) as caught:
        bench.archived(recording)
    assert "overwrite" in str(caught.value)
    bench.archived(recording, overwrite=True)
    assert stored_payload(bag_of(bench, tmp_path)) == sorted(payload(recording).values())
    assert bench.archived(recording).already_archived


@pytest.mark.parametrize("name", ["recording.json", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe nonsense"], ids=["missing", "empty", "nonsense"])
def test_a_tag_file_that_is_not_what_was_written_is_damage(rclone: Archiving, name: str, content: bytes | None) -> None:
    recording = small(rclone)
    rclone.archived(recording)
    at = {"Bucket": rclone.bucket, "Key": key_of(rclone, recording, name)}
    if content is None:
        rclone.s3.delete_object(**at)
    else:
        rclone.s3.put_object(**at, Body=content)
    with pytest.raises(ArchiveDamaged):
        rclone.archived(recording)


def test_a_bag_that_is_replaced_while_it_is_looked_at_is_not_damage(rclone: Archiving) -> None:
    recording = small(rclone)
    rclone.archived(recording)
    marker = key_of(rclone, recording, "bagit.txt")
    info = key_of(rclone, recording, "bag-info.txt")

    def replace(_method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        if request.get("Key") == marker:  # once that was seen, the other run begins its flip
            rclone.s3.delete_object(Bucket=rclone.bucket, Key=marker)
            rclone.s3.put_object(Bucket=rclone.bucket, Key=info, Body=b"torn")
        return answer

    run = rclone.run(replace)
    assert run.archive.find(run.recording(recording.id)) is None


# Visible at once


@pytest.mark.parametrize("store", ["rclone", "swift"])
def test_whichever_write_to_the_store_fails_nothing_half_done_is_visible_and_the_next_run_finishes(
    request: pytest.FixtureRequest, store: str
) -> None:
    bench: Archiving = request.getfixturevalue(store)
    number, failing = 0, None
    while failing is None or failing.happened:
        number, recording = number + 1, bench.add(bench.part + 1 if store == "rclone" else 1000)
        failing = Failing(number)
        try:
            bench.run(failing, concurrency=1).archived(recording.id)
            assert failing.failed_to_clear or not failing.happened
        except StoreRefused:
            assert "bagit.txt" not in bench.names(recording), failing.calls
        (file,) = bench.archived(recording).files
        assert recording.video is not None
        assert file.sha256 == recording.video.sha256()
        if failing.failed_to_clear:
            bench.archived(recording, overwrite=True)
        assert bench.left_over(recording) == [], failing.calls
    assert failing.calls[-1].endswith("bagit.txt"), "the marker is the last thing written"


def test_strays_of_an_earlier_attempt_are_no_part_of_the_bag(bench: Archiving, tmp_path: Path) -> None:
    recording = small(bench)
    bench.archived(recording)
    folder = key_of(bench, recording, "bagit.txt").removesuffix("bagit.txt")
    bench.s3.delete_object(Bucket=bench.bucket, Key=f"{folder}bagit.txt")
    bench.s3.put_object(Bucket=bench.bucket, Key=f"{folder}data/tracks/stray.webm", Body=b"stray")
    bench.archived(recording)
    assert stored_payload(bag_of(bench, tmp_path)) == sorted(payload(recording).values())


def test_a_file_that_was_lost_before_the_commit_keeps_the_bag_from_becoming_visible(rclone: Archiving) -> None:
    recording = small(rclone)
    run = rclone.run()
    details = run.recording(recording.id)
    archived = rclone.archived(recording)
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=key_of(rclone, recording, "bagit.txt"))
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=key_of(rclone, recording, "data/audio/"))
    with pytest.raises(Exception, match="250 bytes, got no bytes") as caught:
        run.archive.commit(details, [StoredFile(file, etag="") for file in archived.files], run.archive.listed(details))
    assert getattr(caught.value, "retryable", False)
    assert "bagit.txt" not in rclone.names(recording)


def test_an_empty_recording_is_archived_and_overwritten_like_any_other(bench: Archiving) -> None:
    recording = bench.add(audio=MediaSource(SyntheticContent(1000), "audio/mpeg"))
    bench.archived(recording)
    assert recording.audio is not None
    recording.audio.replace(b"")
    bench.run().move(recording.id, replace=True)
    found = bench.archived(recording)
    assert (found.already_archived, found.bytes) == (True, 1000)
    assert bench.archived(recording, overwrite=True).bytes == 0
    recording.audio.replace(SyntheticContent(2000))
    assert bench.archived(recording, overwrite=True).bytes == 2000
    assert bench.left_over() == []
