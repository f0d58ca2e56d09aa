"""Runs that meet: a round of each kind here, with other seeds than these in the long mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.standins.realtimekit import MediaSource, SyntheticContent
from tests.support.archiving import payload
from tests.torture.runs.together import SCENARIOS
from tests.torture.source.readers import Reader, Versions

if TYPE_CHECKING:
    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.scenario import Scenario

ON_SWIFT = "runs-at-once"
"""All others are met on rclone alone, which takes a third of the time."""
SHORT = [
    pytest.param(store, scenario, id=f"{scenario.name}-{store}")
    for scenario in SCENARIOS
    for store in ("rclone", "swift")
    if scenario.short and (store == "rclone" or scenario.name == ON_SWIFT)
]
SEED = 0


@pytest.mark.parametrize(("store", "scenario"), SHORT)
def test_runs_that_meet_leave_one_right_archive(request: pytest.FixtureRequest, store: str, scenario: Scenario) -> None:
    bench: Archiving = request.getfixturevalue(store)
    assert scenario.failures(scenario.run(bench, SEED)) == []


@pytest.fixture
def archived(rclone: Archiving) -> StandInRecording:
    """A recording that is archived."""
    recording = rclone.add(1000, audio=MediaSource(b"s\0und", "audio/mpeg"))
    rclone.archived(recording)
    return recording


def stored(bench: Archiving, recording: StandInRecording, name: str, body: bytes) -> None:
    bench.s3.put_object(Bucket=bench.bucket, Key=bench.folder(recording) + name, Body=body)


def test_a_reader_takes_any_version_that_the_source_held(rclone: Archiving, archived: StandInRecording) -> None:
    versions = Versions(archived)
    archived.video.replace(SyntheticContent(1000, seed=7))  # type: ignore[union-attr]
    versions.note()
    reader = Reader(rclone, versions)
    assert reader.look()
    rclone.archived(archived, overwrite=True)
    assert reader.look()
    assert (reader.wrong, reader.seen) == ([], 2)


def test_a_reader_finds_bytes_that_the_manifest_does_not_state(rclone: Archiving, archived: StandInRecording) -> None:
    reader = Reader(rclone, Versions(archived))
    stored(rclone, archived, f"data/video/{archived.video_name}", b"x" * 1000)
    assert reader.look()
    assert "and holds" in reader.wrong[0]


def test_a_reader_finds_a_tag_file_that_was_changed(rclone: Archiving, archived: StandInRecording) -> None:
    reader = Reader(rclone, Versions(archived))
    stored(rclone, archived, "recording.json", b"{}")
    assert reader.look()
    assert "recording.json is not what" in reader.wrong[0]


def test_a_reader_finds_a_bag_of_what_the_source_never_held(rclone: Archiving, archived: StandInRecording) -> None:
    before = dict(payload(archived))
    archived.video.replace(SyntheticContent(1000, seed=7))  # type: ignore[union-attr]
    reader = Reader(rclone, Versions(archived))
    assert before != payload(archived)
    assert reader.look()
    assert "never held" in reader.wrong[0]


def test_a_reader_sees_no_bag_without_a_marker(rclone: Archiving, archived: StandInRecording) -> None:
    rclone.s3.delete_object(Bucket=rclone.bucket, Key=rclone.folder(archived) + "bagit.txt")
    reader = Reader(rclone, Versions(archived))
    assert not reader.look()
    assert (reader.wrong, reader.seen) == ([], 0)
