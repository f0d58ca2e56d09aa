"""Waiting for UPLOADED goes on for what may still come right, and ends at once for what cannot."""

import logging
from collections.abc import Iterator

import pytest

from tasks.errors import ApiRefused, NotUploadedInTime, RecordingErrored, TransferStopped
from tasks.realtimekit import recordings
from tasks.realtimekit.models import Recording
from tasks.realtimekit.recordings import RealtimeKit
from tests.standins.faults import Answer
from tests.standins.realtimekit import MediaSource, RealtimeKitStandIn, StandInRecording
from tests.support.calling import ID, NoWaits, client

LOG = logging.getLogger("waiting")


class Clock(NoWaits):
    """Time that passes only by waiting."""

    def monotonic(self) -> float:
        """Tell the time."""
        return sum(self.waits)


@pytest.fixture
def kit() -> Iterator[RealtimeKitStandIn]:
    with RealtimeKitStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    clock = Clock()
    monkeypatch.setattr(recordings, "time", clock)
    caplog.set_level(logging.INFO, logger="waiting")
    return clock


@pytest.fixture
def api(kit: RealtimeKitStandIn, clock: Clock) -> Iterator[RealtimeKit]:
    with client(kit, clock, patience_s=0) as api:
        yield api


def waited(kit: RealtimeKitStandIn, api: RealtimeKit, *statuses: str, timeout_s: float = 10_000) -> Recording:
    kit.add(StandInRecording(ID, video=MediaSource(b"1"), statuses=statuses))
    return api.wait_until_uploaded(api.recording(ID), timeout_s=timeout_s, interval_s=10, log=LOG)


def test_an_uploaded_recording_is_not_waited_for(kit: RealtimeKitStandIn, api: RealtimeKit, clock: Clock) -> None:
    assert waited(kit, api, "UPLOADED", timeout_s=0).media
    assert clock.waits == []


def test_the_recording_is_returned_as_it_is_once_uploaded(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    recording = waited(kit, api, "INVOKED", "RECORDING", "PAUSED", "RECORDING", "UPLOADING", "TRANSCODING", "UPLOADED")
    assert recording.status == "UPLOADED"
    assert recording.media[0].url.startswith(kit.files_url)


def test_pauses_grow_by_half_up_to_a_minute(kit: RealtimeKitStandIn, api: RealtimeKit, clock: Clock) -> None:
    waited(kit, api, *["RECORDING"] * 8, "UPLOADED")
    assert clock.waits == [10, 15, 22.5, 33.75, 50.625, 60, 60, 60]


def test_each_look_is_logged_with_the_status_and_the_next_look(
    kit: RealtimeKitStandIn, api: RealtimeKit, caplog: pytest.LogCaptureFixture
) -> None:
    waited(kit, api, "RECORDING", "PAUSED", "UPLOADED", timeout_s=100)
    assert [record.getMessage() for record in caplog.records if record.name == "waiting"] == [
        f"Recording {ID} is RECORDING; waiting for UPLOADED. Next look in 10 s, for 100 s more at the most.",
        f"Recording {ID} is PAUSED; waiting for UPLOADED. Next look in 15 s, for 90 s more at the most.",
    ]


def test_errored_ends_the_waiting_at_once(kit: RealtimeKitStandIn, api: RealtimeKit, clock: Clock) -> None:
    with pytest.raises(RecordingErrored, match=ID):
        waited(kit, api, "RECORDING", "ERRORED", "UPLOADED")
    assert clock.waits == [10]


@pytest.mark.parametrize("status", ["PAUSED", "TRANSCODING", ""])
def test_the_deadline_names_the_last_status(
    kit: RealtimeKitStandIn, api: RealtimeKit, clock: Clock, status: str
) -> None:
    with pytest.raises(NotUploadedInTime) as raised:
        waited(kit, api, "RECORDING", "RECORDING", status, timeout_s=60)
    assert raised.value.waited_s == sum(clock.waits) == 60
    assert f"still {status or 'UNKNOWN'} after 60 s" in str(raised.value)


def test_a_last_look_is_taken_at_the_deadline(kit: RealtimeKitStandIn, api: RealtimeKit, clock: Clock) -> None:
    assert waited(kit, api, "RECORDING", "RECORDING", "UPLOADED", timeout_s=12).status == "UPLOADED"
    assert clock.waits == [10, 2]


def test_no_time_to_wait_means_no_waiting(kit: RealtimeKitStandIn, api: RealtimeKit, clock: Clock) -> None:
    with pytest.raises(NotUploadedInTime):
        waited(kit, api, "RECORDING", "UPLOADED", timeout_s=0)
    assert clock.waits == []


def test_an_api_that_is_away_is_waited_for_as_well(
    kit: RealtimeKitStandIn, api: RealtimeKit, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    kit.api_faults = [None, Answer.html(502), Answer(503), None, Answer.too_many_requests(500)]
    assert waited(kit, api, "RECORDING", "UPLOADING", "UPLOADED").status == "UPLOADED"
    assert len(clock.waits) == 5
    assert caplog.text.count("Going on waiting.") == 3


def test_an_api_that_stays_away_ends_at_the_deadline(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    kit.add(StandInRecording(ID, status="RECORDING"))
    recording = api.recording(ID)
    kit.api_faults = lambda _: Answer(503)
    with pytest.raises(NotUploadedInTime) as raised:
        api.wait_until_uploaded(recording, timeout_s=600, interval_s=10, log=LOG)
    assert raised.value.status == "RECORDING"


def test_a_refusal_in_the_middle_ends_the_waiting(kit: RealtimeKitStandIn, api: RealtimeKit) -> None:
    kit.api_faults = [None, None, Answer.failure(10000, "Authentication error", 401)]
    with pytest.raises(ApiRefused, match="10000"):
        waited(kit, api, "RECORDING", "RECORDING", "RECORDING")


def test_a_stop_ends_the_waiting(kit: RealtimeKitStandIn, api: RealtimeKit, clock: Clock) -> None:
    kit.on_api_request = lambda _: clock.set() if len(clock.waits) == 3 else None
    with pytest.raises(TransferStopped):
        waited(kit, api, *["RECORDING"] * 10)
    assert len(clock.waits) == 4
