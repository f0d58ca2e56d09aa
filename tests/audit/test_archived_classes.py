"""An audit passes over what is in an archived storage class: that is no damage, and hides none that shows elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tasks.catalog.search import Query, matches
from tasks.s3 import read_ahead
from tests.standins.archived_classes import ArchivedClasses
from tests.standins.realtimekit import SyntheticContent
from tests.support.archiving import Run
from tests.support.auditing import Audited, audited, audited_by, records
from tests.support.bags import key_of
from tests.support.cataloguing import rows, updated_by
from tests.torture.store.faults import refusal
from tests.torture.store.scripts import at
from tests.torture.store.trouble import client_of

if TYPE_CHECKING:
    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import StoreProxy

COLD = "in an archived storage class"
SOON = timedelta(minutes=1)


@pytest.fixture
def recording(rclone: Archiving) -> StandInRecording:
    """A recording that is archived, and that an audit has read."""
    recording = rclone.add(1000)
    rclone.archived(recording)
    assert audited(rclone).reread == {recording.id}
    return recording


def looked(rclone: Archiving, **options: Any) -> Audited:
    """Audit the archive with a client that meets the archived storage classes, a little later than the last time."""
    return audited_by(Run(rclone.setup(), client_of(rclone.server)), **{"later": SOON} | options)


def keys_of(rclone: Archiving, recording: StandInRecording) -> list[str]:
    return [rclone.folder(recording) + name for name in rclone.names(recording)]


def change(rclone: Archiving, key: str, body: bytes) -> None:
    rclone.s3.put_object(Bucket=rclone.bucket, Key=key, Body=body)


def last_outcome(rclone: Archiving) -> str:
    return str(max(records(rclone), key=lambda record: str(record["at"]))["outcome"])


@pytest.mark.parametrize("names", ["data/", "manifest-sha256.txt", "bag-info.txt", ""])
def test_it_is_neither_damaged_nor_read_and_what_was_read_before_still_counts(
    rclone: Archiving, cold: ArchivedClasses, recording: StandInRecording, names: str
) -> None:
    warm = rclone.add(2000)
    rclone.archived(warm)
    folder = rclone.folder(recording)
    cold.freeze([key for key in keys_of(rclone, recording) if key.startswith(folder + names)])
    found = looked(rclone)
    assert (found.findings, found.report.unread, found.notices) == ({}, (), {COLD})
    assert found.reread == {warm.id}
    assert (found.report.coverage.reread_within, found.report.coverage.never_reread) == (2, 0)
    (detail,) = [notice.detail for notice in found.report.notices]
    assert detail.startswith("1 recordings: compared by names and sizes")
    assert looked(rclone, deep=False, later=2 * SOON).notices == {COLD}, "the next audit knows, without a reading"
    cold.objects.clear()
    assert (looked(rclone, later=3 * SOON).notices, last_outcome(rclone)) == (set(), "whole")


def test_of_a_bag_half_in_such_a_class_the_other_files_are_read_and_their_damage_is_found(
    rclone: Archiving, cold: ArchivedClasses, recording: StandInRecording
) -> None:
    cold.freeze([key_of(rclone, recording, "data/video")])
    details = f"{rclone.folder(recording)}recording.json"
    change(rclone, details, rclone.objects()[details].replace(b"e", b"E"))
    assert looked(rclone).findings == {recording.id: [("altered", "recording.json")]}
    assert last_outcome(rclone) == "damaged"


def test_a_large_file_that_would_be_read_in_ranges_is_passed_over_too(
    rclone: Archiving, cold: ArchivedClasses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "RANGE", 1000)
    monkeypatch.setattr(read_ahead._Timing, "pays", lambda _: True)
    recording = rclone.add(12_345)
    rclone.archived(recording)
    cold.freeze([key_of(rclone, recording, "data/video")])
    found = looked(rclone, at_once=3)
    assert (found.findings, found.report.unread, found.notices) == ({}, (), {COLD})


def test_what_was_damaged_before_stays_damaged(
    rclone: Archiving, cold: ArchivedClasses, recording: StandInRecording
) -> None:
    video = key_of(rclone, recording, "data/video")
    change(rclone, video, b"x" * 1000)
    damage = {recording.id: [("altered", video.removeprefix(rclone.folder(recording)))]}
    assert audited(rclone).findings == damage
    cold.freeze(keys_of(rclone, recording))
    for number in (1, 2):
        found = looked(rclone, later=number * SOON)
        assert (found.findings, found.told, found.report.damaged[0].found_before) == (damage, [], True)
    assert looked(rclone, later=3 * SOON, deep=False).findings == damage


def test_a_payload_file_that_was_cut_shows_by_its_size_while_the_texts_can_be_read(
    rclone: Archiving, cold: ArchivedClasses, recording: StandInRecording
) -> None:
    video = key_of(rclone, recording, "data/video")
    cold.freeze([video])
    change(rclone, video, b"cut")
    for number, deep in ((1, False), (2, True)):
        found = looked(rclone, deep=deep, later=number * SOON)
        assert found.findings == {recording.id: [("miscounted", "data/")]}


@pytest.mark.parametrize("is_cut", [True, False])
def test_what_an_audit_knows_outlasts_one_that_could_not_read(
    rclone: Archiving, proxy: StoreProxy, recording: StandInRecording, *, is_cut: bool
) -> None:
    video, cold = key_of(rclone, recording, "data/video"), ArchivedClasses()
    change(rclone, video, b"cut" if is_cut else b"x" * 1000)
    if not is_cut:
        assert audited(rclone).findings
    proxy.start_over(lambda one: refusal(403, "AccessDenied") if at("GetObject", ending="bagit.txt")(one) else None)
    assert len(looked(rclone).report.unread) == 1
    proxy.start_over(cold)
    cold.freeze(keys_of(rclone, recording))
    for number in (2, 3):
        found = looked(rclone, later=number * SOON)
        assert (len(found.report.unread), len(found.findings)) == ((1, 0) if is_cut else (0, 1))


@pytest.mark.parametrize("text", ["bag-info.txt", "manifest-sha256.txt"])
def test_a_change_that_no_readable_file_explains_is_told_at_each_audit(
    rclone: Archiving, cold: ArchivedClasses, recording: StandInRecording, text: str
) -> None:
    video, info = (key_of(rclone, recording, name) for name in ("data/video", "bag-info.txt"))
    cold.freeze([video, info, key_of(rclone, recording, text)])
    change(rclone, video, b"cut")
    for number, deep in ((1, False), (2, True), (3, True)):
        found = looked(rclone, deep=deep, later=number * SOON)
        assert found.findings == {}
        (unread,) = found.report.unread
        assert unread.recording_id == recording.id
        assert "files came, went or were cut" in unread.reason
    cold.objects.clear()
    found = looked(rclone, later=4 * SOON)
    assert [kind for kind, _ in found.findings[recording.id]] == ["altered", "miscounted"]


def test_a_replaced_bag_is_passed_over_and_known_from_then_on_though_its_listing_is_another(
    rclone: Archiving, cold: ArchivedClasses, recording: StandInRecording
) -> None:
    recording.video.replace(SyntheticContent(1500, seed=99))  # type: ignore[union-attr]
    rclone.archived(recording, overwrite=True)
    cold.freeze([key_of(rclone, recording, "data/video")])
    found = looked(rclone)
    assert (found.findings, found.report.unread, found.notices) == ({}, (), {COLD})
    assert last_outcome(rclone) == "archived class"


def test_of_a_replaced_bag_the_files_that_can_be_read_are_read_at_once(
    rclone: Archiving, cold: ArchivedClasses, recording: StandInRecording
) -> None:
    recording.video.replace(SyntheticContent(1500, seed=99))  # type: ignore[union-attr]
    rclone.archived(recording, overwrite=True)
    cold.freeze([f"{rclone.folder(recording)}recording.json"])
    change(rclone, video := key_of(rclone, recording, "data/video"), b"x" * 1500)
    assert looked(rclone).findings == {recording.id: [("altered", video.removeprefix(rclone.folder(recording)))]}


def test_another_refusal_to_read_is_told_as_before(
    rclone: Archiving, proxy: StoreProxy, recording: StandInRecording
) -> None:
    video = key_of(rclone, recording, "data/video")
    proxy.start_over(lambda one: refusal(403, "AccessDenied") if at("GetObject", ending=video)(one) else None)
    found = looked(rclone)
    assert (found.findings, found.notices, len(found.report.unread)) == ({}, set(), 1)


def test_records_of_earlier_audits_in_such_a_class_are_left_out(
    rclone: Archiving, cold: ArchivedClasses, recording: StandInRecording, caplog: pytest.LogCaptureFixture
) -> None:
    cold.freeze(rclone.stored_keys("archive/_audit/"))
    found = looked(rclone)
    assert (found.findings, found.reread) == ({}, {recording.id})
    assert "is in an archived storage class: what it tells of bags is not known" in caplog.text


def test_the_catalog_calls_it_neither_damaged_nor_unreadable(
    rclone: Archiving, cold: ArchivedClasses, recording: StandInRecording
) -> None:
    cold.freeze([key for key in keys_of(rclone, recording) if not key.endswith("bagit.txt")])
    looked(rclone, deep=True)
    updated_by(Run(rclone.setup(), client_of(rclone.server)))
    row = rows(rclone)[recording.id]
    assert row["condition"] == "archived class"
    assert not matches(row | {"app_id": "app"}, Query(damaged=True))


def test_of_what_no_audit_has_read_before_the_catalog_says_why(rclone: Archiving, cold: ArchivedClasses) -> None:
    frozen = rclone.add(1000)
    rclone.archived(frozen)
    cold.freeze([key for key in keys_of(rclone, frozen) if not key.endswith("bagit.txt")])
    looked(rclone)
    updated_by(Run(rclone.setup(), client_of(rclone.server)))
    row = rows(rclone)[frozen.id]
    assert (row["condition"], row["fixity_outcome"]) == ("archived class", "archived class")
