"""The proxy in front of a store: what it lets through is what was sent, and each fault does what it says."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from tasks.s3.checksums import encode_md5
from tests.flows.world import eventually
from tests.torture.store.faults import (
    SECRET,
    After,
    BitFlipped,
    Broken,
    Changed,
    Hangs,
    KeptAlive,
    Late,
    Lost,
    Outage,
    Slow,
    Truncated,
    content_changed,
    error_document,
    flipped,
    page,
    refusal,
)
from tests.torture.store.requests import operation_of
from tests.torture.store.scripts import always, at, once
from tests.torture.store.trouble import client_of, proxy_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import Fault, StoreProxy

BODY = bytes(range(256)) * 1024
BOTH = pytest.mark.parametrize("bench", ["swift", "rclone"], indirect=True)
"""For what depends on how a store answers."""


@pytest.fixture(params=["rclone"])
def bench(request: pytest.FixtureRequest) -> Archiving:
    archiving: Archiving = request.getfixturevalue(request.param)
    return archiving


@pytest.fixture
def proxy(bench: Archiving) -> Iterator[StoreProxy]:
    with proxy_of(bench.server) as running:
        yield running
    assert not running.errors


@pytest.fixture
def client(bench: Archiving, proxy: StoreProxy) -> Any:
    assert proxy.requests == []
    return client_of(bench.server)


def meet(proxy: StoreProxy, operation: str, fault: Fault) -> None:
    """Let the next request of an operation meet a fault."""
    proxy.start_over(once(at(operation), fault)())


def put(client: Any, bench: Archiving, body: bytes = BODY) -> Any:
    return client.put_object(Bucket=bench.bucket, Key="a key/with + signs", Body=body)


def got(client: Any, bench: Archiving, **more: Any) -> bytes:
    with closing(client.get_object(Bucket=bench.bucket, Key="a key/with + signs", **more)["Body"]) as body:
        content: bytes = body.read()
        return content


@BOTH
def test_objects_ranges_and_listings_pass(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    put(client, bench)
    assert got(client, bench) == got(bench.s3, bench) == BODY
    assert got(client, bench, Range="bytes=10-99") == BODY[10:100]
    listed = client.list_objects_v2(Bucket=bench.bucket)["Contents"]
    assert [item["Key"] for item in listed] == ["a key/with + signs"]
    assert client.head_object(Bucket=bench.bucket, Key=listed[0]["Key"])["ContentLength"] == len(BODY)
    client.delete_object(Bucket=bench.bucket, Key=listed[0]["Key"])
    assert bench.stored_keys() == []
    assert {its.operation for its in proxy.requests} == {
        "PutObject", "GetObject", "ListObjectsV2", "HeadObject", "DeleteObject",
    }  # fmt: skip


@BOTH
def test_multipart_uploads_pass(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    where = {"Bucket": bench.bucket, "Key": "key"}
    its = where | {"UploadId": client.create_multipart_upload(**where)["UploadId"]}
    sizes = [bench.part, 10]
    parts = [client.upload_part(**its, PartNumber=n, Body=bytes(size)) for n, size in enumerate(sizes, 1)]
    assert [part["Size"] for part in client.list_parts(**its)["Parts"]] == sizes
    listed = [{"PartNumber": n, "ETag": part["ETag"]} for n, part in enumerate(parts, 1)]
    client.complete_multipart_upload(**its, MultipartUpload={"Parts": listed})
    assert bench.s3.head_object(**where)["ContentLength"] == sum(sizes)
    assert [its.query.get("partNumber") for its in proxy.requests] == [None, "1", "2", None, None]


@BOTH
def test_bodies_in_chunks_and_after_100_continue_pass(bench: Archiving, proxy: StoreProxy, tmp_path: Any) -> None:
    config = Config(request_checksum_calculation="when_supported", retries={"total_max_attempts": 1})
    session = boto3.Session(bench.server.access_key, bench.server.secret_key, region_name=bench.server.region)
    chunking = session.client("s3", endpoint_url=proxy.url, config=config)
    file = tmp_path / "file"
    file.write_bytes(BODY)
    with file.open("rb") as stream:
        chunking.put_object(Bucket=bench.bucket, Key="a key/with + signs", Body=stream)
    assert proxy.requests[0].headers["expect"] == "100-continue"
    assert got(chunking, bench) == BODY


@BOTH
def test_a_signature_for_another_host_is_still_refused(bench: Archiving, proxy: StoreProxy) -> None:
    session = boto3.Session(bench.server.access_key, "wrong", region_name=bench.server.region)
    liar = session.client("s3", endpoint_url=proxy.url)
    with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|InvalidAccessKeyId"):
        liar.list_objects_v2(Bucket=bench.bucket)


@pytest.mark.parametrize("early", [False, True])
def test_an_error_is_told_once_and_the_store_never_hears_of_it(
    bench: Archiving, proxy: StoreProxy, client: Any, *, early: bool
) -> None:
    meet(proxy, "PutObject", refusal(503, "SlowDown", early=early, Retry_After="7"))
    with pytest.raises((ClientError, BotoCoreError)) as caught:
        put(client, bench, BODY * 64)
    if isinstance(caught.value, ClientError):
        assert caught.value.response["Error"]["Code"] == "SlowDown"
        assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "7"
        assert SECRET in caught.value.response["Error"]["Message"]
    assert bench.stored_keys() == []
    put(client, bench)
    assert got(bench.s3, bench) == BODY


@pytest.mark.parametrize("how", ["rst", "fin"])
def test_a_request_that_breaks_off_stores_nothing(bench: Archiving, proxy: StoreProxy, client: Any, how: Any) -> None:
    meet(proxy, "PutObject", Broken(how))
    with pytest.raises(ConnectionClosedError):
        put(client, bench)
    assert bench.stored_keys() == []


@pytest.mark.parametrize("how", ["rst", "fin"])
def test_what_the_client_never_hears_of_is_done(bench: Archiving, proxy: StoreProxy, client: Any, how: Any) -> None:
    meet(proxy, "PutObject", Lost(how))
    with pytest.raises(ConnectionClosedError):
        put(client, bench)
    assert got(bench.s3, bench) == BODY


def test_a_late_request_comes_with_the_next(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    meet(proxy, "DeleteObject", Late())
    put(client, bench)
    its = {"Bucket": bench.bucket, "Key": "a key/with + signs"}
    with pytest.raises(ConnectionClosedError):
        client.delete_object(**its)
    assert bench.stored_keys() == [its["Key"]]
    proxy.rule = once(at("DeleteObject"), refusal(500, "InternalError"))()
    with pytest.raises(ClientError):
        client.delete_object(**its)
    # The proxy is not stopped for this: it would hang up on the late request as well.
    assert eventually(lambda: bench.stored_keys() == [])


@pytest.mark.parametrize(("fault", "stored"), [(Hangs(), 0), (Lost("hang"), 1)])
def test_silence_lasts_until_the_client_gives_up(
    bench: Archiving, proxy: StoreProxy, fault: Fault, stored: int
) -> None:
    meet(proxy, "PutObject", fault)
    with pytest.raises(ReadTimeoutError):
        put(client_of(bench.server, 1.0), bench)
    assert len(bench.stored_keys()) == stored


@BOTH
def test_a_flipped_bit_is_noticed_by_the_store(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    meet(proxy, "PutObject", BitFlipped())
    with pytest.raises(ClientError, match=r"Digest|Mismatch"):
        client.put_object(Bucket=bench.bucket, Key="key", Body=BODY, ContentMD5=encode_md5(BODY))
    assert bench.stored_keys() == []


def test_a_bit_flips_in_an_answer(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    put(client, bench)
    meet(proxy, "GetObject", content_changed(flipped))
    changed = got(client, bench)
    assert [i for i in range(len(BODY)) if changed[i] != BODY[i]] == [len(BODY) // 2]
    assert got(client, bench) == BODY


@pytest.mark.parametrize("how", ["rst", "fin"])
def test_an_answer_breaks_off(bench: Archiving, proxy: StoreProxy, client: Any, how: Any) -> None:
    put(client, bench)
    meet(proxy, "GetObject", Truncated(how))
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        got(client, bench)


def test_an_answer_is_changed(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    put(client, bench)
    meet(proxy, "HeadObject", Changed(lambda its: its.with_header("Content-Length", "7")))
    assert client.head_object(Bucket=bench.bucket, Key="a key/with + signs")["ContentLength"] == 7


def test_what_is_done_is_called_failed(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    meet(proxy, "PutObject", After(refusal(500, "InternalError")))
    with pytest.raises(ClientError, match="InternalError"):
        put(client, bench)
    assert got(client, bench) == BODY


@pytest.mark.parametrize("content", [None, error_document("InternalError")])
def test_white_space_comes_before_the_answer_to_a_completion(
    bench: Archiving, proxy: StoreProxy, client: Any, content: bytes | None
) -> None:
    where = {"Bucket": bench.bucket, "Key": "key"}
    its = where | {"UploadId": client.create_multipart_upload(**where)["UploadId"]}
    etag = client.upload_part(**its, PartNumber=1, Body=b"bytes")["ETag"]
    meet(proxy, "CompleteMultipartUpload", KeptAlive(content))
    its["MultipartUpload"] = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    if content is None:
        assert client.complete_multipart_upload(**its)["Key"] == "key"
    else:
        with pytest.raises(ClientError, match="InternalError"):
            client.complete_multipart_upload(**its)


def test_bytes_pass_at_a_rate(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    meet(proxy, "PutObject", Slow(1_000_000))
    began = time.monotonic()
    put(client, bench)
    assert time.monotonic() - began > len(BODY) / 1_000_000
    assert got(bench.s3, bench) == BODY


def test_connections_are_refused_until_the_outage_is_over(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    meet(proxy, "PutObject", Outage())
    with pytest.raises(ConnectionClosedError):
        put(client, bench)
    with pytest.raises(EndpointConnectionError):
        put(client, bench)
    proxy.listen()
    put(client, bench)
    assert got(client, bench) == BODY


def test_a_page_of_a_balancer_says_502(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    meet(proxy, "HeadObject", page(502))
    with pytest.raises(ClientError, match="502"):
        client.head_object(Bucket=bench.bucket, Key="key")
    meet(proxy, "PutObject", page(502))
    with pytest.raises(ClientError, match="502"):
        put(client, bench)


@BOTH
def test_a_store_that_is_away_is_a_broken_connection(bench: Archiving, client: Any) -> None:
    bench.server.kill()
    with pytest.raises(ConnectionClosedError):
        put(client, bench)
    bench.server.start()
    put(client, bench)
    assert got(client, bench) == BODY


def test_requests_of_the_same_thing_are_counted(bench: Archiving, proxy: StoreProxy, client: Any) -> None:
    proxy.start_over(always(at("PutObject"), refusal(500, "InternalError"))())
    for _ in range(3):
        with pytest.raises(ClientError):
            put(client, bench)
    assert [its.attempt for its in proxy.requests] == [1, 2, 3]
    assert [its.attempt for its in proxy.struck] == [1, 2, 3]
    assert {its.key for its in proxy.requests} == {"a key/with + signs"}


@pytest.mark.parametrize(
    ("method", "key", "query", "name"),
    [
        ("PUT", "", {}, "CreateBucket"),
        ("GET", "", {"uploads": ""}, "ListMultipartUploads"),
        ("GET", "", {"list-type": "2"}, "ListObjectsV2"),
        ("POST", "key", {"uploads": ""}, "CreateMultipartUpload"),
        ("PUT", "key", {"uploadId": "a", "partNumber": "1"}, "UploadPart"),
        ("GET", "key", {"uploadId": "a"}, "ListParts"),
        ("POST", "key", {"uploadId": "a"}, "CompleteMultipartUpload"),
        ("DELETE", "key", {"uploadId": "a"}, "AbortMultipartUpload"),
    ],
)
def test_operations_are_called_as_in_the_reference(method: str, key: str, query: dict[str, str], name: str) -> None:
    assert operation_of(method, key, query) == name
