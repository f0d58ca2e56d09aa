"""What reaches the pages: requests by a name that is theirs, that change nothing; and what every answer has."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.library import serving
from tests.torture.stage import lead_to

if TYPE_CHECKING:
    from tests.support.library import Sample

PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8030", 200),
        ("127.0.0.1", 200),
        ("LOCALHOST.:1", 200),
        ("[::1]:8030", 200),
        ("evil.example.com", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("evil.example.com:8030", 421),
        ("192.0.2.7", 421),
        ("", 421),
        ("localhost@evil.example.com", 421),
    ],
)
def test_a_host_that_is_not_ours_is_refused(library: httpx.Client, host: str, status: int) -> None:
    assert library.get("/", headers={"Host": host}).status_code == status


def test_two_hosts_are_none(library: httpx.Client) -> None:
    answer = asked(library, b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n")
    assert b" 400 " in answer.splitlines()[0]
    answer = asked(library, b"GET / HTTP/1.0\r\nConnection: close\r\n\r\n")
    assert b" 421 " in answer.splitlines()[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(library: httpx.Client, method: str) -> None:
    answer = library.request(method, "/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_every_answer_has_its_headers(library: httpx.Client, sample: Sample) -> None:
    here = f"/recordings/{sample.full.id}"
    paths = {
        "/": 200, "/?since=never": 400, "/nothing": 404, here: 200, f"{here}/captions.vtt": 200, f"{here}/bag.zip": 200,
        f"{here}/files/data/video/{sample.full.id}.mp4": 307, f"/sessions/{sample.meeting.id}": 200,
        "/static/library.js": 200, "/static/nothing": 404, "/static/../library.js": 404, "/docs": 404,
        "/openapi.json": 404,
    }  # fmt: skip
    for path, status in paths.items():
        answer = library.get(path)
        assert answer.status_code == status, path
        headers = answer.headers
        assert headers["cache-control"] == ("private, no-cache" if path == "/static/library.js" else "no-store"), path
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert (policy["default-src"], policy["script-src"], policy["frame-ancestors"]) == (
            "'none'",
            "'self'",
            "'none'",
        )
        assert policy["media-src"] == f"'self' {sample.bench.server.endpoint_url}"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../pyproject.toml",
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/static/%2e%2e/settings.py",
        "/recordings/../static/../templates/list.html",
        "/recordings/{id}/files/../recording.json",
        "/recordings/{id}/files/data/../recording.json",
        "/recordings/{id}/files/data%2f..%2frecording.json",
        "/recordings/{id}/files//data/video/{id}.mp4",
        "/recordings/{id}/files/recording.json",
        "/recordings/{id}/files/bagit.txt",
        "/recordings/{id}/files/",
        "/recordings/{id}%2f..%2f{id}",
        "/sessions/{id}/files/session.json",
    ],
)
def test_no_path_leads_to_what_is_not_handed_out(library: httpx.Client, sample: Sample, path: str) -> None:
    raw = path.replace("{id}", sample.full.id).encode()
    answer = asked(library, b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % raw)
    assert b" 404 " in answer.splitlines()[0]


def asked(library: httpx.Client, request: bytes) -> bytes:
    """Send a request as it is, which no client would, and return the answer."""
    parts = urlsplit(str(library.base_url))
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_with_a_password_nothing_is_seen_without_it(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(sample.bench.server, monkeypatch)
    with (
        serving(sample.bench, "0.0.0.0", library_password=PASSWORD, library_hosts="library.example.com") as url,  # noqa: S104
        httpx.Client(base_url=url.replace("0.0.0.0", "127.0.0.2"), timeout=30) as client,  # noqa: S104
    ):
        for path in ("/", "/static/library.css", "/nothing", f"/recordings/{sample.full.id}/files/data/x"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["www-authenticate"][:5]) == (401, "Basic"), path
            assert sample.full.id not in answer.text
        for host, status in {"library.example.com": 200, client.base_url.host: 200, "127.0.0.3": 421}.items():
            assert client.get("/", auth=("", PASSWORD), headers={"Host": host}).status_code == status
        tried = [client.get("/", auth=("", "wrong")).status_code for _ in range(12)]
        assert (tried[0], tried[-1]) == (401, 429)
        assert re.fullmatch("[0-9]+", client.get("/", auth=("", PASSWORD)).headers["retry-after"])
