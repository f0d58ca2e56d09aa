"""Whatever the environment and the `.env` file hold: settings, or one error that lists all problems and no value."""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tasks.errors import RecordingIdInvalid, SettingsInvalid
from tasks.realtimekit import parse_recording_id
from tasks.settings import Settings, load_settings
from tests.standins.realtimekit import APP_ID
from tests.support.strategies import damaged, examples, require_presentable

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "leak-canary"
GOOD = {
    "CLOUDFLARE_API_TOKEN": CANARY,
    "CLOUDFLARE_ACCOUNT_ID": "a" * 32,
    "REALTIMEKIT_APP_ID": APP_ID,
    "ARCHIVE_URL": "s3://bucket/prefix",
}
NAMES = [name.upper() for name in Settings.model_fields]
# What the environment can hold at all: no null, and bytes that are no UTF-8 as half surrogates.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80)
BYTES = st.binary(max_size=40).map(lambda data: os.fsdecode(data.replace(b"\0", b"")))
NUMBERS = st.sampled_from(
    ["0", "1", "8MiB", "5TiB", "1e3", "nan", "inf", "-1", "9" * 5000, "\u0663", "1_0", "0x8", " 8 ", "5.0"]
)
_PIECES = [*"s3:/@?#.[]%-_ ", "s3://", "https://", "bucket", "..", "\n", "\u2028", "key:leak-canary@"]
URLS = st.lists(st.sampled_from(_PIECES), max_size=8).map("".join)
REFERENCES = st.sampled_from(["prefect:", "prefect:secret/leak canary", " prefect:secret/\n", "prefect:../x"])
VALUES = st.one_of(TEXTS, BYTES, NUMBERS, URLS, REFERENCES, st.just(f"{CANARY} {CANARY}"))
ENVIRONMENTS = st.one_of(
    st.dictionaries(st.sampled_from(NAMES), VALUES),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2).map(lambda odd: GOOD | odd),
)
FILES = damaged(st.just("".join(f"{name}={value}\n" for name, value in GOOD.items()).encode())) | st.binary(max_size=80)
PRINTABLE = set(string.printable) - set(string.whitespace)


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def cleared() -> None:
    """Take back what an example put into the environment."""
    for name in [name for name in os.environ if name.upper() in NAMES or not name.isidentifier()]:
        del os.environ[name]


@examples(80, suppress_health_check=list(HealthCheck))
@given(environment=ENVIRONMENTS, file=st.none() | FILES)
def test_any_environment_is_usable_or_all_that_is_wrong_with_it_is_listed(
    environment: dict[str, str], file: bytes | None
) -> None:
    outside = dict(os.environ)
    cleared()
    settings, problems = None, list[str]()
    try:
        os.environ.update(environment)
        Path(".env").write_bytes(file or b"")
        settings = load_settings(Settings)
    except SettingsInvalid as error:
        require_presentable(error, CANARY)
        problems = [problem.partition(":")[0] for problem in error.problems]
    finally:
        os.environ.clear()
        os.environ.update(outside)
    assert {*problems} <= {*NAMES, ".env"}
    assert len({*problems}) == len(problems)
    if file is None:
        assert {*problems} >= {name for name in GOOD if not environment.get(name, "").strip()}
    if settings is not None:
        assert settings.cloudflare_api_token.get_secret_value() not in repr(settings.cloudflare_api_token)
        assert set(settings.cloudflare_api_token.get_secret_value()) <= PRINTABLE
        assert settings.bucket
        assert not {"", ".", ".."} & set(settings.prefix.split("/") if settings.prefix else ())


@examples(100)
@given(TEXTS | st.from_regex(r"\s*[0-9a-fA-F-]{36}\s*"))
def test_any_text_is_a_recordings_id_or_refused(text: str) -> None:
    try:
        found = parse_recording_id(text)
    except RecordingIdInvalid as error:
        require_presentable(error)
    else:
        assert len(found) == 36
        assert set(found) <= set("0123456789abcdef-")
