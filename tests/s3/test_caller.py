"""A store that is away, throttles or refuses is waited out, or told of with what a person should do."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ResponseStreamingError

from tasks.errors import RetryableError, StoredWrong, StoreRefused, StoreUnavailable, TransferStopped
from tasks.s3.bucket import READ_CHUNK
from tasks.s3.capabilities import StoreCapabilities
from tasks.s3.client import new_s3_client
from tasks.s3.error_codes import is_answer
from tasks.s3.multipart import Store
from tests.support.meddling import Meddled, once, raising, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.archiving import Archiving


@pytest.mark.parametrize(
    "error",
    [
        refusal("SlowDown", 503),
        refusal("TooManyRequests", 429),
        refusal("InternalError", 500),
        refusal("unheard-of", 502),
        refusal("RequestTimeout", 400),
        ConnectionClosedError(endpoint_url="http://store/"),
    ],
    ids=str,
)
def test_a_hiccup_is_waited_out(rclone: Archiving, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)
    store = rclone.run(once("put_object", raising(error))).store
    assert store.put("key", b"bytes", "video/mp4")
    assert store.get("key") == b"bytes"


def test_a_bucket_that_is_not_there_is_final_and_says_what_to_do(bench: Archiving) -> None:
    store = Store(bench.s3, "no-such-bucket", 10)
    with pytest.raises(StoreRefused, match=r"no-such-bucket.*Create the bucket, or correct ARCHIVE_URL") as caught:
        list(store.list("a/"))
    assert not caught.value.retryable


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_keys_are_final_and_say_which_settings_to_look_at(
    bench: Archiving, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "wrong-and-secret")
    with pytest.raises(StoreRefused, match="AWS_SECRET_ACCESS_KEY") as caught:
        list(Store(new_s3_client(1), bench.bucket, 10).list("a/"))
    assert "wrong-and-secret" not in str(caught.value)


def test_no_keys_at_all_are_final_and_say_so(rclone: Archiving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreRefused, match=r"NoCredentialsError.*AWS_ACCESS_KEY_ID"):
        list(Store(new_s3_client(1), rclone.bucket, 10).list("a/"))


@pytest.mark.parametrize(("name", "value"), [("AWS_ENDPOINT_URL_S3", "nonsense"), ("AWS_PROFILE", "nobody")])
def test_a_setting_of_boto3s_that_cannot_be_is_told_when_the_client_is_made(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StoreRefused, match=value):
        new_s3_client(1)


@pytest.mark.parametrize(
    ("settings", "region"),
    [
        ({"AWS_REGION": "auto"}, "auto"),
        ({"AWS_DEFAULT_REGION": "eu-central-1", "AWS_REGION": "auto"}, "eu-central-1"),
    ],
)
def test_the_region_comes_from_either_variable(
    settings: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert new_s3_client(1).meta.region_name == region


def test_a_dead_store_is_worth_retrying_and_names_the_endpoint_setting(rclone: Archiving) -> None:
    rclone.server.kill()
    with pytest.raises(StoreUnavailable, match="AWS_ENDPOINT_URL_S3") as caught:
        rclone.run(patience_s=0.1).store.head("key")
    assert isinstance(caught.value, RetryableError)


def test_a_store_that_dies_and_comes_back_in_mid_use_is_survived(bench: Archiving) -> None:
    def restart(send: Callable[[], Any]) -> Any:
        bench.server.kill()
        try:
            return send()
        finally:
            bench.server.start()

    store = bench.run(once("put_object", restart)).store
    assert store.head("key") is None
    assert store.put("key", b"bytes", "video/mp4")
    assert store.get("key") == b"bytes"


def test_a_store_that_dies_while_an_object_is_read_is_survived(bench: Archiving) -> None:
    body = bytes(range(256)) * (64 * 1024)
    store = bench.run().store
    store.put("key", body, "video/mp4")
    found = store.head("key")
    assert found is not None
    reading = store.read(found)
    first = next(reading)
    bench.server.kill()
    bench.server.start()
    assert first + b"".join(reading) == body


def test_a_body_that_breaks_is_carried_on_where_it_broke(bench: Archiving) -> None:
    asked: list[str] = []

    def break_off(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        if method == "get_object":
            asked.append(request["Range"])
            if len(asked) == 1:
                answer["Body"] = Broken(answer["Body"], after=2)
        return answer

    body = bytes(range(256)) * (16 * 1024)
    store = bench.run(break_off).store
    store.put("key", body, "video/mp4")
    found = store.head("key")
    assert found is not None
    assert b"".join(store.read(found)) == body
    assert asked == [f"bytes=0-{len(body) - 1}", f"bytes={2 * READ_CHUNK}-{len(body) - 1}"]


class Broken:
    """A body that breaks off after some chunks."""

    def __init__(self, body: Any, after: int) -> None:
        self._body = body
        self._after = after

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        """Yield what comes before the break."""
        for _ in range(self._after):
            yield self._body.read(size)
        raise ResponseStreamingError(error="broken off")

    def read(self, _amount: int | None = None) -> bytes:
        """Break at once."""
        raise ResponseStreamingError(error="broken off")

    def close(self) -> None:
        """Let the real body go."""
        self._body.close()


def test_answers_whose_bodies_never_come_end_when_patience_does(rclone: Archiving) -> None:
    def break_off(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        answer = send()
        if method == "get_object":
            answer["Body"] = Broken(answer["Body"], after=0)
        return answer

    store = rclone.run(break_off, patience_s=0.5).store
    store.put("key", b"bytes", "video/mp4")
    found = store.head("key")
    assert found is not None
    for read in (lambda: store.get("key"), lambda: list(store.read(found))):
        with pytest.raises(StoreUnavailable, match="broken off"):
            read()


def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed_with_the_new_one(bench: Archiving) -> None:
    store = bench.run().store
    store.put("key", b"older", "video/mp4")
    found = store.head("key")
    assert found is not None
    store.put("key", b"newer", "video/mp4")
    with pytest.raises(StoredWrong):
        list(store.read(found))
    store.delete(["key"])
    with pytest.raises(StoredWrong):
        list(store.read(found))


def test_what_is_not_there_is_an_answer_and_the_patience_is_that_of_the_settings_from_then_on(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.s3.caller.FIRST_CONTACT_S", 0.0)
    drops = [raising(ConnectionClosedError(endpoint_url="http://store/"))] * 3

    def dropping(_method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        return drops.pop()(send) if answered and drops else send()

    answered: list[object] = []
    capabilities, client = StoreCapabilities(), Meddled(rclone.s3, dropping)
    stages: list[Any] = [Store(client, rclone.bucket, 60, capabilities=capabilities) for _ in range(2)]  # type: ignore[arg-type]
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)
    answered.append(stages[0].get("key"))
    assert [store.head("key") for store in stages] == [None, None]
    assert not drops


@pytest.mark.parametrize(("operation", "code", "answered"), [
    ("GetObject", "NoSuchKey", True), ("GetObject", "404", False), ("HeadObject", "404", True),
    ("HeadObject", "502", False), ("PutObject", "SlowDown", True), ("PutObject", "503", False),
])  # fmt: skip
def test_a_page_in_the_stores_place_does_not_show_that_its_address_is_right(
    operation: str, code: str, *, answered: bool
) -> None:
    status = int(code) if code.isdigit() else 503
    said: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert is_answer(ClientError(said, operation)) is answered


def test_what_is_not_there_is_progress_like_any_other_answer(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drops that lie apart are none in a row, whatever was asked between them."""
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.2)
    asked: list[str] = []

    def dropping(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        asked.append(method)
        if len(asked) % 2:
            raise ConnectionClosedError(endpoint_url="http://store/")
        return send()

    store = rclone.run(dropping, patience_s=0.5).store
    assert [store.head("key") for _ in range(6)] == [None] * 6


def test_a_stop_ends_the_waiting_for_a_store_that_is_away(rclone: Archiving) -> None:
    rclone.server.kill()
    stop = Event()

    def stopping(_method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        stop.set()
        return send()

    client = rclone.run(stopping).client
    with pytest.raises(TransferStopped):
        Store(client, rclone.bucket, 60, stop).head("key")


def test_no_error_shows_the_query_of_a_url(rclone: Archiving) -> None:
    lost = ConnectionClosedError(endpoint_url="http://store/key?X-Amz-Signature=secret")
    store = rclone.run(lambda *_: raising(lost)(lambda: None), patience_s=0.01).store
    with pytest.raises(StoreUnavailable) as caught:
        store.head("key")
    assert "X-Amz" not in str(caught.value)
