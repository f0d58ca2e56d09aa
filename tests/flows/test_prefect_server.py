"""Whoever waits at a terminal gets settings that suit it, unless others were chosen, and hears what is wrong."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from prefect.settings import (
    PREFECT_API_KEY,
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_CLOUD_API_URL,
    Settings,
    temporary_settings,
)

from tasks.errors import ArchiverError, ConnectionInsecure, PrefectRefused, PrefectUnavailable, SettingsInvalid
from tasks.orchestration.server import _client_settings, prefect_at_hand, settings_of
from tasks.prefect_settings import CLIENT_RETRIES
from tasks.settings import AuditSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(("chosen", "retries"), [({}, {CLIENT_RETRIES}), ({"PREFECT_CLIENT_MAX_RETRIES": "9"}, set())])
def test_the_client_gives_up_early_unless_somebody_chose_otherwise(
    monkeypatch: pytest.MonkeyPatch, chosen: dict[str, str], retries: set[int]
) -> None:
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tasks.orchestration.server.get_current_settings", Settings)  # not those of all tests here
    assert set(_client_settings().values()) == retries


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """Something that answers to everything in Prefect's place, as the test says; yields its host and port."""
    status, body = request.param

    class Handler(BaseHTTPRequestHandler):
        """Answers."""

        def do_GET(self) -> None:
            """Answer."""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the standard library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def failure(**of_prefect: object) -> ArchiverError:
    """Return why no server is at hand."""
    known = {"url": PREFECT_API_URL, "cloud": PREFECT_CLOUD_API_URL, "key": PREFECT_API_KEY}
    settings = {known[name]: value for name, value in of_prefect.items()} | {PREFECT_CLIENT_MAX_RETRIES: 0}
    with pytest.raises(ArchiverError) as raised, temporary_settings(settings), prefect_at_hand():
        pass
    assert raised.value.__context__ is None
    return raised.value


UNAUTHORIZED = (401, b'{"detail":"Unauthorized"}')
PAGE = (200, b"<html>")


@pytest.mark.parametrize("answering", [UNAUTHORIZED], indirect=True)
def test_a_wrong_password_or_key_is_told_as_such(answering: str) -> None:
    api = f"http://{answering}/api"
    for refused in (failure(url=api), failure(url=api, cloud=api, key="leak-canary")):
        assert isinstance(refused, PrefectRefused)
        assert f"{answering} refuses these credentials (HTTP 401)" in str(refused)
        assert "leak" not in str(refused)


@pytest.mark.parametrize("answering", [PAGE, (200, b"{}"), (404, b"no such page")], indirect=True)
def test_what_is_no_server_of_prefects_is_told_as_such(answering: str) -> None:
    unavailable = failure(url=f"http://{answering}/")
    assert isinstance(unavailable, PrefectUnavailable)
    assert answering in str(unavailable)
    assert unavailable.reason in {"HTTP 404", "something else does; the URL of a server of your own ends with /api"}


@pytest.mark.parametrize("answering", [PAGE], indirect=True)
def test_https_asked_of_a_server_without_it_is_told_as_such(answering: str) -> None:
    assert isinstance(failure(url=f"https://{answering}/api"), ConnectionInsecure)


@pytest.mark.parametrize("url", ["foo", "ftp://host/api", "http://", "http://host:99999/api"])
def test_an_url_that_is_none_is_told_with_the_other_settings(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE_URL", "leak")
    of_prefect = {PREFECT_API_URL: url, PREFECT_API_SSL_CERT_FILE: "/nowhere.pem"}
    with temporary_settings(of_prefect), pytest.raises(SettingsInvalid) as raised:
        settings_of(AuditSettings)
    wrong = ["ARCHIVE_URL", "PREFECT_API_URL", "PREFECT_API_SSL_CERT_FILE"]
    assert [problem.partition(":")[0] for problem in raised.value.problems] == wrong
