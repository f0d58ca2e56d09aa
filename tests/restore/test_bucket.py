"""Recordings go to another bucket: the copy is an archive itself, and an object there is verified, or is not there."""

from __future__ import annotations

import uuid
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import SettingsInvalid, TargetUnavailable, TargetUnusable
from tasks.restore import bucket_target, stages
from tasks.s3 import Store, are_in_one_store
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.bags import key_of
from tests.support.meddling import Meddled, refusal
from tests.support.restoring import (
    Fetched,
    only,
    problems_of,
    require_whole,
    restore_with,
    restored,
    settings_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tasks.s3 import Upload
    from tests.standins.realtimekit import StandInRecording
    from tests.standins.stores import Store as StoreServer
    from tests.support.archiving import Archiving


def archived(bench: Archiving, size: int = 1000, **more: Any) -> StandInRecording:
    """Archive a recording with a video of so many bytes."""
    recording = bench.add(MediaSource(SyntheticContent(size, seed=size), "video/mp4"), **more)
    bench.archived(recording)
    return recording


def new_bucket(bench: Archiving) -> str:
    bucket = f"copy-{uuid.uuid4().hex[:12]}"
    bench.s3.create_bucket(Bucket=bucket)
    return bucket


def objects(client: Any, bucket: str, prefix: str = "") -> dict[str, bytes]:
    """Return the content of all objects of a bucket by what follows a prefix of their keys."""
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return {key.removeprefix(prefix): client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def uploads(bench: Archiving, bucket: str) -> Sequence[Upload]:
    """Return the uploads under way in a bucket."""
    return Store(bench.s3, bucket, 5).uploads("")


def meddled_target(bench: Archiving, patch: pytest.MonkeyPatch, meddle: Callable[..., Any]) -> None:
    """Put the client of the target's store into the hands of `meddle`."""
    patch.setattr(stages, "new_s3_client", lambda *_, **__: Meddled(bench.s3, meddle))


def test_a_copy_is_an_archive_itself_and_is_not_copied_again(bench: Archiving, tmp_path: Path) -> None:
    recordings = [archived(bench), archived(bench, audio=MediaSource(SyntheticContent(500), "audio/mpeg"))]
    bucket = new_bucket(bench)
    to = f"s3://{bucket}/copies/of it"
    report = restored(bench, to, *recordings)
    assert (report.recordings, report.problems, report.to) == (2, 0, to)
    assert objects(bench.s3, bucket, "copies/of it/") == objects(bench.s3, bench.bucket, "archive/")
    key = key_of(bench, recordings[0], "data/video")
    head = bench.s3.head_object(Bucket=bucket, Key=key.replace("archive/", "copies/of it/", 1))
    assert (head["ContentType"], {k.lower(): v for k, v in head["Metadata"].items()}["recording-id"]) == (
        "video/mp4",
        recordings[0].id,
    )
    fetched = Fetched()
    assert restored(bench, to, *recordings, meddle=fetched).fetched_bytes == 0
    assert fetched.ranges == []
    copy = settings_of(bench.setup(), archive_url=to)
    assert restore_with(copy, bench.s3, [recordings[1].id], tmp_path).recordings == 1
    require_whole(tmp_path / recordings[1].id)


def test_a_stopped_upload_is_carried_on_and_no_part_is_sent_twice(
    bench: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = bench.part
    monkeypatch.setattr(bucket_target, "PART_SIZE", part)
    recording, bucket, sent = archived(bench, 5 * part), new_bucket(bench), count(1)

    def interrupt(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "upload_part" and next(sent) == 4:
            raise KeyboardInterrupt
        return send()

    meddled_target(bench, monkeypatch, interrupt)
    with pytest.raises(KeyboardInterrupt):
        restored(bench, f"s3://{bucket}", recording)
    assert not [key for key in objects(bench.s3, bucket) if key.endswith((".mp4", "bagit.txt"))]
    (upload,) = uploads(bench, bucket)
    there = set(Store(bench.s3, bucket, 5).parts(upload))
    again: list[int] = []

    def note(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        again.extend([request["PartNumber"]] if method == "upload_part" else [])
        return send()

    meddled_target(bench, monkeypatch, note)
    assert only(restored(bench, f"s3://{bucket}", recording)).whole
    assert there
    assert sorted(again) == sorted({1, 2, 3, 4, 5} - there)
    assert objects(bench.s3, bucket) == objects(bench.s3, bench.bucket, "archive/")
    assert not uploads(bench, bucket)


def test_an_upload_that_was_left_for_another_content_lends_its_checksum_to_no_object(
    bench: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_target, "PART_SIZE", bench.part)
    recording, bucket = archived(bench, 3 * bench.part), new_bucket(bench)
    key = key_of(bench, recording, "data/video").removeprefix("archive/")
    Store(bench.s3, bucket, 5).begin_upload(key, "video/mp4", {"sha256": "0" * 64})
    assert only(restored(bench, f"s3://{bucket}", recording)).whole
    metadata = bench.s3.head_object(Bucket=bucket, Key=key)["Metadata"]
    assert "0" * 64 not in metadata.values()
    assert objects(bench.s3, bucket) == objects(bench.s3, bench.bucket, "archive/")
    assert not uploads(bench, bucket)


def test_parts_go_with_the_checksum_that_the_store_verifies(bench: Archiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_target, "PART_SIZE", bench.part)
    monkeypatch.setattr(bucket_target, "MIN_PARTS_TO_DETECT", 2)
    recording, bucket, sums = archived(bench, 2 * bench.part), new_bucket(bench), set[str]()

    def note(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "upload_part" and "/data/" in request["Key"]:
            sums.update(request.keys() & {"ChecksumCRC64NVME", "ContentMD5"})
        return send()

    meddled_target(bench, monkeypatch, note)
    assert only(restored(bench, f"s3://{bucket}", recording)).whole
    assert sums == {"ChecksumCRC64NVME" if bench.server.name == "swift" else "ContentMD5"}
    assert not uploads(bench, bucket)


@pytest.mark.parametrize("parts", [1, 3])
def test_of_a_damaged_file_nothing_is_left_there(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    monkeypatch.setattr(bucket_target, "PART_SIZE", rclone.part)
    recording, bucket = archived(rclone, parts * rclone.part - 1), new_bucket(rclone)
    key = key_of(rclone, recording, "data/video")
    content = bytearray(rclone.s3.get_object(Bucket=rclone.bucket, Key=key)["Body"].read())
    content[-1] ^= 1
    rclone.s3.put_object(Bucket=rclone.bucket, Key=key, Body=bytes(content))
    report = restored(rclone, f"s3://{bucket}", recording)
    assert list(problems_of(report).values()) == ["damaged"]
    left = {name.rpartition("/")[2] for name in objects(rclone.s3, bucket)}
    assert left == {"recording.json", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"}
    assert not uploads(rclone, bucket)


def test_another_object_in_the_way_is_left_alone_and_replaced_only_on_demand(bench: Archiving) -> None:
    recording, bucket = archived(bench), new_bucket(bench)
    key = key_of(bench, recording, "data/video").removeprefix("archive/")
    size = bench.s3.head_object(Bucket=bench.bucket, Key=f"archive/{key}")["ContentLength"]
    bench.s3.put_object(Bucket=bucket, Key=key, Body=b"x" * size)
    report = restored(bench, f"s3://{bucket}", recording)
    assert list(problems_of(report).values()) == ["in the way"]
    assert not only(report).whole
    assert objects(bench.s3, bucket)[key] == b"x" * size
    assert only(restored(bench, f"s3://{bucket}", recording, overwrite=True)).whole
    assert objects(bench.s3, bucket) == objects(bench.s3, bench.bucket, "archive/")


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_object_that_no_manifest_states_is_left_and_keeps_the_copy_from_passing_for_whole(
    bench: Archiving, *, overwrite: bool
) -> None:
    recording, bucket = archived(bench), new_bucket(bench)
    folder = bench.folder(recording).removeprefix("archive/")
    bench.s3.put_object(Bucket=bucket, Key=f"{folder}data/audio/earlier.mp3", Body=b"mine")
    for _ in range(2):
        report = restored(bench, f"s3://{bucket}", recording, overwrite=overwrite)
        assert (only(report).whole, problems_of(report)) == (False, {"data/audio/earlier.mp3": "in the way"})
        assert objects(bench.s3, bucket)[f"{folder}data/audio/earlier.mp3"] == b"mine"
        assert f"{folder}bagit.txt" not in objects(bench.s3, bucket)
    bench.s3.delete_object(Bucket=bucket, Key=f"{folder}data/audio/earlier.mp3")
    assert only(restored(bench, f"s3://{bucket}", recording)).whole


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("looks_itself", [False, True])
def test_what_comes_while_a_large_file_is_sent_is_replaced_only_on_demand(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch, *, overwrite: bool, looks_itself: bool
) -> None:
    """With a store that looks itself, another object comes even after our last look."""
    monkeypatch.setattr(bucket_target, "PART_SIZE", rclone.part)
    recording, bucket = archived(rclone, 3 * rclone.part), new_bucket(rclone)
    key = key_of(rclone, recording, "data/video").removeprefix("archive/")
    refused: list[str] = []

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == ("complete_multipart_upload" if looks_itself else "upload_part"):
            rclone.s3.put_object(Bucket=bucket, Key=key, Body=b"another")
            if "IfNoneMatch" in request:
                refused.append(request.pop("IfNoneMatch"))
                raise refusal("PreconditionFailed", 412)
        return send()

    meddled_target(rclone, monkeypatch, meddle)
    report = restored(rclone, f"s3://{bucket}", recording, overwrite=overwrite)
    assert only(report).whole is overwrite
    assert list(problems_of(report).values()) == ([] if overwrite else ["in the way"])
    assert (objects(rclone.s3, bucket)[key] == b"another") is not overwrite
    assert refused == (["*"] if looks_itself and not overwrite else [])
    assert not uploads(rclone, bucket)


def test_a_store_that_knows_no_condition_at_completion_is_asked_without_one(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_target, "PART_SIZE", rclone.part)
    recordings, bucket = [archived(rclone, 3 * rclone.part), archived(rclone, 4 * rclone.part)], new_bucket(rclone)
    refused: list[str] = []

    def meddle(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "complete_multipart_upload" and "IfNoneMatch" in request:
            refused.append(request["Key"])
            raise refusal("NotImplemented", 501)
        return send()

    meddled_target(rclone, monkeypatch, meddle)
    monkeypatch.setattr(stages, "BAGS_AT_ONCE", 1)
    assert restored(rclone, f"s3://{bucket}", *recordings).recordings == 2
    assert len(refused) == 1, "the answer is remembered"


def test_the_archive_itself_is_no_target(rclone: Archiving) -> None:
    recording = archived(rclone)
    for below in ("archive", "archive/", "archive/below"):
        with pytest.raises(TargetUnusable, match="it lies in the archive"):
            restored(rclone, f"s3://{rclone.bucket}/{below}", recording)
    same = settings_of(rclone.setup(), restore_endpoint_url=f"{rclone.server.endpoint_url}/")
    with pytest.raises(TargetUnusable, match="it lies in the archive"):
        restore_with(same, rclone.s3, [recording.id], f"s3://{rclone.bucket}/archive")
    assert restored(rclone, f"s3://{rclone.bucket}/archive-2", recording).recordings == 1


@pytest.mark.parametrize(
    ("first", "second", "are_one"),
    [
        ("https://s3.amazonaws.com", "https://s3.eu-central-1.amazonaws.com", True),
        ("https://s3.example.com", "https://S3.example.com/", True),
        ("https://s3.example.com", "https://s3.example.com:8443", False),
        ("https://s3.example.com", "https://s3.amazonaws.com", False),
    ],
)
def test_one_store_has_one_address_and_amazons_has_many(first: str, second: str, *, are_one: bool) -> None:
    clients: list[Any] = [SimpleNamespace(meta=SimpleNamespace(endpoint_url=url)) for url in (first, second)]
    assert are_in_one_store(*clients) is are_one


def test_what_is_wrong_with_the_target_is_told_as_such(rclone: Archiving) -> None:
    recording = archived(rclone)
    with pytest.raises(TargetUnusable, match=r"NoSuchBucket.*RESTORE_PROFILE"):
        restored(rclone, "s3://no-such-bucket/x", recording)
    with pytest.raises(SettingsInvalid, match="TO: must look like s3://bucket/prefix"):
        restored(rclone, "s3://x?y", recording)
    for other in ("S3://bucket/x", "gs://bucket/x", "https://example.com/x"):  # no folder of that name is made
        with pytest.raises(SettingsInvalid, match=r"TO: begins with \w+://: name a folder, or s3://bucket/prefix"):
            restored(rclone, other, recording)
    unknown = settings_of(rclone.setup(), restore_profile="no-such-profile")
    with pytest.raises(TargetUnusable, match=r"no-such-profile.*RESTORE_PROFILE"):
        restore_with(unknown, rclone.s3, [recording.id], "s3://bucket")
    away = settings_of(rclone.setup(patience_s=0.2), restore_endpoint_url="http://127.0.0.1:9")
    with pytest.raises(TargetUnavailable, match="RESTORE_ENDPOINT_URL"):
        restore_with(away, rclone.s3, [recording.id], "s3://bucket")


def test_a_profile_leads_to_another_store_whatever_the_environment_says(
    rclone: Archiving, swift_server: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, bucket, client = archived(rclone), f"copy-{uuid.uuid4().hex[:12]}", swift_server.client()
    client.create_bucket(Bucket=bucket)
    config = tmp_path / "config"
    config.write_text(
        f"[profile other]\naws_access_key_id = {swift_server.access_key}\n"
        f"aws_secret_access_key = {swift_server.secret_key}\nregion = us-east-1\nservices = of-other\n"
        f"[services of-other]\ns3 =\n  endpoint_url = {swift_server.endpoint_url}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    settings = settings_of(rclone.setup(), restore_profile="other")
    assert restore_with(settings, rclone.s3, [recording.id], f"s3://{bucket}").recordings == 1
    assert objects(client, bucket) == objects(rclone.s3, rclone.bucket, "archive/")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", swift_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", swift_server.secret_key)
    settings = settings_of(rclone.setup(), restore_endpoint_url=swift_server.endpoint_url)
    assert restore_with(settings, rclone.s3, [recording.id], f"s3://{bucket}").fetched_bytes == 0
