"""`python -m flows.library` as a person meets it: open to this machine alone, unless somebody is asked who they are."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from flows import archive_recording, library, update_catalog
from tests.flows.world import eventually

if TYPE_CHECKING:
    from tests.flows.world import World

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "library.example.com", ""])  # noqa: S104 - refused
def test_another_address_is_refused_unless_somebody_is_asked_who_they_are(
    plain_here: World, capsys: Captured, host: str
) -> None:
    assert plain_here
    assert library.main(["--host", host]) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    (line,) = stderr.split("\n\n")[0].strip().splitlines()
    assert "set LIBRARY_PASSWORD" in line


def test_all_that_is_wrong_with_the_settings_is_said_at_once(
    plain_here: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plain_here
    monkeypatch.delenv("ARCHIVE_URL")
    monkeypatch.setenv("LIBRARY_PASSWORD", "short")
    assert library.main([]) == 2
    stderr = capsys.readouterr().err
    assert "ARCHIVE_URL: is missing" in stderr
    assert "LIBRARY_PASSWORD: must have at least 12 characters" in stderr


@pytest.mark.parametrize("module", ["jinja2", "zipstream", "pyarrow"])
def test_without_the_extra_it_says_how_to_install_it(
    plain_here: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    assert plain_here
    monkeypatch.setitem(sys.modules, module, None)
    assert library.main([]) == 1
    assert "uv sync --extra library" in capsys.readouterr().err


def test_without_credentials_it_does_not_begin(
    plain_here: World, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plain_here
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert library.main(["--port", "0"]) == 1
    assert "redentials" in capsys.readouterr().err


@pytest.mark.duty
def test_it_serves_without_cloudflare_and_prefect_until_it_is_told_to_stop(plain_here: World) -> None:
    recording = plain_here.add()
    assert archive_recording.main([recording.id]) == 0
    assert update_catalog.main([]) == 0
    environment = plain_here.environment(
        CLOUDFLARE_API_TOKEN=None, CLOUDFLARE_ACCOUNT_ID=None, REALTIMEKIT_APP_ID=None, CLOUDFLARE_BASE_URL=None
    )
    log = plain_here.folder / "library.log"
    command = [sys.executable, "-m", "flows.library", "--port", "0"]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=plain_here.folder, env=environment, stderr=output) as process,
    ):
        try:
            address = eventually(lambda: re.search(r"running on (http://\S+)", log.read_text()))[1]
            answer = httpx.get(address)
            assert f"/recordings/{recording.id}" in answer.text
            assert "server" not in answer.headers
            leading = httpx.get(f"{address}/recordings/{recording.id}/files/data/video/{recording.video_name}")
            assert httpx.get(leading.headers["location"]).content == b"vide\0" * 1000
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert recording.id not in log.read_text()
