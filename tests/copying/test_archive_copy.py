"""The second copy holds what the archive holds, verified; what is damaged, deleted or another is never taken for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import Tombstone, layout
from tasks.copying import archive_copy, describe_problems
from tasks.errors import CopyUnusable, StoreRefused
from tasks.restore import bucket_target
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.bags import key_of
from tests.support.copying import PREFIX, SecondCopy, archive_of
from tests.support.meddling import Between, refusal
from tests.support.meetings import Meeting, transcript
from tests.torture.store.trouble import client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.archived_classes import ArchivedClasses
    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import StoreProxy


def archived(bench: Archiving, size: int = 1000, **more: Any) -> StandInRecording:
    """Archive a recording with a video of so many bytes."""
    recording = bench.add(MediaSource(SyntheticContent(size, seed=size), "video/mp4"), **more)
    bench.archived(recording)
    return recording


def folder_of(bench: Archiving, recording: StandInRecording) -> str:
    """Return a recording's folder below the archive's root."""
    return bench.folder(recording).removeprefix("archive/")


def tombstone_of(bench: Archiving, recording: StandInRecording, state: str) -> tuple[str, bytes]:
    """Return the path of a recording's tombstone, below the archive's root, and its content."""
    folder = folder_of(bench, recording)
    tombstone = Tombstone.model_validate({
        "kind": "recording", "id": recording.id, "app_id": folder.partition("/")[0], "folder": folder, "state": state,
        "cause": "request", "reason": "asked for", "by": "Kim", "begun_at": datetime.now(UTC),
    })  # fmt: skip
    return f"_deleted/{folder.rstrip('/')}.json", tombstone.model_dump_json().encode()


def lose(bench: Archiving, recording: StandInRecording) -> None:
    """Delete a recording's bag from the archive, and leave its tombstone."""
    for path in [path for path in archive_of(bench) if path.startswith(folder_of(bench, recording))]:
        bench.s3.delete_object(Bucket=bench.bucket, Key=f"archive/{path}")


def put(bench: Archiving, path: str, content: bytes) -> None:
    """Put an object into the archive."""
    bench.s3.put_object(Bucket=bench.bucket, Key=f"archive/{path}", Body=content)


@pytest.fixture
def copy(rclone: Archiving) -> SecondCopy:
    """A bucket for the copy in the same store."""
    return SecondCopy(rclone, rclone.s3)


class Counted:
    """Counts the calls of a store by their methods, and the keys that they delete."""

    def __init__(self) -> None:
        self.methods: list[str] = []
        self.deleted: list[tuple[str, str]] = []

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Note a call."""
        self.methods.append(method)
        if method.startswith("delete_"):
            self.deleted.append((method, request["Key"]))
        return send()


def test_recordings_sessions_and_what_was_made_of_them_are_copied_once(rclone: Archiving, copy: SecondCopy) -> None:
    meeting = Meeting.at(rclone)
    meeting.put("transcript", transcript("Hello."))
    recording = meeting.add_recording()
    rclone.archived(recording)
    rclone.run().archived_session(meeting.id)
    meeting.put("transcript", transcript("Hello again."))
    rclone.run().archived_session(meeting.id)
    archived(rclone)
    for suffix in (layout.DESCRIPTION, layout.POSTER):
        put(rclone, folder_of(rclone, recording).rstrip("/") + suffix, b"derived")
    put(rclone, "_audit/log.json", b"{}")
    report = copy.run()
    expected = {path: content for path, content in archive_of(rclone).items() if not path.startswith("_audit/")}
    assert copy.objects() == expected
    assert (report.copied, report.already_there, report.failed, report.derived) == (4, 0, 0, 2)
    assert report.bytes == sum(map(len, expected.values()))
    first, second = Counted(), Counted()
    report = copy.run(first, second)
    assert (report.copied, report.already_there, report.bytes) == (0, 4, 0)
    assert set(first.methods + second.methods) == {"list_objects_v2"}, "listings alone tell that all is there"
    report = copy.run(compare=True)
    assert (report.already_there, report.failed, report.left) == (4, 0, 0)


@pytest.mark.parametrize("number", [2, 5, 8])
def test_a_copy_that_is_interrupted_at_a_write_is_carried_on_by_the_next_run(
    rclone: Archiving, copy: SecondCopy, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(bucket_target, "PART_SIZE", rclone.part)
    archived(rclone, 3 * rclone.part)
    with pytest.raises(KeyboardInterrupt):
        copy.run(second=Between(number, interrupt))
    there = copy.objects()
    assert there.items() <= archive_of(rclone).items()
    assert not any(path.endswith("bagit.txt") for path in there)
    assert copy.run().copied == 1
    assert copy.objects() == archive_of(rclone)
    assert not copy.uploads()


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("parts", "how"), [(1, "rot"), (3, "rot"), (1, "cut"), (1, "lost")])
def test_what_is_damaged_in_the_archive_is_told_and_is_no_bag_in_the_copy(
    rclone: Archiving, copy: SecondCopy, monkeypatch: pytest.MonkeyPatch, parts: int, how: str
) -> None:
    monkeypatch.setattr(bucket_target, "PART_SIZE", rclone.part)
    whole, broken = archived(rclone), archived(rclone, parts * rclone.part - 1)
    key = key_of(rclone, broken, "data/video")
    content = bytearray(rclone.s3.get_object(Bucket=rclone.bucket, Key=key)["Body"].read())
    content[-1] ^= 1
    if how == "lost":
        rclone.s3.delete_object(Bucket=rclone.bucket, Key=key)
    else:
        rclone.s3.put_object(Bucket=rclone.bucket, Key=key, Body=bytes(content if how == "rot" else content[:-1]))
    report = copy.run()
    (failure,) = report.failures
    assert (failure.folder, {problem.kind for problem in failure.problems} <= {"damaged", "missing"}) == (
        folder_of(rclone, broken),
        True,
    )
    assert (report.copied, report.failed) == (1, 1)
    there = [path for path in copy.objects() if path.startswith(failure.folder)]
    assert not any(path.endswith(("bagit.txt", ".mp4")) for path in there)
    assert bool(there) is (how == "rot"), "of what listings show to be damaged, nothing is copied"
    assert not copy.uploads()
    assert f"{folder_of(rclone, whole)}bagit.txt" in copy.objects()
    assert "flows.archive_recording ID --overwrite" in describe_problems(report)


def test_damage_in_the_archive_takes_nothing_from_a_copy_that_is_whole(rclone: Archiving, copy: SecondCopy) -> None:
    recordings = [archived(rclone), archived(rclone, 2000), archived(rclone, 3000)]
    copy.run()
    before = copy.objects()
    lost, cut, altered = (key_of(rclone, recording, "data/video") for recording in recordings)
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=lost)
    rclone.s3.put_object(Bucket=rclone.bucket, Key=cut, Body=b"cut")
    manifest = f"archive/{folder_of(rclone, recordings[2])}tagmanifest-sha256.txt"
    rclone.s3.put_object(Bucket=rclone.bucket, Key=manifest, Body=b"0" * 64 + b"  bagit.txt\n")
    ids = frozenset(recording.id for recording in recordings)
    ways: tuple[dict[str, Any], ...] = ({}, {"compare": True}, {"replace": ids})
    for options in ways:
        report = copy.run(**options)
        kinds = {problem.kind for failure in report.failures for problem in failure.problems}
        assert (report.failed, report.copied, kinds <= {"damaged", "missing"}) == (3, 0, True), kinds
        assert copy.objects() == before
    assert altered


def test_another_bag_in_the_copy_is_named_and_replaced_only_on_demand_once_the_archives_was_read(
    rclone: Archiving, copy: SecondCopy
) -> None:
    recording = archived(rclone)
    copy.run()
    before, folder = copy.objects(), folder_of(rclone, recording)
    recording.video = MediaSource(SyntheticContent(1000, seed=7), "video/mp4")
    rclone.archived(recording, overwrite=True)
    for compare in (False, True):
        report = copy.run(compare=compare)
        assert [[problem.kind for problem in failure.problems] for failure in report.failures] == [["another"]]
        assert "--replace ID" in describe_problems(report)
        assert copy.objects() == before
    report = copy.run(replace=frozenset({recording.id}))
    assert (report.copied, report.failed) == (1, 0)
    assert copy.objects() == archive_of(rclone)
    key, good = key_of(rclone, recording, "data/video"), rclone.objects()
    rclone.s3.put_object(Bucket=rclone.bucket, Key=key, Body=b"x" * 1000)
    report = copy.run(replace=frozenset({recording.id, "00000000-0000-0000-0000-000000000000"}))
    assert sorted(failure.problems[0].kind for failure in report.failures) == ["damaged", "not archived"]
    assert copy.objects() == {path.removeprefix("archive/"): content for path, content in good.items()}
    assert copy.objects()[f"{folder}bagit.txt"]


@pytest.mark.parametrize("etag", ['""', '"1000-stored"'])
def test_listings_that_tell_nothing_of_contents_prove_no_two_bags_to_be_the_same(
    rclone: Archiving, copy: SecondCopy, etag: str
) -> None:
    recording = archived(rclone)
    copy.run()
    recording.video = MediaSource(SyntheticContent(1000, seed=7), "video/mp4")
    rclone.archived(recording, overwrite=True)

    def conceal(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        for listed in answer.get("Contents", ()) if method == "list_objects_v2" else ():
            listed["ETag"] = etag
        return answer

    (failure,) = copy.run(conceal, conceal).failures
    assert failure.problems[0].kind == "another"


def test_damage_in_the_copy_is_told_and_what_it_lost_is_brought_again(rclone: Archiving, copy: SecondCopy) -> None:
    lost, cut = archived(rclone), archived(rclone, 2000)
    copy.run()
    videos = [key_of(rclone, recording, "data/video").removeprefix("archive/") for recording in (lost, cut)]
    copy.delete(videos[0])
    copy.put(videos[1], b"cut")
    report = copy.run(compare=True)
    assert {problem.kind for failure in report.failures for problem in failure.problems} == {"damaged in the copy"}
    report = copy.run()
    assert (report.copied, [failure.folder for failure in report.failures]) == (1, [folder_of(rclone, cut)])
    assert copy.run(replace=frozenset({cut.id})).failed == 0
    assert copy.objects() == archive_of(rclone)


def test_what_was_deleted_on_purpose_is_not_copied_and_deleted_from_the_copy_only_on_demand(
    rclone: Archiving, copy: SecondCopy
) -> None:
    kept, deleted, half, never = archived(rclone), archived(rclone), archived(rclone), archived(rclone)
    copy.run()
    for recording in (deleted, half, never):
        put(rclone, *tombstone_of(rclone, recording, "deleted"))
    put(rclone, folder_of(rclone, half).rstrip("/") + layout.POSTER, b"derived")
    copy.put(folder_of(rclone, deleted).rstrip("/") + layout.POSTER, b"derived")
    lose(rclone, deleted)
    for path in [path for path in copy.objects() if never.id in path]:
        copy.delete(path)
    report = copy.run()
    assert (report.tombstones, report.copied, report.derived, report.failed) == (3, 0, 0, 0)
    assert (report.deleted_in_archive, report.only_in_copy, report.removed) == (2, 0, 0)
    assert set(report.deleted_folders) == {folder_of(rclone, one) for one in (deleted, half)}
    upload = {"Bucket": copy.bucket, "Key": f"{PREFIX}/{folder_of(rclone, never)}data/video/a.mp4"}
    copy.client.create_multipart_upload(**upload)
    sent = Counted()
    report = copy.run(second=sent, max_deletions=5)
    assert (report.removed, report.deleted_in_archive) == (1, 1), "what the archive still has is left"
    first = next(key for method, key in sent.deleted if method == "delete_object")
    assert first.endswith("bagit.txt"), "no half of a bag ever looks whole"
    assert not copy.uploads(), "nor is a part left that a killed copy has sent"
    left = copy.objects()
    assert {path for path in left if deleted.id in path} == {f"_deleted/{folder_of(rclone, deleted).rstrip('/')}.json"}
    assert any(kept.id in path for path in left)


def test_what_a_person_wanted_archived_again_after_a_deletion_is_copied(rclone: Archiving, copy: SecondCopy) -> None:
    recording = archived(rclone)
    put(rclone, *tombstone_of(rclone, recording, "revoked"))
    assert copy.run().copied == 1
    assert copy.objects() == archive_of(rclone)


@pytest.mark.parametrize("state", ["revoked", "unreadable", "begun"])
def test_without_a_tombstone_in_force_the_last_bag_of_a_recording_stays_in_the_copy(
    rclone: Archiving, copy: SecondCopy, state: str
) -> None:
    recording = archived(rclone)
    copy.run()
    lose(rclone, recording)  # a run that is to archive it again may wait for hours, or find it gone
    path, content = tombstone_of(rclone, recording, "begun" if state == "begun" else "revoked")
    put(rclone, path, content[:-1] if state == "unreadable" else content)
    report = copy.run(max_deletions=5)
    assert f"{folder_of(rclone, recording)}bagit.txt" in copy.objects()
    assert (report.removed, report.only_in_copy, report.deleted_in_archive) == (
        0,
        state == "revoked",
        state != "revoked",
    )


def test_what_the_copy_alone_says_was_deleted_is_never_left_out_without_a_word(
    rclone: Archiving, copy: SecondCopy
) -> None:
    recording = archived(rclone)
    path, content = tombstone_of(rclone, recording, "deleted")
    copy.put(path, content)
    for compare in (True, False):
        report = copy.run(compare=compare)
        (failure,) = report.failures
        assert (failure.problems[0].kind, failure.folder) == ("deleted in the copy", folder_of(rclone, recording))
        assert "in the copy alone" in describe_problems(report)
    copy.delete(path)
    assert copy.run().copied == 1


def test_what_the_archive_lost_is_named_and_stays_in_the_copy(rclone: Archiving, copy: SecondCopy) -> None:
    lost = archived(rclone)
    copy.run()
    before = copy.objects()
    for path in before:
        rclone.s3.delete_object(Bucket=rclone.bucket, Key=f"archive/{path}")
    report = copy.run(max_deletions=10)
    assert (report.only_in_copy, report.only_in_copy_folders) == (1, (folder_of(rclone, lost),))
    assert (report.failed, copy.objects()) == (0, before)


def test_a_run_copies_at_most_so_many_bags_the_newest_first(
    rclone: Archiving, copy: SecondCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = archived(rclone, details={"invoked_time": "2024-03-01T10:00:00Z"})
    new = archived(rclone)
    report = copy.run(compare=True)
    assert (report.left, report.failed, copy.objects()) == (2, 0, {}), "a store that replicates has a day for it"
    with monkeypatch.context() as patch:
        patch.setattr(archive_copy, "LAG", timedelta(0))
        report = copy.run(compare=True)
    assert {failure.problems[0].kind for failure in report.failures} == {"missing in the copy"}
    report = copy.run(max_bags=1)
    assert (report.copied, report.left) == (1, 1)
    assert {new.id} == {one.id for one in (old, new) if f"{one.id}/bagit.txt" in " ".join(copy.objects())}
    report = copy.run(max_bags=1)
    assert (report.copied, report.already_there, report.left) == (1, 1, 0)


def test_the_same_place_is_no_second_copy(rclone: Archiving) -> None:
    archived(rclone)
    for url in ("archive", "archive/below", ""):
        place = {"archive_copy_url": f"s3://{rclone.bucket}/{url}".rstrip("/")}
        with pytest.raises(CopyUnusable, match="lie in the same place of one bucket"):
            SecondCopy(rclone, rclone.s3, rclone.bucket).run(different=place)
    assert SecondCopy(rclone, rclone.s3, rclone.bucket).run().copied == 1


def test_another_address_of_the_archives_store_is_no_second_copy_and_nothing_is_deleted_by_it(
    rclone: Archiving, proxy: StoreProxy
) -> None:
    recording = archived(rclone)
    proxy.start_over()
    before = archive_of(rclone)
    same = SecondCopy(rclone, client_of(rclone.server), rclone.bucket, "archive")
    for replace in (frozenset({recording.id}), frozenset[str]()):
        with pytest.raises(CopyUnusable, match="one store has two names"):
            same.run(replace=replace)
        assert archive_of(rclone) == before


def test_whose_store_is_away_or_refuses_is_told(rclone: Archiving, copy: SecondCopy) -> None:
    archived(rclone)

    def refuse(_method: str, _request: dict[str, Any], _send: Callable[[], Any]) -> Any:
        raise refusal("AccessDenied", 403)

    def refuse_writes(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "put_object":
            raise refusal("AccessDenied", 403)
        return send()

    for meddle in (refuse, refuse_writes):
        with pytest.raises(CopyUnusable, match=rf"s3://{copy.bucket}/{PREFIX}.*AccessDenied.*ARCHIVE_COPY_"):
            copy.run(second=meddle)
    with pytest.raises(StoreRefused, match=rclone.bucket):
        copy.run(first=refuse)


def test_what_lies_in_an_archived_class_is_told_as_such(
    rclone: Archiving, cold: ArchivedClasses, copy: SecondCopy
) -> None:
    recording, warm = archived(rclone), archived(rclone)
    cold.freeze([key_of(rclone, recording, "data/video")])
    rclone.s3 = client_of(rclone.server)
    report = copy.run()
    assert [[problem.kind for problem in failure.problems] for failure in report.failures] == [["archived class"]]
    assert "--thaw DAYS" in describe_problems(report)
    assert (report.copied, f"{folder_of(rclone, warm)}bagit.txt" in copy.objects()) == (1, True)


def test_of_what_nobody_can_read_now_listings_are_compared(rclone: Archiving, copy: SecondCopy) -> None:
    recording = archived(rclone)
    copy.run()
    put(rclone, folder_of(rclone, recording).rstrip("/") + layout.POSTER, b"derived")

    def frozen(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "get_object":
            raise refusal("InvalidObjectState", 403)
        answer = send()
        for item in answer.get("Contents", ()):
            item["ETag"] = f'"of this store alone {item["Key"]}"'
        return answer

    for first, second in ((frozen, None), (None, frozen), (frozen, frozen)):
        for compare in (False, True):
            report = copy.run(first, second, compare=compare)
            assert (report.already_there, report.failed) == (1, 0), (first, second, compare)
    copy.delete(key_of(rclone, recording, "data/video").removeprefix("archive/"))
    assert copy.run(frozen, compare=True).failed == 1
