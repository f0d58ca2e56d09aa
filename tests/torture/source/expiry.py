"""URLs that expire at the worst of moments, in every dialect, and fresh ones that are none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, get_args

import httpx

from tests.standins.knobs import ExpiryDialect
from tests.standins.realtimekit import Answer, Drop
from tests.torture.scenario import Expect
from tests.torture.source.scripts import (
    always,
    at_seeded_places,
    by_rule,
    first_try,
    in_turn,
    sized,
    tracks,
    when,
    with_source,
)
from tests.torture.source.trouble import SourceTrouble, faults_cleared

if TYPE_CHECKING:
    from tests.standins.realtimekit import FileRequest, StandInRecording
    from tests.support.archiving import Archiving
    from tests.torture.source.scripts import Arrange

INTACT, REFUSED, RESUMED = Expect.INTACT, Expect.REFUSED, Expect.RESUMED


def _expired(bench: Archiving, _recording: StandInRecording) -> None:
    bench.kit.expire_all_links()


def _after_requests(count: int, arrange: Arrange) -> Arrange:
    """Let each link serve so many requests only."""

    def arranged(bench: Archiving, seed: int) -> StandInRecording:
        bench.kit.links_expire_after_requests = count
        return arrange(bench, seed)

    return arranged


def _in_dialect(dialect: ExpiryDialect) -> SourceTrouble:
    def arrange(bench: Archiving, seed: int) -> StandInRecording:
        bench.kit.expiry_dialect = dialect
        return _after_requests(2, in_turn())(bench, seed)

    return SourceTrouble(f"expires-{dialect}", f"links for two requests each, said as {dialect}", INTACT, arrange)


def _at_each_last_byte(bench: Archiving, _seed: int) -> StandInRecording:
    """Cut each range at its last byte, and let the links expire before that is asked for."""
    kit = bench.kit
    kit.file_faults = first_try(Drop(bench.part - 1))
    kit.on_file_request = lambda request: kit.expire_all_links() if request.attempt == 2 else None
    return bench.add(3 * bench.part)


def _living_for(seconds: float) -> Arrange:
    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        bench.kit.link_lifetime = seconds
        return sized(bench)

    return arrange


def _living_again(bench: Archiving) -> None:
    faults_cleared(bench)
    bench.kit.link_lifetime = 3600


def _clock_off(hours: float) -> Arrange:
    """Let our clock and theirs differ."""

    def arrange(bench: Archiving, seed: int) -> StandInRecording:
        bench.kit.clock_ahead = timedelta(hours=hours)
        return _after_requests(2, in_turn())(bench, seed)

    return arrange


def _link_of(bench: Archiving, recording: StandInRecording) -> str:
    headers = {"Authorization": f"Bearer {bench.kit.token}"}
    answer = httpx.get(f"{bench.kit.recordings_url}/{recording.id}", headers=headers)
    return str(answer.json()["data"]["download_url"])


def _same_link(times: int) -> Arrange:
    """Let the API hand out one and the same expired link for so many requests."""

    def arrange(bench: Archiving, _seed: int) -> StandInRecording:
        recording = sized(bench)
        recording.details = {"download_url": _link_of(bench, recording)}
        bench.kit.expire_all_links()
        last = len(bench.kit.api_requests) + times

        def renew(number: int) -> None:
            recording.details = recording.details if number <= last else {}

        bench.kit.on_api_request = lambda request: renew(request.number)
        return recording

    return arrange


def _own_details(bench: Archiving) -> None:
    """Take away whatever was odd about the API's answers."""
    faults_cleared(bench)
    bench.kit.lead_links_to(None)
    for recording in bench.kit.recordings:
        recording.details = {}


def _to_another_file(bench: Archiving, _seed: int) -> StandInRecording:
    """Let every refresh lead to the file of another recording."""
    recording, other = sized(bench), bench.add(3 * bench.part, file_size=1)
    bench.kit.links_expire_after_requests = 1
    stolen = _link_of(bench, other)

    def swap(number: int) -> None:
        if number > 2:
            recording.details = {"download_url": stolen}

    bench.kit.on_api_request = lambda request: swap(request.number)
    return recording


def _to_nowhere(bench: Archiving, last: int) -> StandInRecording:
    """Let refreshed links lead to a host that nobody knows, up to so many requests to the API."""
    bench.kit.links_expire_after_requests = 1
    recording, kit = sized(bench, 2), bench.kit
    kit.on_api_request = lambda r: kit.lead_links_to("http://files.invalid" if 1 < r.number <= last else None)
    return recording


def _two_at_the_same_time(bench: Archiving, _seed: int) -> StandInRecording:
    """Let the links of many files expire together, again and again."""
    kit = bench.kit
    kit.on_file_request = lambda request: kit.expire_all_links() if request.number % 10 == 5 else None
    return tracks(bench, 30)


def _later(request: FileRequest) -> bool:
    return request.number == 2


def _dropping(arrange: Arrange) -> Arrange:
    def arranged(bench: Archiving, seed: int) -> StandInRecording:
        bench.kit.file_faults = [Drop(100_000)]
        return arrange(bench, seed)

    return arranged


FORBIDDEN = Answer.xml(403, "AccessDenied", "Access Denied")
TROUBLES: tuple[SourceTrouble, ...] = (
    *(_in_dialect(dialect) for dialect in get_args(ExpiryDialect)),
    SourceTrouble("expires-each-request", "links for a single request", INTACT, _after_requests(1, in_turn(parts=5))),
    SourceTrouble("expires-after-the-first-range", "all links expire once the first range flows", INTACT,
                  when(_later, _expired, in_turn())),
    SourceTrouble("expires-at-each-last-byte", "cut before each last byte, and expired", INTACT, _at_each_last_byte),
    SourceTrouble("expires-during-drops", "drops at random, links for two requests", INTACT,
                  _after_requests(2, at_seeded_places("both"))),
    SourceTrouble("expires-each-drop", "drops at random, links for one request", INTACT,
                  _after_requests(1, at_seeded_places("both"))),
    SourceTrouble("expires-without-ranges", "no ranges, a drop, and expired", INTACT,
                  when(_later, _expired, _dropping(with_source(ranges=False)))),
    SourceTrouble("expires-for-thirty", "thirty tracks whose links expire together", INTACT, _two_at_the_same_time),
    SourceTrouble("expires-in-a-second", "links that live for a second", INTACT, _living_for(1), relieve=_living_again),
    SourceTrouble("expires-at-once", "links that are expired when they are handed out", RESUMED, _living_for(0),
                  relieve=_living_again),
    SourceTrouble("clock-behind", "their clock is a day behind", INTACT, _clock_off(-24)),
    SourceTrouble("clock-ahead", "their clock is a day ahead", INTACT, _clock_off(24)),
    SourceTrouble("forbidden-for-ever", "403 for each link, fresh or not", RESUMED, always(FORBIDDEN)),
    SourceTrouble("forbidden-in-mid-transfer", "403 for ever from the third request on", RESUMED,
                  by_rule(lambda r: FORBIDDEN if r.number > 2 else None)),
    SourceTrouble("forbidden-at-first-tries", "403 at the first try of each range", INTACT,
                  by_rule(first_try(FORBIDDEN))),
    SourceTrouble("same-link-again", "the same expired link, twice", INTACT, _same_link(2)),
    SourceTrouble("same-link-for-ever", "the same expired link each time", RESUMED, _same_link(10**6),
                  relieve=_own_details),
    SourceTrouble("another-file", "fresh links lead to another file", RESUMED, _to_another_file, relieve=_own_details),
    SourceTrouble("unknown-host-for-a-while", "fresh links of an unknown host, then good ones", INTACT,
                  lambda bench, _: _to_nowhere(bench, 3), relieve=_own_details, short=False),
    SourceTrouble("unknown-host-for-ever", "fresh links of an unknown host", RESUMED,
                  lambda bench, _: _to_nowhere(bench, 10**6), relieve=_own_details, short=False),
)  # fmt: skip
