"""What libraries read of the environment by themselves is usable once it is tidied, and no child gets our secrets."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING
from urllib.request import proxy_bypass

import httpx
import pytest

from tasks.environment import secrets, tidy
from tasks.tls import explain_distrust
from tests.support.certificates import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = "localhost,127.0.0.1,::1"
PROXY = "http://127.0.0.1:9"


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[str]:
    """A server whose certificate nobody vouches for; yields its URL."""
    path = self_signed(tmp_path / "certificate.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError), listener.accept()[0] as line:
                context.wrap_socket(line, server_side=True).close()

        serving = Thread(target=serve)
        serving.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        serving.join()


@pytest.mark.parametrize(
    ("given", "tidied"),
    [
        ({"HTTP_PROXY": PROXY}, {"NO_PROXY": LOOPBACK}),
        ({"all_proxy": PROXY, "no_proxy": "example.com, 10.1.2.3"}, {"no_proxy": f"example.com,10.1.2.3,{LOOPBACK}"}),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "a", "no_proxy": ""}, {"NO_PROXY": f"a,{LOOPBACK}", "no_proxy": LOOPBACK}),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, {"NO_PROXY": "*"}),
        ({"NO_PROXY": "[::1],fd00::/8,[fd00::2]:80,.x.org,10.0.0.0/8"},
         {"NO_PROXY": "::1,fd00::2,.x.org,10.0.0.0/8,localhost,127.0.0.1"}),
        ({"NO_PROXY": "a:b"}, {"NO_PROXY": LOOPBACK}),
        ({"AWS_REGION": "eu\n", "SSL_CERT_FILE": " /a b.pem\n", "OTHER": " as it is\n"},
         {"AWS_REGION": "eu", "SSL_CERT_FILE": "/a b.pem"}),
    ],
)  # fmt: skip
def test_loopback_needs_no_proxy_and_what_httpx_does_not_take_is_left_out(
    given: dict[str, str], tidied: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dict(given)
    tidy(environment)
    tidy(environment)
    assert environment == given | tidied
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if "SSL_CERT_FILE" not in environment:
        httpx.Client().close()
    if "NO_PROXY" in tidied:
        assert proxy_bypass("127.0.0.1:4200")


def test_the_secrets_are_the_keys_and_the_passwords_of_proxies() -> None:
    environment = {
        "AWS_SECRET_ACCESS_KEY": "key",
        "HTTP_PROXY": "http://user:p@ss@host:9",
        "https_proxy": "u:pass@host",
    }
    assert secrets(environment | {"HTTPS_PROXY": PROXY, "AWS_REGION": "eu"}) == ["key", "p@ss", "pass"]


def test_a_certificate_that_nobody_vouches_for_is_told_from_a_line_that_broke(impostor: str) -> None:
    with pytest.raises(httpx.ConnectError) as raised:
        httpx.get(impostor)
    assert explain_distrust(raised.value) == "its certificate is not accepted (self-signed certificate)"
    with pytest.raises(httpx.ConnectError) as raised:
        httpx.get("http://127.0.0.1:9")
    assert explain_distrust(raised.value) == ""
