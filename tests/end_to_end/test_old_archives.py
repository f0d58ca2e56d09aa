"""What was archived by an older version goes on being an archive, and what is written is what that version wrote."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import bagit
import pytest

from flows.describe_recording import find_archive
from tests.standins.realtimekit import APP_ID, RealtimeKitStandIn, SyntheticContent
from tests.support.auditing import audited
from tests.support.old_archives import (
    AUDITED,
    CUT_SHORT,
    CUT_SHORT_VIDEO,
    INVOKED,
    OBJECTS,
    OLDER_APP_ID,
    PART,
    SMALL_PART,
    WHOLE,
    archive_all,
    cut_short,
    described,
    of_older_app,
    old_archive,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving
    from tests.support.old_archives import Old

OLD = old_archive()
MARKERS = sorted(OBJECTS.rglob("bagit.txt"))
RECORD = re.compile(r"unfinished/[0-9a-f]{32}\.json$")
BESIDE = re.compile(rf"{RECORD.pattern}|^archive/_audit/|\.description\.json$")
"""What is in no bag."""
DATED = re.compile(rb"^(Bagging-Date: .*|\w+  bag-info\.txt)\n", re.MULTILINE)
GROUP = re.compile(rb"^Bag-Group-Identifier: (.*)\n(?=Session-Identifier: \1$)", re.MULTILINE)
"""A line that has come since: it names the group that a session's bag is in, too."""


SINCE = {"title", "session_id", "session_url", "session_missing", "session_failure"}
SINCE |= {"lag_s", "refreshes", "resumes", "retries"}
"""Keys of a result that have come since, at its end."""


@pytest.fixture
def older_kit() -> Iterator[RealtimeKitStandIn]:
    with RealtimeKitStandIn(app_id=OLDER_APP_ID) as running:
        yield running


def laid_out(bench: Archiving, older_kit: RealtimeKitStandIn) -> Callable[[Old], Archiving]:
    """Return each recording's app; the old archive is in the bucket, and RealtimeKit still has what is archived."""
    OLD.lay_out(bench)
    apps = {APP_ID: bench, OLDER_APP_ID: of_older_app(bench, older_kit)}
    for old in WHOLE:
        apps[old.app_id].kit.add(old.recording(OLD.media))
    return lambda old: apps[old.app_id]


def recording_of(bench: Archiving, old: Old) -> StandInRecording:
    (recording,) = [one for one in bench.kit.recordings if one.id == old.id]
    return recording


def test_each_recording_is_found_whole_with_all_that_was_said_of_it(
    bench: Archiving, older_kit: RealtimeKitStandIn
) -> None:
    app_of = laid_out(bench, older_kit)
    before = bench.stored_keys()
    for old in WHOLE:
        its = app_of(old)
        found = its.run().archived(old.id)
        assert found.archive_url == f"s3://{bench.bucket}/{its.folder(recording_of(its, old))}"
        stated = {**OLD.index["results"][old.id], "already_archived": True}
        assert found.model_dump(mode="json", exclude={"archive_url", *SINCE}) == stated
        assert (found.title, bool(found.session_id)) == ("", True)
        assert its.kit.file_requests == []
        opened = find_archive(its.run().store, f"s3://{bench.bucket}/archive", found.archive_url, old.id)
        assert tuple(opened.files) == tuple(file.path for file in found.files)
    assert bench.stored_keys() == before


def test_an_audit_remembers_what_was_read_and_when(bench: Archiving) -> None:
    OLD.lay_out(bench)
    audit = audited(bench, deep=False, later=AUDITED + timedelta(days=1) - datetime.now(UTC))
    assert audit.findings == {}
    assert audit.report.coverage.model_dump() == {
        "recordings": len(WHOLE), "within_days": 31, "reread_within": len(WHOLE), "never_reread": 0, "oldest_days": 1.0
    }  # fmt: skip


def test_an_audit_reads_all_of_it_and_finds_nothing(bench: Archiving) -> None:
    OLD.lay_out(bench)
    audit = audited(bench)
    assert (audit.findings, audit.notices) == ({}, set())
    assert audit.reread == {old.id for old in WHOLE}
    assert audit.report.coverage.reread_within == len(WHOLE)


def test_a_sweep_counts_what_is_archived_and_takes_on_what_was_cut_short(
    bench: Archiving, older_kit: RealtimeKitStandIn
) -> None:
    app_of = laid_out(bench, older_kit)
    bench.kit.add(cut_short())
    plans = [app_of(old).run().planned(INVOKED + timedelta(days=1)) for old in (WHOLE[0], WHOLE[-1])]
    assert [plan.already for plan in plans] == [len(WHOLE) - 1, 1]
    assert [[one.id for one in plan.to_archive] for plan in plans] == [[CUT_SHORT.id], []]
    assert [(plan.gained, plan.not_downloadable, plan.lost) for plan in plans] == [((), (), ())] * 2


def test_overwriting_replaces_each_by_a_whole_one(rclone: Archiving, older_kit: RealtimeKitStandIn) -> None:
    app_of = laid_out(rclone, older_kit)
    for old in WHOLE:
        its = app_of(old)
        recording = recording_of(its, old)
        recording.without_url = ()
        archived = its.archived(recording, overwrite=True, accept_size="accept_size" in old.options)
        assert not archived.already_archived
        assert len(archived.files) == len(old.files)
        assert its.left_over(recording) == []
    assert audited(rclone).findings == {}


@pytest.mark.parametrize("marker", MARKERS, ids=lambda marker: marker.parent.name)
def test_others_take_each_for_a_valid_bag(marker: Path) -> None:
    bagit.Bag(str(marker.parent)).validate()
    if sha256sum := shutil.which("sha256sum"):
        command = [sha256sum, "--strict", "--quiet", "-c", "manifest-sha256.txt"]
        subprocess.run(command, cwd=marker.parent, check=True)


def test_there_is_a_bag_for_each_recording_but_that_which_was_cut_short() -> None:
    assert {marker.parent.name for marker in MARKERS} == {old.id for old in WHOLE}
    assert {path.relative_to(OBJECTS).as_posix() for path in OBJECTS.rglob("*") if path.is_file()} == set(OLD.objects)
    assert sum(len(body) for body in OLD.objects.values()) < 300_000


def test_what_is_written_today_is_what_was_written_then(rclone: Archiving, older_kit: RealtimeKitStandIn) -> None:
    results = archive_all(rclone, of_older_app(rclone, older_kit), OLD.media, part_size=SMALL_PART)
    of_then = {its_id: {key: its[key] for key in its.keys() - SINCE} for its_id, its in results.items()}
    assert of_then == OLD.index["results"]
    then = {key: body for key, body in OLD.objects.items() if not BESIDE.search(key)}
    now = rclone.objects()
    assert now.keys() == then.keys()
    today = {key: GROUP.sub(b"", DATED.sub(b"", body)) for key, body in now.items()}
    assert today == {key: DATED.sub(b"", body) for key, body in then.items()}
    assert described(rclone) == {key: OLD.index["objects"][key] for key in then}


def test_the_flow_stores_files_under_the_keys_and_metadata_of_then(
    rclone: Archiving, older_kit: RealtimeKitStandIn
) -> None:
    app_of = laid_out(rclone, older_kit)
    for old in WHOLE:
        run = app_of(old).run()
        for payload in run.payloads(run.recording(old.id)):
            stored = OLD.index["objects"][payload.key]["metadata"]
            assert stored == {**stored, **payload.metadata}
            assert stored.keys() - payload.metadata.keys() <= {"sha256", "source-etag"}


def carried_on(bench: Archiving) -> StandInRecording:
    """Let the store have the upload that the old record is of, and its first part."""
    OLD.lay_out(bench)
    recording = bench.kit.add(cut_short())
    (old_key,) = [key for key in OLD.objects if RECORD.search(key)]
    record = json.loads(OLD.objects[old_key])
    named = {"Bucket": bench.bucket, "Key": record["key"]}
    upload_id = bench.s3.create_multipart_upload(**named, ContentType="video/mp4")["UploadId"]
    body = CUT_SHORT_VIDEO.read(0, PART)
    bench.s3.upload_part(**named, UploadId=upload_id, PartNumber=1, Body=body)
    bench.s3.delete_object(Bucket=bench.bucket, Key=old_key)
    name = hashlib.sha256(upload_id.encode()).hexdigest()[:32]
    key = f"{bench.folder(recording)}unfinished/{name}.json"
    body = json.dumps({**record, "upload_id": upload_id}).encode()
    bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=body, ContentType="application/json")
    return recording


def test_an_upload_that_was_cut_short_is_no_archive_and_is_carried_on(bench: Archiving) -> None:
    recording = carried_on(bench)
    run = bench.run(part_size=PART)
    assert run.archive.find(run.recording(recording.id)) is None
    archived = run.archived(recording.id)
    assert not archived.already_archived
    assert archived.files[0].sha256 == CUT_SHORT_VIDEO.sha256()
    assert sum(run.counted.read.values()) == CUT_SHORT_VIDEO.size - PART
    assert bench.left_over() == []


def test_an_upload_that_was_cut_short_is_ended_if_the_source_is_another_by_now(rclone: Archiving) -> None:
    recording = carried_on(rclone)
    assert recording.video is not None
    recording.video.replace(SyntheticContent(7000, seed=7))
    assert rclone.archived(recording).bytes == 7000
    assert rclone.left_over() == []


def test_a_record_whose_upload_the_store_has_forgotten_keeps_nothing_from_being_archived(rclone: Archiving) -> None:
    OLD.lay_out(rclone)
    assert rclone.archived(rclone.kit.add(cut_short())).files[0].sha256 == CUT_SHORT_VIDEO.sha256()
    assert rclone.left_over() == []
