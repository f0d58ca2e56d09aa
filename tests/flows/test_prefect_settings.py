"""Whether a server is configured is read without Prefect, and Prefect itself comes to the same answer."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from prefect.settings import Settings, sources

from tasks import prefect_settings
from tasks.prefect_settings import CLIENT_RETRIES, LOGGING_LEVEL, choose_client_retries, first_value, may_name_a_server

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:9/api"
TOML = f'[api]\nurl = "{URL}"\n'
PROFILES = (
    f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{URL}"\n[profiles.other]\nPREFECT_LOGGING_LEVEL = "INFO"\n'
)
OTHER_ACTIVE = PROFILES.replace("mine", "other", 1)
HOME = {"PREFECT_HOME": "home"}

NAMED: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "environment": ({"PREFECT_API_URL": URL}, {}),
    "lower case": ({"prefect_api_url": URL}, {}),
    "the whole group": ({"PREFECT_API": f'{{"url": "{URL}"}}'}, {}),
    ".env": ({}, {".env": f"export PREFECT_API_URL='{URL}'\n"}),
    "prefect.toml": ({}, {"prefect.toml": TOML}),
    "pyproject.toml": ({}, {"pyproject.toml": TOML.replace("[api]", "[tool.prefect.api]")}),
    "a profile": (HOME, {"home/profiles.toml": PROFILES}),
    "a profile by name": (HOME | {"PREFECT_PROFILE": "mine"}, {"home/profiles.toml": OTHER_ACTIVE}),
    "a profile of the usual home": ({}, {"usual/profiles.toml": PROFILES}),
    "a profile of Prefect's own": ({"PREFECT_PROFILE": "local"}, {}),
    "a path of profiles": ({"PREFECT_PROFILES_PATH": "p.toml"}, {"p.toml": PROFILES}),
    "a path of profiles in .env": (HOME, {".env": "PREFECT_PROFILES_PATH=p.toml\n", "p.toml": PROFILES}),
    "a path of profiles in prefect.toml": (HOME, {"prefect.toml": 'profiles_path = "p.toml"\n', "p.toml": PROFILES}),
    "a path of profiles in pyproject.toml": (
        HOME, {"pyproject.toml": '[tool.prefect]\nprofiles_path = "p.toml"\n', "p.toml": PROFILES},
    ),
}  # fmt: skip
UNNAMED: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "nothing": ({}, {}),
    "empty": ({"PREFECT_API_URL": ""}, {}),
    ".env without a value": ({}, {".env": "PREFECT_API_URL\n"}),
    "other settings": ({"PREFECT_LOGGING_LEVEL": "INFO"}, {"prefect.toml": '[logging]\nlevel = "INFO"\n'}),
    "another place in prefect.toml": ({}, {"prefect.toml": f'PREFECT_API_URL = "{URL}"\n'}),
    "a profile that is not active": (HOME | {"PREFECT_PROFILE": "other"}, {"home/profiles.toml": PROFILES}),
    "a profile that there is not": (HOME | {"PREFECT_PROFILE": "none"}, {"home/profiles.toml": PROFILES}),
    "a home of no profiles": (HOME | {"PREFECT_PROFILE": "local"}, {}),
    "a home named in .env": ({}, {".env": "PREFECT_HOME=home\n", "home/profiles.toml": PROFILES}),
    "a profile in a test": (HOME | {"PREFECT_TESTING_TEST_MODE": "1"}, {"home/profiles.toml": PROFILES}),
}


def set_up(patch: pytest.MonkeyPatch, folder: Path, environment: dict[str, str], files: dict[str, str]) -> None:
    """Make files, and this process's environment, and have Prefect look for its usual home there."""
    for name in [name for name in os.environ if name.lower().startswith("prefect_")]:
        patch.delenv(name)
    for name, value in environment.items():
        patch.setenv(name, value)
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / "usual").mkdir(exist_ok=True)
    (folder / ".prefect").symlink_to(folder / "usual")
    patch.setenv("HOME", str(folder))
    patch.setattr(sources, "DEFAULT_PREFECT_HOME", folder / ".prefect")
    patch.chdir(folder)


@pytest.mark.parametrize(("environment", "files"), NAMED.values(), ids=NAMED)
def test_a_server_is_found_wherever_prefect_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str], files: dict[str, str]
) -> None:
    set_up(monkeypatch, tmp_path, environment, files)
    assert may_name_a_server()
    assert Settings().api.url


@pytest.mark.parametrize(("environment", "files"), UNNAMED.values(), ids=UNNAMED)
def test_where_prefect_finds_no_server_none_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str], files: dict[str, str]
) -> None:
    set_up(monkeypatch, tmp_path, environment, files)
    assert not may_name_a_server()
    assert not Settings().api.url


@pytest.mark.parametrize("file", [".env", "prefect.toml", "pyproject.toml", "usual/profiles.toml"])
def test_of_a_file_that_cannot_be_read_prefect_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    set_up(monkeypatch, tmp_path, {}, {})
    (tmp_path / file).write_bytes('a = "b"\n'.encode("utf-16"))
    assert may_name_a_server()
    assert first_value(LOGGING_LEVEL) == ""


def test_no_source_was_added_to_prefects() -> None:
    asked = Settings.settings_customise_sources(Settings, *[None] * 4)  # type: ignore[arg-type]
    assert [type(source).__name__ for source in asked] == [
        "NoneType", "EnvFilterSettingsSource", "FilteredDotEnvSettingsSource", "NoneType",
        "PrefectTomlConfigSettingsSource", "PyprojectTomlConfigSettingsSource", "ProfileSettingsTomlLoader",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "files", "imported", "chosen"),
    [
        ({}, {}, False, str(CLIENT_RETRIES)),
        ({"PREFECT_CLIENT_MAX_RETRIES": "9"}, {}, False, "9"),
        ({}, {"prefect.toml": "[client]\nmax_retries = 9\n"}, False, None),
        ({}, {}, True, None),
    ],
    ids=["nobody chose", "environment", "prefect.toml", "Prefect has read its settings"],
)
def test_the_client_of_a_command_gives_up_early_unless_somebody_chose_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, environment: dict[str, str], files: dict[str, str], *,
    imported: bool, chosen: str | None,
) -> None:  # fmt: skip
    set_up(monkeypatch, tmp_path, environment, files)
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", os.environ.get("PREFECT_CLIENT_MAX_RETRIES", ""))  # is set back
    if not environment:
        monkeypatch.delenv("PREFECT_CLIENT_MAX_RETRIES")
    if not imported:
        monkeypatch.delitem(sys.modules, "prefect")
    choose_client_retries()
    assert os.environ.get("PREFECT_CLIENT_MAX_RETRIES") == chosen


def test_the_first_source_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_up(
        monkeypatch,
        tmp_path,
        {},
        {".env": "PREFECT_LOGGING_LEVEL=DEBUG\n", "prefect.toml": '[logging]\nlevel="ERROR"\n'},
    )
    assert first_value(LOGGING_LEVEL) == Settings().logging.level == "DEBUG"
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "WARNING")
    assert prefect_settings.first_value(LOGGING_LEVEL) == Settings().logging.level == "WARNING"
