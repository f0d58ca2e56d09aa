"""What lies in an archived storage class cannot be read now: an audit says so, and never calls it damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.catalog.search import Query, matches
from tests.standins.archived_classes import ArchivedClasses
from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.archiving import Run
from tests.support.auditing import Audited, audited_by, records
from tests.support.bags import key_of
from tests.support.cataloguing import rows, updated_by
from tests.torture.store.trouble import client_of, proxy_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

COLD = "in an archived storage class"


@pytest.fixture
def cold(rclone: Archiving) -> Iterator[ArchivedClasses]:
    """Archived storage classes in front of rclone, which has none."""
    classes = ArchivedClasses()
    with proxy_of(rclone.server) as proxy:
        proxy.start_over(classes)
        yield classes
    assert not proxy.errors


def audited(rclone: Archiving) -> Audited:
    return audited_by(Run(rclone.setup(), client_of(rclone.server)))


def two(rclone: Archiving) -> list[StandInRecording]:
    recordings = [rclone.add(1000), rclone.add(1000)]
    for recording in recordings:
        rclone.archived(recording)
    return recordings


def keys_of(rclone: Archiving, recording: StandInRecording, *but: str) -> list[str]:
    return [key for key in rclone.stored_keys(rclone.folder(recording)) if not key.endswith(but)]


@pytest.mark.parametrize("but", [(".txt", ".json"), ("bagit.txt",), ("nothing",)], ids=["media", "but-marker", "all"])
def test_it_is_passed_over_and_its_last_reading_still_counts(
    rclone: Archiving, cold: ArchivedClasses, but: tuple[str, ...]
) -> None:
    frozen, warm = two(rclone)
    cold.freeze(keys_of(rclone, frozen, *but))
    never = audited(rclone)
    assert (never.findings, never.report.unread, never.reread, never.notices) == ({}, (), {warm.id}, {COLD})
    assert never.report.coverage.never_reread == 1
    cold.objects.clear()
    assert audited(rclone).report.coverage.never_reread == 0
    cold.freeze(keys_of(rclone, frozen, *but))
    later = audited(rclone)
    assert (later.findings, later.report.unread, later.notices) == ({}, (), {COLD})
    assert later.report.coverage.never_reread == 0
    cold.objects.clear()
    assert audited(rclone).notices == set()


def test_damage_that_was_found_before_is_not_forgotten(rclone: Archiving, cold: ArchivedClasses) -> None:
    frozen, _ = two(rclone)
    video = key_of(rclone, frozen, "data/video")
    rclone.s3.put_object(Bucket=rclone.bucket, Key=video, Body=b"x" * 1000)
    assert audited(rclone).findings.keys() == {frozen.id}
    cold.freeze([video])
    assert audited(rclone).findings.keys() == {frozen.id}
    assert [one["outcome"] for one in records(rclone) if frozen.id in one["folder"]] == ["damaged"]


def test_a_file_that_is_gone_is_found_although_the_others_cannot_be_read(
    rclone: Archiving, cold: ArchivedClasses
) -> None:
    frozen = rclone.add(1000, audio=MediaSource(SyntheticContent(100), "audio/mpeg"))
    rclone.archived(frozen)
    gone = key_of(rclone, frozen, "data/audio")
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=gone)
    cold.freeze([key_of(rclone, frozen, "data/video")])
    assert ("missing", gone.removeprefix(rclone.folder(frozen))) in audited(rclone).findings[frozen.id]


def test_what_changed_while_the_manifests_cannot_be_read_is_reported_until_they_can(
    rclone: Archiving, cold: ArchivedClasses
) -> None:
    frozen, _ = two(rclone)
    audited(rclone)
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=key_of(rclone, frozen, "data/video"))
    cold.freeze(keys_of(rclone, frozen, "bagit.txt"))
    for _ in range(2):
        found = audited(rclone)
        assert found.findings == {}
        assert [unread.recording_id for unread in found.report.unread] == [frozen.id]
    cold.objects.clear()
    assert audited(rclone).findings.keys() == {frozen.id}


def test_the_catalog_calls_it_neither_damaged_nor_unreadable(rclone: Archiving, cold: ArchivedClasses) -> None:
    frozen, _ = two(rclone)
    cold.freeze(keys_of(rclone, frozen, "bagit.txt"))
    audited(rclone)
    updated_by(Run(rclone.setup(), client_of(rclone.server)))
    row = rows(rclone)[frozen.id]
    assert (row["condition"], row["fixity_outcome"]) == ("archived class", "archived class")
    assert not matches(row | {"app_id": "app"}, Query(damaged=True))
