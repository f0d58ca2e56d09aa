"""A store that asks for less gets less, as much again once it is calm, and nobody waits for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tasks.errors import TransferStopped
from tasks.s3.error_codes import is_throttling
from tasks.s3.multipart import Store
from tasks.s3.throttle import Throttle
from tests.support.meddling import Meddled, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.s3.throttle import Turn
    from tests.support.archiving import Archiving


NEVER = threading.Event()


def turns(throttle: Throttle, count: int) -> tuple[ExitStack, list[Turn]]:
    stack = ExitStack()
    return stack, [stack.enter_context(throttle.turn(NEVER)) for _ in range(count)]


def test_all_that_are_refused_together_halve_what_was_under_way_once() -> None:
    throttle = Throttle(32)
    stack, begun = turns(throttle, 8)
    with stack:
        for turn in begun:
            turn.refused()
        assert throttle.allowed == 4


def test_it_never_stops_altogether() -> None:
    throttle = Throttle(4)
    for _ in range(5):
        with throttle.turn(NEVER) as turn:
            turn.refused()
    assert throttle.allowed == 1


def test_one_more_is_allowed_once_as_many_as_are_allowed_were_taken_and_never_more_than_at_first() -> None:
    throttle = Throttle(4)
    with throttle.turn(NEVER) as turn:
        turn.refused()
    seen = []
    for _ in range(12):
        with throttle.turn(NEVER) as turn:
            turn.taken()
        seen.append(throttle.allowed)
    assert seen == [2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4]


def test_who_is_one_too_many_waits_until_another_is_done() -> None:
    throttle = Throttle(1)
    stack, _ = turns(throttle, 1)
    got = threading.Event()

    def take() -> None:
        with throttle.turn(NEVER):
            got.set()

    with stack:
        thread = threading.Thread(target=take)
        thread.start()
        assert not got.wait(0.05)
    assert got.wait(10)
    thread.join(10)


def test_who_waits_for_a_turn_looks_whether_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.s3.throttle.CHECK_INTERVAL_S", 0.01)
    throttle, stop = Throttle(1), threading.Event()
    stack, _ = turns(throttle, 1)

    def stopped() -> bool:
        with pytest.raises(TransferStopped), throttle.turn(stop):
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
    assert is_throttling(ClientError(said, "UploadPart")) is less  # type: ignore[arg-type]


def test_a_store_that_refuses_a_part_gets_fewer_at_once_and_the_part_again(
    swift: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)
    busy: Iterator[int] = iter(range(3))

    def meddle(method: str, _request: dict[str, object], send: Callable[[], object]) -> object:
        if method == "upload_part" and next(busy, None) is not None:
            raise refusal("SlowDown", 503)
        return send()

    throttle = Throttle(8)
    client: Any = Meddled(swift.s3, meddle)
    store = Store(client, swift.bucket, 10, throttle=throttle)
    upload = store.begin_upload("key", "video/mp4", {})
    stored = store.complete(upload, [store.put_part(upload, 1, b"bytes")])
    assert b"".join(store.read(stored)) == b"bytes"
    assert throttle.allowed == 2
