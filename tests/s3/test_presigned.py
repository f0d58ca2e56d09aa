"""A presigned URL reads one object, for a while, with the type and name that it was made for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tasks.errors import StoreRefused
from tasks.s3 import PresignedDownloads, content_disposition, new_s3_client

if TYPE_CHECKING:
    from tests.support.archiving import Archiving

KEY = "pre/a b/é+ü%.mp4"


def test_it_gives_any_range_with_the_type_and_name_that_were_asked_for(bench: Archiving) -> None:
    bench.s3.put_object(Bucket=bench.bucket, Key=KEY, Body=bytes(range(250)), ContentType="text/html")
    downloads = PresignedDownloads(bench.s3, bench.bucket)
    url = downloads.url(KEY, 60, "video/mp4", content_disposition("inline", "é.mp4"))
    answer = httpx.get(url, headers={"Range": "bytes=10-19"})
    assert answer.content == bytes(range(10, 20))
    assert answer.headers["content-range"] == "bytes 10-19/250"
    assert answer.status_code == {"swift": 206, "rclone": 200}[bench.server.name]
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-disposition"] == "inline; filename=\"_.mp4\"; filename*=UTF-8''%C3%A9.mp4"
    assert httpx.head(downloads.url(KEY, 60, method="HEAD")).headers["content-length"] == "250"
    assert downloads.origin == bench.server.endpoint_url
    for changed in (url.replace("video%2Fmp4", "text%2Fhtml"), url.replace("Expires=60", "Expires=6000")):
        assert changed != url
        assert httpx.get(changed).status_code == 403


def test_at_amazon_too_it_is_signed_by_version_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    downloads = PresignedDownloads(new_s3_client(1), "bucket")
    asked = parse_qs(urlsplit(downloads.url("key", 10**9)).query)
    assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert asked["X-Amz-Expires"] == ["604800"]
    assert downloads.origin == "https://bucket.s3.amazonaws.com"


def test_without_credentials_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(StoreRefused):
        PresignedDownloads(new_s3_client(1), "bucket").url("key", 60)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("plain name (1).mp4", 'attachment; filename="plain name (1).mp4"'),
        ('a"; filename="b', "attachment; filename=\"a__ filename__b\"; filename*=UTF-8''a%22%3B%20filename%3D%22b"),
        ("a\r\nSet-Cookie: b", "attachment; filename=\"a__Set-Cookie_ b\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b"),
        ("\ud800", "attachment; filename=\"_\"; filename*=UTF-8''%3F"),
    ],
)
def test_no_name_gets_out_of_its_header(name: str, header: str) -> None:
    assert content_disposition("attachment", name) == header
