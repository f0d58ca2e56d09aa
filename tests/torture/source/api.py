"""An API that fails in the middle of a refresh, or says odd things of a recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.standins.realtimekit import (
    AUTO,
    DROP,
    LEAKY_STORAGE_CONFIG,
    Answer,
    Drip,
    Drop,
    HtmlPage,
    MediaSource,
    Refuse,
    Stall,
    SyntheticContent,
)
from tests.torture.scenario import Expect
from tests.torture.source.scripts import in_turn, on_api_request, sized
from tests.torture.source.trouble import SourceTrouble, faults_cleared

if TYPE_CHECKING:
    from tests.standins.realtimekit import Fault, StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.source.scripts import Arrange

INTACT, REFUSED, RESUMED = Expect.INTACT, Expect.REFUSED, Expect.RESUMED


def _own_details(bench: Archiving) -> None:
    faults_cleared(bench)
    for recording in bench.kit.recordings:
        recording.details, recording.file_size, recording.status = {}, AUTO, "UPLOADED"


def _refreshes(fault: Fault, times: int = 10**6) -> Arrange:
    """Let links serve two requests each, and the API fail so often when it is asked for others."""

    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        bench.kit.links_expire_after_requests = 2
        bench.kit.api_faults = lambda request: fault if 1 < request.number <= 1 + times else None
        return sized(bench)

    return arrange


@dataclass(frozen=True)
class Failure:
    """How the API fails when it is asked for fresh links: for a while, or for ever."""

    name: str
    what: str
    fault: Fault
    for_ever: Expect

    def troubles(self) -> tuple[SourceTrouble, SourceTrouble]:
        """Return the two troubles that come of it."""
        return (
            SourceTrouble(f"refresh-{self.name}-twice", f"{self.what}, twice", INTACT, _refreshes(self.fault, 2)),
            SourceTrouble(
                f"refresh-{self.name}",
                f"{self.what}, for ever",
                self.for_ever,
                _refreshes(self.fault),
                short=self.name == "500",
            ),
        )


REFRESHES: tuple[Failure, ...] = (
    Failure("500", "500", Answer.failure(10000, "Internal error", 500), RESUMED),
    Failure("html-502", "a proxy's page with status 502", Answer.html(502), RESUMED),
    Failure("429", "429", Answer.too_many_requests(0), RESUMED),
    Failure("cut", "an answer that is cut", Drop(20), RESUMED),
    Failure("no-answer", "connections that are reset", Refuse("rst"), RESUMED),
    Failure("stall", "an answer that never begins", Stall(), RESUMED),
    Failure("html-200", "a web page with status 200", HtmlPage(), REFUSED),
    Failure("garbage", "JSON that breaks off", Answer.garbage_json(), REFUSED),
    Failure("no-data", "success without data", Answer.no_data(), REFUSED),
    Failure("another-recording", "another recording's details",
            Answer.json({"success": True, "data": {"id": "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"}}), REFUSED),
)  # fmt: skip


def _refreshed(arrange: Arrange) -> Arrange:
    """Let links serve two requests each, so that there will be refreshes."""

    def arranged(bench: Archiving, seed: int) -> StandInRecording:
        bench.kit.links_expire_after_requests = 2
        return arrange(bench, seed)

    return arranged


def _says(**details: object) -> Arrange:
    """Let the API say odd things of a recording from the start."""
    return lambda bench, _: sized(bench, details=details)


def _size_said(size: object, *, add: int = 0) -> Arrange:
    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        recording = sized(bench)
        assert recording.video is not None
        recording.file_size = recording.video.size + add if size is AUTO else size
        return recording

    return arrange


def _size_as_string(bench: Archiving, _seed: int) -> StandInRecording:
    recording = sized(bench)
    assert recording.video is not None
    recording.file_size = f" {recording.video.size} "
    return recording


def _withheld(recording: StandInRecording) -> None:
    recording.details = {"download_url": None, "download_url_expiry": None}


def _handed_out(recording: StandInRecording) -> None:
    recording.details = {}


def _withheld_for(looks: int) -> Arrange:
    """Let the API hand out no link for so many looks after the first."""

    def arrange(bench: Archiving, seed: int) -> StandInRecording:
        recording = _refreshed(in_turn())(bench, seed)

        def look(number: int) -> None:
            (_withheld if 1 < number <= 1 + looks else _handed_out)(recording)

        bench.kit.on_api_request = lambda request: look(request.number)
        return recording

    return arrange


def _with_audio(bench: Archiving, _seed: int) -> StandInRecording:
    """Have a video and audio, and lose the audio's link at the first refresh."""
    audio = MediaSource(SyntheticContent(2 * bench.part, seed=8), "audio/mpeg")
    bench.kit.links_expire_after_requests = 1
    recording = sized(bench, audio=audio)

    def look(number: int) -> None:
        recording.details = {"audio_download_url": None} if number == 2 else {}

    bench.kit.on_api_request = lambda request: look(request.number)
    return recording


def _leaky(bench: Archiving, seed: int) -> StandInRecording:
    recording = _refreshed(in_turn(Drop(1000)))(bench, seed)
    recording.storage_config = LEAKY_STORAGE_CONFIG
    return recording


def _renamed(recording: StandInRecording) -> None:
    recording.details = {"output_file_name": "another-name.mp4", "file_size": None, "session_id": None}


NAMES = {
    "above": "../../../../etc/passwd", "marker": "../../bagit.txt", "lines": "a\nb\r\n.mp4",
    "long": "x" * 5000 + ".mp4", "blank": " ", "device": "CON.mp4", "slashes": "a/b\\c//d.mp4",
    "letters": "été \U0001f3a5 %2e%2e.mp4",
}  # fmt: skip
TROUBLES: tuple[SourceTrouble, ...] = (
    *(trouble for failure in REFRESHES for trouble in failure.troubles()),
    SourceTrouble("refresh-refused-401", "401 in the middle: the token is no longer good", REFUSED,
                  _refreshes(Answer.failure(10000, "Authentication error", 401))),
    SourceTrouble("refresh-crawls", "a fresh link that comes slowly", INTACT,
                  _refreshes(Drip(3000))),
    SourceTrouble("refresh-429-for-an-hour", "429 and a Retry-After of an hour", RESUMED,
                  _refreshes(Answer.too_many_requests(3600))),
    SourceTrouble("link-withheld-for-a-while", "no link at the first refresh", INTACT, _withheld_for(1),
                  relieve=_own_details),
    SourceTrouble("link-withheld", "no link ever again", RESUMED, _withheld_for(10**6), relieve=_own_details),
    SourceTrouble("audio-link-withheld-once", "no link for the audio at the first refresh", INTACT, _with_audio,
                  relieve=_own_details),
    SourceTrouble("renamed-at-refresh", "another name, no size and no session at a refresh", INTACT,
                  on_api_request(2, _renamed, _refreshed(in_turn()))),
    SourceTrouble("api-size-larger", "the API names a byte more than there is", REFUSED, _size_said(AUTO, add=1),
                  relieve=_own_details),
    SourceTrouble("api-size-smaller", "the API names a byte less than there is", REFUSED, _size_said(AUTO, add=-1),
                  relieve=_own_details),
    SourceTrouble("api-size-string", "the size as a string", INTACT, _size_as_string),
    *(SourceTrouble(f"api-size-{name}", f"the API says {size!r} for the size", INTACT, _size_said(size))
      for name, size in {"null": None, "zero": 0, "negative": -5, "half": 1.5, "true": True, "words": "large",
                         "list": [1], "nothing": DROP}.items()),
    *(SourceTrouble(f"api-name-{name}", f"a file name with {name}", INTACT, _says(output_file_name=value))
      for name, value in NAMES.items()),
    SourceTrouble("api-expiry-odd", "an expiry that is no time", INTACT, _says(download_url_expiry="tomorrow")),
    SourceTrouble("api-expiry-past", "an expiry long ago", INTACT, _says(download_url_expiry="2001-01-01T00:00:00Z")),
    SourceTrouble("api-storage-secrets", "secrets of a storage in the details", INTACT, _leaky),
)  # fmt: skip
