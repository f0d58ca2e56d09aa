"""An audit finds what is no longer what was archived, says where, and takes nothing else for damage."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tasks.audit import auditor, fixity
from tasks.errors import StoreUnavailable
from tasks.s3 import read_ahead
from tests.standins.realtimekit import SyntheticContent
from tests.support.auditing import audited, audited_by, records
from tests.support.bags import key_of
from tests.support.meddling import refusal

if TYPE_CHECKING:
    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

TEN_DAYS = timedelta(days=10)


def three(bench: Archiving) -> list[StandInRecording]:
    """Archive three recordings, and return them in the order of their folders."""
    recordings = [bench.add(1000 + number) for number in range(3)]
    for recording in recordings:
        bench.archived(recording)
    return sorted(recordings, key=lambda one: one.id)


def day_of(bench: Archiving, recording: StandInRecording) -> str:
    """Return where all that was recorded on the same day lies."""
    return bench.folder(recording).removesuffix(f"{recording.id}/")


def put(bench: Archiving, key: str, body: bytes) -> None:
    bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=body)


def flip(bench: Archiving, key: str) -> None:
    body = bytearray(bench.s3.get_object(Bucket=bench.bucket, Key=key)["Body"].read())
    body[len(body) // 2] ^= 1
    put(bench, key, bytes(body))


def noting(keys: set[str]) -> Any:
    """Return what notes the keys that are asked for."""

    def meddle(_method: str, request: dict[str, Any], send: Any) -> Any:
        keys.add(request.get("Key", ""))
        return send()

    return meddle


def archive_and_damage(bench: Archiving) -> tuple[dict[str, list[tuple[str, str]]], StandInRecording]:
    """Damage recordings in all ways; return what is to be found of each, and one that is whole."""
    recordings = [bench.add(1000 + number) for number in range(8)]
    names = [
        [name for name in bench.names(one) if name.startswith("data/video")]
        for one in recordings
        if bench.archived(one)
    ]
    videos = [name for (name,) in names]
    keys = [bench.folder(one) for one in recordings]
    flip(bench, keys[0] + videos[0])
    flip(bench, keys[1] + "recording.json")
    put(bench, keys[2] + videos[2], b"short")
    bench.s3.delete_object(Bucket=bench.bucket, Key=keys[3] + videos[3])
    put(bench, keys[4] + "data/video/more.mp4", b"more")
    put(bench, keys[5] + "stray.txt", b"stray")
    bench.s3.delete_object(Bucket=bench.bucket, Key=keys[6] + "tagmanifest-sha256.txt")
    counted = ("miscounted", "data/")
    expected = [
        [("altered", videos[0])],
        [("altered", "recording.json")],
        [("altered", videos[2]), counted],
        [("missing", videos[3]), counted],
        [("unknown", "data/video/more.mp4"), counted],
        [("unknown", "stray.txt")],
        [("missing", "tagmanifest-sha256.txt")],
    ]
    return {one.id: found for one, found in zip(recordings, expected, strict=False)}, recordings[7]


def test_whatever_became_of_a_file_is_found_and_named(bench: Archiving) -> None:
    expected, whole = archive_and_damage(bench)
    found = audited(bench, at_once=4)
    assert found.findings == expected
    assert whole.id in found.reread
    assert {damage.held.recording_id for damage in found.told} == set(expected)
    flipped = next(one for one in found.report.damaged if len(one.findings) == 1 and "/video/" in one.findings[0].path)
    assert flipped.findings[0].expected.startswith("SHA-256 ")
    assert flipped.findings[0].found.startswith("SHA-256 ")
    assert flipped.findings[0].expected != flipped.findings[0].found.partition(",")[0]
    assert flipped.command == f"uv run python -m flows.archive_recording {flipped.recording_id} --overwrite"
    assert audited(bench, later=TEN_DAYS).report.damaged[0].command == ""


def test_before_any_reading_a_listing_shows_what_lacks_and_after_one_what_was_cut_came_or_went(
    rclone: Archiving,
) -> None:
    first = three(rclone)
    audited(rclone)
    expected, _ = archive_and_damage(rclone)
    assert audited(rclone, deep=False).findings.keys() == {
        its_id for its_id, found in expected.items() if found[0][1].startswith("tag")
    }
    put(rclone, key_of(rclone, first[0], "data/video/"), b"short")
    put(rclone, f"{rclone.folder(first[1])}data/more.mp4", b"more")
    flip(rclone, key_of(rclone, first[2], "data/video/"))
    reads: set[str] = set()
    found = audited(rclone, noting(reads), deep=False)
    assert found.findings[first[0].id] == [("miscounted", "data/")]
    assert found.findings[first[1].id] == [("unknown", "data/more.mp4"), ("miscounted", "data/")]
    assert first[2].id not in found.findings, "a flipped byte shows in no listing"
    assert reads
    assert not any("/data/" in key for key in reads)
    assert found.report.coverage.never_reread == 11  # what changed since it was read was not read


def test_audits_take_turns_through_the_archive(bench: Archiving) -> None:
    recordings = {one.id for one in three(bench)}
    turns = [audited(bench, size=1) for _ in range(4)]
    assert [len(turn.reread) for turn in turns] == [1] * 4
    order = [its_id for turn in turns for its_id in turn.reread]
    assert set(order[:3]) == recordings
    assert order[3] == order[0]
    assert [turn.report.coverage.never_reread for turn in turns] == [2, 1, 0, 0]
    assert "all 3 recordings re-read within 31 days; oldest 0 days" in str(turns[3].report.coverage)
    much_later = audited(bench, deep=False, later=timedelta(days=40)).report.coverage
    assert str(much_later) == "0 of 3 recordings re-read within 31 days; oldest 40 days"


def test_damage_is_told_until_it_is_mended(rclone: Archiving) -> None:
    broken, *_ = three(rclone)
    audited(rclone)
    flip(rclone, key := key_of(rclone, broken, "data/video/"))
    assert set(audited(rclone, size=1).findings) == {broken.id}
    again = audited(rclone, deep=False)
    assert [one.found_before for one in again.report.damaged] == [True]
    assert again.told == []
    flip(rclone, key)
    assert audited(rclone, size=1).findings == {}


@pytest.mark.parametrize(("pays", "rest"), [(13, 0), (0, 1), (1, 1)])
def test_a_large_file_is_read_in_ranges_as_long_as_that_pays_and_compared_as_a_whole(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch, pays: int, rest: int
) -> None:
    monkeypatch.setattr(read_ahead, "RANGE", 1000)
    answers = iter([True] * pays + [False] * 30)
    monkeypatch.setattr(read_ahead._Timing, "pays", lambda _: next(answers))
    recording = rclone.add(12_345)
    rclone.archived(recording)
    key, asked = key_of(rclone, recording, "data/video/"), list[tuple[int, ...]]()

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and request["Key"] == key:
            asked.append(tuple(map(int, request["Range"].removeprefix("bytes=").split("-"))))
        return send()

    assert audited(rclone, meddle).findings == {}
    asked.sort()
    assert [start for start, _ in asked] == [0, *(stop + 1 for _, stop in asked[:-1])], "each byte once"
    assert asked[-1][1] == 12_344
    longest = max(stop - start for start, stop in asked)
    assert (longest > 1000) == (rest > 0)
    flip(rclone, key)
    path = key.removeprefix(rclone.folder(recording))
    assert audited(rclone, at_once=3).findings == {recording.id: [("altered", path)]}


def test_reading_ahead_pays_where_a_request_waits_for_less_than_its_bytes_take() -> None:
    timing = read_ahead._Timing()
    timing.latency_s, timing.flow_s = 0.03, 0.1
    assert timing.pays()
    timing.latency_s, timing.flow_s = 1.5, 0.01
    assert not timing.pays()


def test_a_byte_that_flips_on_the_way_once_is_no_damage(rclone: Archiving) -> None:
    recording = rclone.add(1000)
    rclone.archived(recording)
    key, flipped = key_of(rclone, recording, "data/video/"), list[str]()

    class Flipped:
        def __init__(self, body: Any) -> None:
            self._body = body

        def iter_chunks(self, size: int) -> Any:
            return (bytes([chunk[0] ^ 1]) + chunk[1:] for chunk in self._body.iter_chunks(size))

        def close(self) -> None:
            self._body.close()

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        answer = send()
        if method == "get_object" and request["Key"] == key and not flipped:
            flipped.append(key)
            answer["Body"] = Flipped(answer["Body"])
        return answer

    assert audited(rclone, meddle).findings == {}
    assert flipped


@pytest.mark.parametrize(("store", "moment"), [("rclone", 1), ("rclone", 3), ("rclone", 6), ("swift", 3)])
def test_a_bag_that_is_overwritten_while_it_is_read_is_no_damage(
    request: pytest.FixtureRequest, store: str, moment: int
) -> None:
    bench: Archiving = request.getfixturevalue(store)
    recording = bench.add(1000)
    bench.archived(recording)
    reads: list[str] = []

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and recording.id in request["Key"]:
            reads.append(request["Key"])
            if len(reads) == moment:
                recording.video.replace(SyntheticContent(1000, seed=99))  # type: ignore[union-attr]
                bench.archived(recording, overwrite=True)
        return send()

    found = audited(bench, meddle)
    assert len(reads) >= moment
    assert found.findings == {}
    assert found.told == []
    assert audited(bench).reread == {recording.id}


def test_a_bag_that_is_half_overwritten_or_deleted_while_it_is_read_is_left_to_the_next_audit(
    rclone: Archiving,
) -> None:
    recording = rclone.add(1000)
    rclone.archived(recording)
    folder = rclone.folder(recording)
    for leave in ("data/", "nothing"):

        def meddle(method: str, request: dict[str, Any], send: Any, leave: str = leave) -> Any:
            if method == "get_object" and request["Key"].endswith("manifest-sha256.txt"):
                for name in rclone.names(recording):
                    if not name.startswith(leave):
                        rclone.s3.delete_object(Bucket=rclone.bucket, Key=folder + name)
            return send()

        found = audited(rclone, meddle)
        assert (found.findings, found.notices) == ({}, {"being written"})
        assert records(rclone) == []
        rclone.archived(recording, overwrite=leave == "data/")


def test_a_bag_without_its_marker_is_damaged_once_nobody_can_be_at_work_on_it(rclone: Archiving) -> None:
    recording, gone, half_done = three(rclone)
    audited(rclone)
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=f"{rclone.folder(recording)}bagit.txt")
    for name in rclone.names(gone):
        rclone.s3.delete_object(Bucket=rclone.bucket, Key=rclone.folder(gone) + name)
    for name in rclone.names(half_done) - {"recording.json"}:
        rclone.s3.delete_object(Bucket=rclone.bucket, Key=rclone.folder(half_done) + name)
    put(rclone, f"{day_of(rclone, half_done)}{'0' * 8}-0000-0000-0000-{'0' * 12}/data/video/a.mp4", b"half done")
    now = audited(rclone, deep=False)
    assert now.findings == {gone.id: [("missing", "")]}
    later = audited(rclone, deep=False, later=TEN_DAYS)
    assert later.findings == {one.id: [("missing", "bagit.txt")] for one in (recording, half_done)}
    assert "half done and forgotten" in later.notices


def test_an_audit_that_is_killed_loses_nothing_that_it_had_written_and_the_next_carries_on(rclone: Archiving) -> None:
    recordings = {one.id for one in three(rclone)}
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.audit_child", rclone.setup().text(), "15"]
    killed = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    written = {record["folder"].split("/")[-2] for record in records(rclone)}
    assert len(written) == 2  # a bag is six reads
    assert audited(rclone, size=1).reread == recordings - written


def test_a_store_that_goes_away_is_no_damage_and_the_next_audit_carries_on(
    bench: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = {one.id for one in three(bench)}
    monkeypatch.setattr(auditor, "WRITTEN_EVERY_S", 0.0)
    reads: list[str] = []

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and "/_audit/" not in request["Key"]:
            reads.append(request["Key"])
            if len(reads) == 9:
                bench.server.kill()
        return send()

    run = bench.run(meddle, patience_s=0.5)
    try:
        with pytest.raises(StoreUnavailable):
            audited_by(run)
    finally:
        bench.server.start()
    (record,) = records(bench)
    assert record["outcome"] == "whole"
    assert audited(bench, size=1).reread <= recordings - {record["folder"].split("/")[-2]}


def test_one_bag_that_cannot_be_read_is_told_and_stops_no_other(rclone: Archiving) -> None:
    first, *others = three(rclone)

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and first.id in request["Key"] and "/data/" in request["Key"]:
            raise refusal("AccessDenied", 403)
        return send()

    found = audited(rclone, meddle)
    assert found.findings == {}
    assert found.reread == {one.id for one in others}
    (unread,) = found.report.unread
    assert unread.recording_id == first.id
    assert "AccessDenied" in unread.reason
    assert audited(rclone).findings == {}


def test_bags_of_other_programs_are_judged_by_the_standard(bench: Archiving) -> None:
    put(bench, "archive/theirs/bag/bagit.txt", b"BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n")
    put(bench, "archive/theirs/bag/data/a%0D.txt", b"a")
    put(bench, "archive/theirs/bag/data/b/c.txt", b"c")
    put(bench, "archive/theirs/bag/metadata/extra.xml", b"<x/>")
    lines = [(b"a", "data/a%250D.txt"), (b"c", "./data/b/c.txt")]
    manifest = "".join(f"{hashlib.sha512(body).hexdigest()} *{path}\n" for body, path in lines)
    put(bench, "archive/theirs/bag/manifest-sha512.txt", manifest.encode())
    found = audited(bench)
    assert (found.findings, found.notices, found.reread) == ({}, set(), {"bag"})
    put(bench, "archive/theirs/bag/data/b/c.txt", b"d")
    put(bench, "archive/theirs/bag/manifest-blake3.txt", b"?")
    found = audited(bench)
    assert found.findings == {"bag": [("unverifiable", "manifest-blake3.txt"), ("altered", "data/b/c.txt")]}
    assert found.report.damaged[0].command == ""


def test_manifests_that_cannot_be_followed_are_told_and_lead_nowhere(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixity, "LARGEST_TEXT", 2000)
    marker, digest = b"BagIt-Version: 1.0\n", hashlib.sha256(b"a").hexdigest()
    manifests = {
        "outside": f"{digest}  ../secret\n{digest}  data/../../secret\n{digest}  /etc/passwd\n{digest}  bagit.txt\n",
        "huge": f"{digest}  data/a\n" * 30,
        "binary": "\0",
        "none": None,
    }
    for name, text in manifests.items():
        put(rclone, f"archive/{name}/bagit.txt", marker)
        if text is not None:
            put(rclone, f"archive/{name}/manifest-sha256.txt", text.encode())
    put(rclone, "archive/secret", b"a")
    asked: set[str] = set()
    found = audited(rclone, noting(asked))
    assert found.findings == {
        "outside": [("malformed", "manifest-sha256.txt")] * 4,
        "binary": [("malformed", "manifest-sha256.txt")],
    }
    told = {one.where.split("/")[-2]: one.detail for one in found.report.notices if one.what == "cannot be verified"}
    assert "at most 1.953 KiB, found" in told["huge"]
    assert set(told) == {"huge", "none"}
    assert not any("secret" in key or "passwd" in key for key in asked)
    assert "foreign objects" in found.notices


def test_an_archive_without_bags_and_what_is_foreign_in_it_are_told(rclone: Archiving) -> None:
    empty = audited(rclone)
    assert empty.notices == {"no recordings"}
    assert str(empty.report.coverage) == "there is no recording"
    recording = rclone.add(1000)
    rclone.archived(recording)
    put(rclone, f"{rclone.folder(recording).rstrip('/')}.description.json", b"{}")
    put(rclone, "archive/_audit/2026/11/junk.jsonl", b"junk")
    put(rclone, "archive/_audit/2026/11/20261101T000000000000Z-0123456789ab-1.jsonl", b"junk\n{}\n")
    assert audited(rclone).notices == set()
    put(rclone, f"{day_of(rclone, recording)}readme\n.txt", b"?")
    rclone.s3.create_multipart_upload(Bucket=rclone.bucket, Key=f"{day_of(rclone, recording)}x/data/video/a.mp4")
    found = audited(rclone)
    assert found.notices == {"foreign objects"}
    assert found.findings == {}
    assert audited(rclone, later=TEN_DAYS, deep=False).notices == {"foreign objects", "incomplete upload"}
    assert audited(rclone, app_ids=("other",)).report.coverage.recordings == 0
