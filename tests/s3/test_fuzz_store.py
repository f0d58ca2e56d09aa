"""Whatever answers in the store's place, byte by byte: an answer that can be worked with or one of our errors.

Reasons to stop looking for the store are told apart elsewhere; here it is only that no KeyError, no parser's and no
boto3's error comes through, that nothing goes on for ever, and that no secret is shown.
"""

from __future__ import annotations

import gc
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import ArchiverError, StoreRefused, StoreUnavailable
from tasks.s3.bucket import StoredObject
from tasks.s3.client import new_s3_client
from tasks.s3.multipart import Part, Store, Upload
from tests.support.impostor import MANY, Impostor, impersonating
from tests.support.strategies import ANY_VALUE, damaged, examples, require_presentable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET_KEY, SESSION_TOKEN = "leak-canary-secret-key", "leak-canary-session-token"
UPLOAD = Upload("a/b", "upload-1", checksummed=True)
PARTS = [Part(1, 3, '"e1"', 1), Part(2, 3, '"e2"', 2)]
STORED = StoredObject("a/b", 3, '"e1"')
OPERATIONS: dict[str, Callable[[Store], object]] = {
    "put": lambda store: store.put("a/b", b"abc", "video/mp4", {"a": "b"}),
    "put_if_absent": lambda store: store.put("a/b", b"abc", "video/mp4", if_absent=True),
    "head": lambda store: store.head("a/b"),
    "get": lambda store: store.get("a/b"),
    "read": lambda store: b"".join(store.read(STORED)),
    "list": lambda store: list(store.list("a/")),
    "delete": lambda store: store.delete(["a/b"]),
    "verify": lambda store: store.verify("a/b", 3, 5),
    "begin_upload": lambda store: store.begin_upload("a/b", "video/mp4", {"a": "b"}),
    "uploads": lambda store: store.uploads("a/"),
    "parts": lambda store: store.parts(UPLOAD),
    "put_part": lambda store: store.put_part(UPLOAD, 1, b"abc"),
    "complete": lambda store: store.complete(UPLOAD, PARTS),
    "abort": lambda store: store.abort(UPLOAD),
}

DOCUMENTS = [
    """<ListBucketResult><Name>b</Name><Prefix>a/</Prefix><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>
    <NextContinuationToken>t</NextContinuationToken><Contents><Key>a/b</Key><LastModified>2026-11-20T09:00:00.000Z
    </LastModified><ETag>&quot;e1&quot;</ETag><Size>3</Size></Contents></ListBucketResult>""",
    """<ListMultipartUploadsResult><Bucket>b</Bucket><NextKeyMarker>a/b</NextKeyMarker><NextUploadIdMarker>u
    </NextUploadIdMarker><IsTruncated>false</IsTruncated><Upload><Key>a/b</Key><UploadId>u</UploadId>
    <ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm></Upload></ListMultipartUploadsResult>""",
    """<ListPartsResult><UploadId>u</UploadId><NextPartNumberMarker>1</NextPartNumberMarker><IsTruncated>false
    </IsTruncated><Part><PartNumber>1</PartNumber><ETag>&quot;e1&quot;</ETag><Size>3</Size><ChecksumCRC64NVME>
    AAAAAAAAAAE=</ChecksumCRC64NVME></Part></ListPartsResult>""",
    """<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>a/b</Key><UploadId>u</UploadId>
    </InitiateMultipartUploadResult>""",
    """<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>a/b</Key><ETag>&quot;e&quot;</ETag>
    </CompleteMultipartUploadResult>""",
    f"""<Error><Code>InvalidToken</Code><Message>x-amz-security-token={SESSION_TOKEN}</Message><RequestId>r</RequestId>
    <Token-0>{SESSION_TOKEN}</Token-0></Error>""",
    "<Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>",
    "<html><body><h1>502 Bad Gateway</h1><p>&nbsp;</body></html>",
    '{"error": {"code": 1, "message": "no S3 here"}}',
    "",
]
RIGHT = {"list": 0, "uploads": 1, "parts": 2, "put_part": 2, "begin_upload": 3, "complete": 4}
"""Which of the documents an operation is for."""
ODD_TEXTS = [
    "",
    " ",
    "true",
    "TRUE",
    "-1",
    "1.5",
    "9" * 5000,
    "\x00",
    "&#0;",
    "&amp;",
    "<a/>",
    "<![CDATA[a]]>",
    "&a;",
    "é",
]


@st.composite
def documents(draw: st.DrawFn, operation: str) -> bytes:
    """Draw an answer's document of which some elements are gone, doubled, or hold something else."""
    text = draw(st.sampled_from([DOCUMENTS[RIGHT.get(operation, -1)]] * 9 + DOCUMENTS)).replace("\n    ", "")
    for _ in range(draw(st.integers(0, 2))):
        elements = list(re.finditer(r"<([A-Za-z0-9-]+)>((?:(?!<\1>).)*?)</\1>", text))
        if not elements:
            break
        element = draw(st.sampled_from(elements))
        odd = draw(st.sampled_from(["", element[0] * 2, *(f"<{element[1]}>{odd}</{element[1]}>" for odd in ODD_TEXTS)]))
        text = text[: element.start()] + odd + text[element.end() :]
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode() if draw(st.booleans()) else text.encode()


NAMES = st.sampled_from(
    ["ETag", "Content-Length", "Content-Type", "Content-Range", "Content-Encoding", "Transfer-Encoding",
    "Last-Modified",
     "x-amz-checksum-crc64nvme", "x-amz-checksum-type", "x-amz-meta-sha256", "x-amz-request-id", "Location",
     "x-amz-bucket-region", "Retry-After", "x-amz-checksum-algorithm", "x-amz-mp-parts-count", "Expires"]
)  # fmt: skip
VALUES = ANY_VALUE | st.sampled_from(
    [
        '"e1"',
        "3",
        "bytes 0-2/3",
        "AAAAAAAAAAE=",
        "AAAA",
        "A",
        "FULL_OBJECT",
        "COMPOSITE",
        "CRC64NVME",
        "gzip",
        "yesterday",
    ]
)
STATUSES = st.sampled_from([200] * 15 + [204, 206, 206, 301, 307, 400, 403, 404, 409, 412, 416, 500, 501, 503])


@st.composite
def answers(draw: st.DrawFn, operation: str) -> bytes:
    """Draw the bytes of an answer, most of them HTTP."""
    whole = documents(operation)
    body = draw(st.one_of(whole, whole, whole, damaged(whole, 1), st.just(b"abc")))
    headers = {"Content-Length": str(len(body)), "ETag": '"e1"'} | draw(st.dictionaries(NAMES, VALUES, max_size=2))
    for name in draw(st.sets(st.sampled_from(["ETag", "Content-Length"]))):
        del headers[name]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = f"HTTP/1.1 {draw(STATUSES)} Any\r\n{lines}\r\n".encode("latin-1") + body
    return draw(st.sampled_from([answer] * 8 + [answer[: len(answer) // 2], body]))


@pytest.fixture(scope="module")
def impostor() -> Iterator[Impostor]:
    with impersonating() as server:
        yield server


@pytest.fixture(scope="module")
def client(impostor: Impostor) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", impostor.origin)
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        patch.setenv("AWS_SESSION_TOKEN", SESSION_TOKEN)
        patch.setenv("AWS_REGION", "us-east-1")
        yield new_s3_client(4)
        gc.collect()


@pytest.fixture(autouse=True)
def no_kept_connection(client: Any) -> None:
    """Begin without a connection of the test before: the impostor hangs up on it, but maybe only while it is used."""
    client.close()


# botocore leaves the connection of an answer that it cannot read to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("operation", OPERATIONS)
@examples(12)
@given(data=st.data())
def test_whatever_the_store_answers_is_worked_with_or_one_of_our_errors(
    impostor: Impostor, client: Any, operation: str, data: st.DataObject
) -> None:
    impostor.answers = data.draw(st.lists(answers(operation), min_size=1, max_size=3))
    impostor.asked = 0
    try:
        OPERATIONS[operation](Store(client, "bucket", 0))
    except ArchiverError as error:
        require_presentable(error, SECRET_KEY, SESSION_TOKEN)
    assert impostor.asked <= MANY


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("put", b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 3\r\n\r\nabc'),
        ("list", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
        ("head", b'HTTP/1.1 200 OK\r\nETag: "e"\r\n\r\n'),
        ("head", b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 3\r\nx-amz-mp-parts-count: \xb2\r\n\r\n'),
        ("get", b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 3\r\nLast-Modified: gzip, gzip\r\n\r\nabc'),
        ("read", b'HTTP/1.1 200 OK\r\nETag: "e1"\r\nLast-Modified: ' + b"9" * 5000 + b"\r\n\r\nabc"),
    ],
    ids=["XML", "XML-of-a-list", "no-length", "number", "date", "huge-date"],
)
def test_what_boto3_cannot_read_is_no_store_and_worth_another_attempt(
    impostor: Impostor, client: Any, operation: str, answer: bytes
) -> None:
    impostor.answers, impostor.asked = [answer], 0
    with pytest.raises(StoreUnavailable):
        OPERATIONS[operation](Store(client, "bucket", 0))


@pytest.mark.parametrize("said", ["A", "AAAA", "\xe9", "AAAAAAAAAAEAAAAA"])
def test_a_checksum_that_is_none_proves_nothing_and_breaks_nothing(impostor: Impostor, client: Any, said: str) -> None:
    head = f'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 3\r\nx-amz-checksum-crc64nvme: {said}\r\n\r\n'
    impostor.answers, impostor.asked = [head.encode("latin-1")], 0
    found = Store(client, "bucket", 0).head("a/b")
    assert found is not None
    assert found.crc64 is None


def test_what_the_store_repeats_of_a_request_is_kept_by_no_error(impostor: Impostor, client: Any) -> None:
    said = f"<Error><Code>InvalidToken</Code><Message>x-amz-security-token={SESSION_TOKEN}</Message></Error>"
    impostor.answers, impostor.asked = [f"HTTP/1.1 403 No\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode()], 0
    with pytest.raises(StoreRefused) as caught:
        Store(client, "bucket", 0).put("a/b", b"abc", "video/mp4")
    require_presentable(caught.value, SESSION_TOKEN)
