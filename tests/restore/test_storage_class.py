"""What lies in an archived storage class is asked for, waited for, and restored once the store has it back."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive.layout import POSTER
from tasks.restore import RestoreReport, describe_problems, storage_class
from tests.support.bags import key_of
from tests.support.meetings import Meeting, transcript
from tests.support.restoring import only, problems_of, require_whole, restore_with, settings_of
from tests.torture.store.faults import refusal
from tests.torture.store.scripts import at
from tests.torture.store.trouble import client_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.standins.archived_classes import ArchivedClasses
    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import StoreProxy

FROZEN = "archived class"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_class, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(storage_class, "LONGEST_PAUSE_S", 0.01)


def restored(rclone: Archiving, to: Path | str, *recordings: StandInRecording, **options: Any) -> RestoreReport:
    ids = [recording.id for recording in recordings]
    return restore_with(settings_of(rclone.setup()), client_of(rclone.server), ids, to, **options)


def archived(rclone: Archiving, **more: Any) -> StandInRecording:
    recording = rclone.add(1000, **more)
    rclone.archived(recording)
    return recording


def waiting() -> dict[str, float]:
    return {"wait_until": time.monotonic() + 60}


@pytest.mark.parametrize(
    ("kept", "tier", "asked", "hours"),
    [
        ("GLACIER", "standard", (3, "Standard"), 5),
        ("DEEP_ARCHIVE", "bulk", (3, "Bulk"), 48),
        ("ARCHIVE_ACCESS", "expedited", (0, "Expedited"), 0.1),
        ("DEEP_ARCHIVE_ACCESS", "standard", (0, "Standard"), 12),
    ],
)
def test_it_is_named_then_asked_for_and_restored_once_it_is_readable(
    rclone: Archiving, cold: ArchivedClasses, tmp_path: Path, kept: str, tier: str, asked: tuple[int, str], hours: float
) -> None:
    recording, warm = archived(rclone), archived(rclone)
    key = key_of(rclone, recording, "data/video")
    (frozen,) = cold.freeze([key], kept, looks=2)
    path = key.removeprefix(rclone.folder(recording))
    report = restored(rclone, tmp_path, recording, warm)
    assert (problems_of(report), report.recordings, frozen.asked) == ({path: FROZEN}, 1, [])
    assert re.search(rf"in {kept}: it has to be asked for, which takes about \d+ hours", describe_problems(report))
    assert "--thaw DAYS" in describe_problems(report)
    before = datetime.now(UTC) + timedelta(hours=hours)
    report = restored(rclone, tmp_path, recording, thaw_days=3, thaw_tier=tier)
    after = datetime.now(UTC) + timedelta(hours=hours)
    assert (problems_of(report), frozen.asked) == ({path: FROZEN}, [asked])
    assert any(f"readable from about {at:%Y-%m-%d %H:%M} UTC on" in describe_problems(report) for at in (before, after))
    report = restored(rclone, tmp_path, recording, thaw_days=3, thaw_tier=tier)
    assert "asked for before and not readable yet" in describe_problems(report)
    assert restored(rclone, tmp_path, recording, **waiting()).recordings == 1
    assert frozen.asked == [asked], "a copy that is there is used"
    require_whole(tmp_path / recording.id)


def test_all_is_asked_for_before_anything_is_waited_for(
    rclone: Archiving, cold: ArchivedClasses, proxy: StoreProxy, tmp_path: Path
) -> None:
    recordings = [archived(rclone), archived(rclone)]
    keys = [key_of(rclone, recording, "data/video") for recording in recordings]
    soon, late = cold.freeze(keys[:1], looks=1) + cold.freeze(keys[1:], looks=4)
    report = restored(rclone, tmp_path, *recordings, thaw_days=1, **waiting())
    assert (report.recordings, report.problems) == (2, 0)
    assert (soon.asked, late.asked) == ([(1, "Standard")], [(1, "Standard")])
    for recording in recordings:
        require_whole(tmp_path / recording.id)
    asked, read = (
        [one.number for one in proxy.requests if at(operation)(one) and one.key in keys]
        for operation in ("PostObject", "GetObject")
    )
    assert max(asked) < read[2], "the first two reads are those that were refused"


def test_of_a_bag_whose_texts_are_frozen_too_all_is_asked_for_and_its_session_comes_with_it(
    rclone: Archiving, cold: ArchivedClasses, tmp_path: Path
) -> None:
    meeting = Meeting.at(rclone)
    meeting.put("transcript", transcript("Hello."))
    recording = meeting.add_recording()
    rclone.archived(recording)
    rclone.run().archived_session(meeting.id)
    bag = [key for key in rclone.stored_keys() if rclone.folder(recording) in key]
    cold.freeze([key for key in bag if not key.endswith("bagit.txt")], looks=2)
    report = restored(rclone, tmp_path, recording)
    assert set(problems_of(report).values()) == {FROZEN}
    assert len(problems_of(report)) == len(bag) - 1
    report = restored(rclone, tmp_path, recording, thaw_days=1, **waiting())
    assert (report.recordings, report.sessions, report.problems) == (1, 1, 0)


def test_the_wait_ends_in_time_and_the_same_command_carries_on(
    rclone: Archiving, cold: ArchivedClasses, tmp_path: Path
) -> None:
    recording = archived(rclone)
    (frozen,) = cold.freeze([key_of(rclone, recording, "data/video")], looks=1_000_000)
    report = restored(rclone, tmp_path, recording, thaw_days=1, wait_until=time.monotonic() + 0.2)
    assert list(problems_of(report).values()) == [FROZEN]
    assert not only(report).whole
    frozen.looks = 0
    assert restored(rclone, tmp_path, recording).recordings == 1


def test_a_picture_beside_the_recording_is_named_asked_for_and_keeps_the_recording_from_nobody(
    rclone: Archiving, cold: ArchivedClasses, tmp_path: Path
) -> None:
    recording = archived(rclone)
    key = rclone.folder(recording).rstrip("/") + POSTER
    rclone.s3.put_object(Bucket=rclone.bucket, Key=key, Body=b"JPEG")
    (frozen,) = cold.freeze([key], looks=2)
    report = restored(rclone, tmp_path, recording, derived=True)
    assert (problems_of(report), only(report).whole) == ({POSTER: FROZEN}, True)
    report = restored(rclone, tmp_path, recording, derived=True, thaw_days=1, **waiting())
    assert (report.problems, len(frozen.asked)) == (0, 1)
    assert (tmp_path / f"{recording.id}{POSTER}").read_bytes() == b"JPEG"


def test_nothing_is_waited_for_that_nobody_asked_for(rclone: Archiving, cold: ArchivedClasses, tmp_path: Path) -> None:
    recording = archived(rclone)
    (frozen,) = cold.freeze([key_of(rclone, recording, "data/video")])
    assert list(problems_of(restored(rclone, tmp_path, recording, **waiting())).values()) == [FROZEN]
    assert not frozen.asked


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (501, "NotImplemented"), (503, "GlacierExpeditedRetrievalNotAvailable")]
)
def test_a_store_that_does_not_give_it_back_keeps_nothing_else_from_being_restored(
    rclone: Archiving, cold: ArchivedClasses, proxy: StoreProxy, tmp_path: Path, status: int, code: str
) -> None:
    recording, warm = archived(rclone), archived(rclone)
    cold.freeze([key_of(rclone, recording, "data/video")])
    proxy.start_over(lambda one: refusal(status, code) if at("PostObject")(one) else cold(one))
    report = restored(rclone, tmp_path, recording, warm, thaw_days=1, thaw_tier="expedited", **waiting())
    assert (report.recordings, list(problems_of(report).values())) == (1, [FROZEN])
    assert f"in GLACIER, and cannot be asked for: {code}" in describe_problems(report)


def test_a_store_that_refuses_to_read_what_it_calls_no_archived_class_is_named(
    rclone: Archiving, cold: ArchivedClasses, proxy: StoreProxy, tmp_path: Path
) -> None:
    recording = archived(rclone)
    key = key_of(rclone, recording, "data/video")
    proxy.start_over(lambda one: refusal(403, "InvalidObjectState") if at("GetObject", ending=key)(one) else cold(one))
    report = restored(rclone, tmp_path, recording, thaw_days=1, **waiting())
    assert list(problems_of(report).values()) == ["unreadable"]


def test_a_bucket_gets_it_too(rclone: Archiving, cold: ArchivedClasses) -> None:
    recording = archived(rclone)
    cold.freeze([key_of(rclone, recording, "data/video")], looks=1)
    to = f"s3://{rclone.bucket}/copy"
    assert restored(rclone, to, recording, thaw_days=1, **waiting()).recordings == 1
