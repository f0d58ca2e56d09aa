"""A recording is found by its id, and whether it can be downloaded is told with the reason."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.errors import FinalError, NothingToDownload, RecordingNotFound
from tasks.realtimekit.availability import require_media
from tasks.realtimekit.recordings import RealtimeKit
from tests.standins.faults import Answer
from tests.standins.realtimekit import MediaSource, RealtimeKitStandIn, StandInRecording
from tests.support.calling import ID, TOKEN, client, failure


def test_the_details_of_a_recording_are_fetched_with_the_token(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    recording = api.recording(ID)
    assert (recording.id, recording.status, recording.media[0].size) == (ID, "UPLOADED", 5)
    (request,) = kit.api_requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


def test_an_id_in_capitals_is_the_same_recording(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    kit.api_faults = [Answer.json({"success": True, "data": {"id": ID}})]
    assert api.recording(ID.upper()).id == ID


def test_a_recording_that_is_not_there_and_one_of_another_app_are_not_found(
    kit: RealtimeKitStandIn, api: RealtimeKit
) -> None:
    assert isinstance(failure(api, ID[::-1]), RecordingNotFound)
    with client(kit, app_id="other") as api_of_another:
        assert "REALTIMEKIT_APP_ID" in str(failure(api_of_another))


@pytest.mark.parametrize("trick", ["../recordings", "..", "a/b", "?page_no=1", "#", "", "%2e%2e", "a\r\nX-Evil: 1"])
def test_an_id_with_tricks_reaches_no_other_resource(kit: RealtimeKitStandIn, api: RealtimeKit, trick: str) -> None:
    assert isinstance(failure(api, trick), FinalError)
    (request,) = kit.api_requests
    assert request.query == {}


def reason(kit: RealtimeKitStandIn, api: RealtimeKit, recording: StandInRecording) -> str:
    kit.add(recording)
    with pytest.raises(NothingToDownload) as raised:
        require_media(api.recording(ID))
    return raised.value.reason


def test_a_recording_with_a_url_can_be_downloaded_whatever_its_age(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    require_media(api.recording(ID))
    kit.add(StandInRecording(ID, video=MediaSource(b"x"), invoked_time=datetime(2020, 1, 1, tzinfo=UTC)))
    require_media(api.recording(ID))


def test_a_bucket_that_was_turned_off_is_told_from_a_file_that_has_left_it(
    kit: RealtimeKitStandIn, api: RealtimeKit
) -> None:
    young, old = datetime.now(UTC) - timedelta(days=6), datetime.now(UTC) - timedelta(days=8)
    off = StandInRecording(ID, bucket_enabled=False, invoked_time=young, storage_config={"type": "aws", "secret": "s"})
    assert "your own storage (aws)" in reason(kit, api, off)
    off = StandInRecording(ID, bucket_enabled=False, invoked_time=young)
    assert "the API names no storage of your own" in reason(kit, api, off)
    gone = StandInRecording(ID, bucket_enabled=False, invoked_time=old)
    assert "left RealtimeKit's bucket" in reason(kit, api, gone)


def test_a_track_without_a_url_is_not_left_behind_in_silence(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    files = {"a.webm": {"download_url": "https://h/a"}} | {f"b{number}.webm": {} for number in range(9)}
    now = datetime.now(UTC)
    broken = StandInRecording(ID, invoked_time=now, details={"download_url": [{"download_urls": files}]})
    assert "without a usable URL: tracks/default/b0.webm, " in reason(kit, api, broken)
    assert reason(kit, api, broken).endswith(" and more.")


def test_a_track_recording_without_tracks_is_no_bucket_that_was_turned_off(
    kit: RealtimeKitStandIn, api: RealtimeKit
) -> None:
    quiet = StandInRecording(ID, tracks={})
    assert reason(kit, api, quiet) == "it is a track recording without tracks, as nobody spoke."
