"""A store that asks for less gets less, as much again once it is calm, and nobody waits for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tasks.errors import TransferStopped
from tasks.s3.error_codes import asks_for_less
from tasks.s3.multipart import Store
from tasks.s3.throttle import Pace
from tests.support.meddling import Meddled, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.s3.throttle import Turn
    from tests.support.archiving import Archiving


NEVER = threading.Event()


def turns(pace: Pace, count: int) -> tuple[ExitStack, list[Turn]]:
    stack = ExitStack()
    return stack, [stack.enter_context(pace.turn(NEVER)) for _ in range(count)]


def test_all_that_are_refused_together_halve_what_was_under_way_once() -> None:
    pace = Pace(32)
    stack, begun = turns(pace, 8)
    with stack:
        for turn in begun:
            turn.refused()
        assert pace.allowed == 4


def test_it_never_stops_altogether() -> None:
    pace = Pace(4)
    for _ in range(5):
        with pace.turn(NEVER) as turn:
            turn.refused()
    assert pace.allowed == 1


def test_one_more_is_allowed_once_as_many_as_are_allowed_were_taken_and_never_more_than_at_first() -> None:
    pace = Pace(4)
    with pace.turn(NEVER) as turn:
        turn.refused()
    seen = []
    for _ in range(12):
        with pace.turn(NEVER) as turn:
            turn.taken()
        seen.append(pace.allowed)
    assert seen == [2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4]


def test_who_is_one_too_many_waits_until_another_is_done() -> None:
    pace = Pace(1)
    stack, _ = turns(pace, 1)
    got = threading.Event()

    def take() -> None:
        with pace.turn(NEVER):
            got.set()

    with stack:
        thread = threading.Thread(target=take)
        thread.start()
        assert not got.wait(0.05)
    assert got.wait(10)
    thread.join(10)


def test_who_waits_for_a_turn_looks_whether_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.s3.throttle.LOOK_EACH_S", 0.01)
    pace, stop = Pace(1), threading.Event()
    stack, _ = turns(pace, 1)

    def stopped() -> bool:
        with pytest.raises(TransferStopped), pace.turn(stop):
            pass
        return True

    with stack, ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(stopped)
        stop.set()
        assert waiting.result(10)


@pytest.mark.parametrize(
    ("status", "code", "less"),
    [(503, "SlowDown", True), (429, "TooManyRequests", True), (400, "Throttling", True), (500, "InternalError", False)],
)
def test_what_asks_for_less_is_told_from_what_is_merely_broken(status: int, code: str, *, less: bool) -> None:
    said = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert asks_for_less(ClientError(said, "UploadPart")) is less  # type: ignore[arg-type]


def test_a_store_that_refuses_a_part_gets_fewer_at_once_and_the_part_again(
    swift: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)
    busy: Iterator[int] = iter(range(3))

    def meddle(method: str, _request: dict[str, object], send: Callable[[], object]) -> object:
        if method == "upload_part" and next(busy, None) is not None:
            raise refusal("SlowDown", 503)
        return send()

    pace = Pace(8)
    client: Any = Meddled(swift.s3, meddle)
    store = Store(client, swift.bucket, 10, pace=pace)
    upload = store.begin_upload("key", "video/mp4", {})
    stored = store.complete(upload, [store.put_part(upload, 1, b"bytes")])
    assert b"".join(store.read(stored)) == b"bytes"
    assert pace.allowed == 2
