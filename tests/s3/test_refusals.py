"""What is optional and refused by a store is left out from then on, and a refusal without a reason is given one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import StoreRefused
from tasks.s3.capabilities import StoreCapabilities
from tasks.s3.multipart import Store
from tests.support.meddling import Meddled, refusal
from tests.torture.store.faults import Says, page
from tests.torture.store.scripts import always, at
from tests.torture.store.trouble import client_of, proxy_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.exceptions import ClientError

    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import StoreProxy

REFUSALS = [refusal("NotImplemented", 501), refusal("XNotImplemented", 400), refusal("InvalidArgument", 400),
            refusal("InvalidRequest", 400), refusal("501", 501)]  # fmt: skip


class Refusing:
    """A store that refuses requests with a parameter; it takes down which it got with and without."""

    def __init__(self, method: str, parameter: str, error: ClientError) -> None:
        self._method = method
        self._parameter = parameter
        self._error = error
        self.asked: list[bool] = []

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Refuse it, or let it pass."""
        if method != self._method:
            return send()
        self.asked.append(self._parameter in request)
        if self.asked[-1]:
            raise self._error
        return send()


def stores_of(bench: Archiving, refusing: Refusing) -> list[Store]:
    """Return two that share what is known of the store, as the stages of a run do."""
    client: Any = Meddled(bench.s3, refusing)
    capabilities = StoreCapabilities()
    return [Store(client, bench.bucket, 10, capabilities=capabilities) for _ in range(2)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("error", [refusal("400", 400), *REFUSALS[::4]], ids=str)
def test_a_store_that_refuses_to_be_asked_for_checksums_is_asked_without_from_then_on(
    rclone: Archiving, error: ClientError, *, there: bool
) -> None:
    refusing = Refusing("head_object", "ChecksumMode", error)
    first, second = stores_of(rclone, refusing)
    if there:
        first.put("key", b"bytes", "video/mp4")
    for store in (first, second, first):
        found = store.head("key")
        assert (found.size if found else None) == (5 if there else None)
    unsure = [True] if error.response["Error"]["Code"] == "400" else []
    assert refusing.asked == [*unsure, True, False, False, False]


def test_one_refusal_of_a_head_that_had_no_reason_is_not_taken_for_the_stores_way(rclone: Archiving) -> None:
    refusing = Refusing("head_object", "ChecksumMode", refusal("400", 400))
    store, _ = stores_of(rclone, refusing)
    store.put("key", b"bytes", "video/mp4")
    refusing._parameter, only = "never", iter([True])

    def once_broken(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "head_object" and next(only, False):
            raise refusal("400", 400)
        return refusing(method, request, send)

    store._s3 = Meddled(rclone.s3, once_broken)  # type: ignore[assignment]
    assert store.head("key")
    assert store.reports_checksums


@pytest.mark.parametrize("error", REFUSALS, ids=str)
def test_a_store_that_knows_no_condition_is_spared_it_from_then_on(rclone: Archiving, error: ClientError) -> None:
    refusing = Refusing("put_object", "IfNoneMatch", error)
    first, second = stores_of(rclone, refusing)
    assert all(store.put("key", b"bytes", "video/mp4", if_absent=True) for store in (first, second))
    again = [True] if error.response["Error"]["Code"] == "400" else []
    assert refusing.asked == [*again, True, False, False]


@pytest.mark.parametrize("error", REFUSALS[:3], ids=str)
def test_a_store_that_knows_the_condition_for_puts_alone_is_spared_it_for_uploads_from_then_on(
    rclone: Archiving, error: ClientError
) -> None:
    refusing = Refusing("complete_multipart_upload", "IfNoneMatch", error)
    for number, store in enumerate(stores_of(rclone, refusing)):
        upload = store.begin_upload(f"key-{number}", "video/mp4", {})
        assert store.complete(upload, [store.put_part(upload, 1, b"bytes")], if_absent=True).size == 5
    assert refusing.asked == [True, False, False]
    assert store._capabilities.takes_if_none_match


@pytest.mark.parametrize("method", ["create_multipart_upload", "upload_part", "complete_multipart_upload"])
@pytest.mark.parametrize("error", REFUSALS[:3], ids=str)
def test_a_store_that_announces_crc64nvme_and_refuses_it_later_gets_none_from_then_on(
    rclone: Archiving, method: str, error: ClientError
) -> None:
    parameter = "ChecksumAlgorithm" if method == "create_multipart_upload" else "ChecksumCRC64NVME"
    refusing = Refusing(method, parameter, error)

    def announcing(name: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        said = refusing(name, request, send)
        if name == "create_multipart_upload" and "ChecksumAlgorithm" in request:
            said["ChecksumAlgorithm"] = "CRC64NVME"
        return said

    client: Any = Meddled(rclone.s3, announcing)
    capabilities = StoreCapabilities()
    for number in range(2):
        store, key = Store(client, rclone.bucket, 10, capabilities=capabilities), f"key-{number}"
        upload = store.begin_upload(key, "video/mp4", {})
        parts = [store.put_part(upload, part, body) for part, body in enumerate((b"a" * rclone.part, b"b"), 1)]
        assert store.complete(upload, parts).size == rclone.part + 1
    assert refusing.asked[0]
    assert not any(refusing.asked[1:])


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (400, "ExpiredToken", "have expired"),
        (403, "InvalidAccessKeyId", "Check AWS_ACCESS_KEY_ID"),
        (403, "AccessDenied", "need to list, read"),
    ],
)
def test_why_an_object_may_not_be_looked_at_is_found_out_where_an_answer_has_a_body(
    rclone: Archiving, status: int, code: str, told: str
) -> None:
    def meddle(method: str, _request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if method == "head_object":
            raise refusal(str(status), status)
        if method == "get_object":
            raise refusal(code, status)
        return send()

    store = rclone.run(meddle).store
    with pytest.raises(StoreRefused, match=rf"{code}.*{told}"):
        store.head("key")
    assert store.reports_checksums


@pytest.fixture
def proxied(rclone: Archiving) -> tuple[StoreProxy, Store]:
    """A proxy before the store, and a store that is reached through it."""
    return proxy_of(rclone.server), Store(client_of(rclone.server), rclone.bucket, 10)


@pytest.mark.parametrize("early", [False, True])
def test_a_proxys_limit_for_bodies_is_told_as_what_it_is_and_what_to_lower(
    proxied: tuple[StoreProxy, Store], *, early: bool
) -> None:
    proxy, store = proxied
    with proxy:
        proxy.start_over(always(at("UploadPart"), Says(413, page(413).content, {"Content-Type": "text/html"}, early))())
        upload = store.begin_upload("key", "video/mp4", {})
        with pytest.raises(StoreRefused, match=r"413.*lower TRANSFER_PART_SIZE, or raise the proxy's limit"):
            store.put_part(upload, 1, bytearray(5 * 1024 * 1024))
        store.abort(upload)


def test_no_request_expects_to_be_continued_as_some_proxies_do_not_know_how(proxied: tuple[StoreProxy, Store]) -> None:
    proxy, store = proxied
    with proxy:
        proxy.start_over()
        assert store.put("key", b"bytes", "video/mp4")
        store.complete(upload := store.begin_upload("other", "video/mp4", {}), [store.put_part(upload, 1, b"bytes")])
        assert [request for request in proxy.requests if request.length]
        assert not [request for request in proxy.requests if "expect" in request.headers]
    assert not proxy.errors
