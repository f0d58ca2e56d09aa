"""Prefect's clients in one process share the certificates that they trust; a client that verifies nothing is apart."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
from prefect._internal import version_checking
from prefect.client import orchestration
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.settings import PREFECT_API_SSL_CERT_FILE, PREFECT_API_TLS_INSECURE_SKIP_VERIFY, temporary_settings

from tasks.orchestration.certificates import share_certificates
from tests.support.certificates import self_signed

if TYPE_CHECKING:
    from pathlib import Path

API = "https://127.0.0.1:9/api"


@pytest.fixture(autouse=True)
def _shared(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (orchestration, version_checking):
        monkeypatch.setattr(module, "ssl", ssl)  # so that it is so again after the test
    share_certificates()


def trusted_by(client: Any) -> ssl.SSLContext:
    """Return what a client of Prefect's connects with."""
    context: ssl.SSLContext = client._client._transport._pool._ssl_context
    return context


def test_all_clients_that_trust_the_same_file_share_what_was_read_of_it(tmp_path: Path) -> None:
    usual = trusted_by(SyncPrefectClient(API))
    assert trusted_by(PrefectClient(API)) is usual
    assert usual.verify_mode is ssl.CERT_REQUIRED
    assert usual.check_hostname
    with temporary_settings({PREFECT_API_SSL_CERT_FILE: str(self_signed(tmp_path / "other.pem"))}):
        other = trusted_by(SyncPrefectClient(API))
    assert other.cert_store_stats()["x509"] == 1 < usual.cert_store_stats()["x509"]
    assert trusted_by(SyncPrefectClient(API)) is usual


def test_a_client_that_is_to_verify_nothing_changes_no_other() -> None:
    usual = trusted_by(SyncPrefectClient(API))
    with temporary_settings({PREFECT_API_TLS_INSECURE_SKIP_VERIFY: True}):
        assert trusted_by(SyncPrefectClient(API)).verify_mode is ssl.CERT_NONE
    assert usual.verify_mode is ssl.CERT_REQUIRED
    assert trusted_by(SyncPrefectClient(API)) is usual


def test_of_python_s_module_all_else_is_as_it_was() -> None:
    for module in (orchestration, version_checking):
        assert vars(module)["ssl"].SSLContext is ssl.SSLContext
        assert vars(module)["ssl"].CERT_NONE is ssl.CERT_NONE
