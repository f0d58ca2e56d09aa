"""compose.yaml, the Dockerfile and .env.example: complete, locked up, and in agreement with the settings."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from pydantic_settings import BaseSettings

from tasks import environment
from tasks.library import LibrarySettings
from tasks.settings import ApiSettings, Settings, WebhookSettings
from tests.support.compose import (
    PROJECT,
    dockerfile,
    environment_of,
    image_environment,
    image_health_check,
    names_from_env_file,
    read_compose,
    services,
)

if TYPE_CHECKING:
    from pathlib import Path

OURS = sorted(name for name, service in services().items() if "build" in service)
OF_CLOUD = {"PREFECT_API_KEY"}
"""Prefect Cloud takes the place of the server that is composed here."""
OF_KUBERNETES = {"PREFECT_WORKER_WEBSERVER_HOST"}
"""Where probes come from outside of a container."""
OLD_NAMES = {"AWS_SECURITY_TOKEN", "PREFECT_API_DATABASE_CONNECTION_URL"}
"""Of settings that have newer ones."""
MADE_UP = {
    "POSTGRES_PASSWORD": "of-the-database",
    "LIBRARY_PASSWORD": "of-the-library",
    "CLOUDFLARE_API_TOKEN": "of-cloudflare",
    "AWS_SECRET_ACCESS_KEY": "of-the-store",
}

REQUIRED = {
    "cloudflare_api_token": "t", "cloudflare_account_id": "a", "realtimekit_app_id": "b", "archive_url": "s3://bucket",
}  # fmt: skip


def settings_of_all_commands() -> set[str]:
    def below(kind: type[BaseSettings]) -> set[type[BaseSettings]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    ours = {kind for kind in below(BaseSettings) if kind.__module__.startswith("tasks.")}
    assert {ApiSettings, LibrarySettings, WebhookSettings} <= ours
    return {name.upper() for kind in ours for name in kind.model_fields}


def names_in_readmes() -> set[str]:
    """Return all that looks like a variable of ours or of a library's, in any README for operators."""
    readmes = [PROJECT / "README.md", PROJECT / "flows" / "README.md", *PROJECT.glob("tasks/**/README.md")]
    families = (
        "AWS|CLOUDFLARE|REALTIMEKIT|ARCHIVE|TRANSFER|TASK|STALL|POLL|LIBRARY|RESTORE|PREFECT|POSTGRES|WORKER|NO|SSL"
    )
    name = re.compile(rf"(?<![\w$])(?:{families})_[A-Z0-9_]*[A-Z0-9]\b")
    return {found for readme in readmes for found in name.findall(readme.read_text())}


def example() -> dict[str, str]:
    """Return what .env.example has, whether it is set or not."""
    lines = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    assert len({name for name, _ in lines}) == len(lines)
    return dict(lines)


def taken() -> set[str]:
    """Return what the services take from .env."""
    return set[str]().union(*map(names_from_env_file, services().values()))


def fixed() -> set[str]:
    """Return what image and services set by themselves."""
    ours = {
        name for service in services().values() for name, value in service["environment"].items() if value is not None
    }
    return ours | set(image_environment())


def test_the_example_has_every_setting_and_nothing_else() -> None:
    of_libraries = {
        *environment.CERTIFICATES, *environment.SECRETS, *(name.upper() for name in environment.PROXIES), "NO_PROXY",
    }  # fmt: skip
    needed = (
        (settings_of_all_commands() | of_libraries | names_in_readmes())
        - fixed()
        - OF_CLOUD
        - OF_KUBERNETES
        - OLD_NAMES
    )
    assert needed - set(example()) == set()
    assert set(example()) == taken()


def test_the_example_has_no_value_that_is_real() -> None:
    text = (PROJECT / ".env.example").read_text()
    set_there = dict(re.findall(r"^([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE))
    assert not any(set_there.values())
    secret = re.compile("TOKEN|PASSWORD|KEY$|KEY_ID|ACCOUNT|AUTH")
    assert not any(value for name, value in example().items() if secret.search(name) and not name.endswith("_FILE"))


def test_the_defaults_that_the_example_shows_are_those_of_the_settings() -> None:
    fields = Settings.model_fields | WebhookSettings.model_fields | LibrarySettings.model_fields
    shown = {name: value for name, value in example().items() if value and name.lower() in fields}
    for name in ("LIBRARY_HOSTS", "LIBRARY_TRUSTED_PROXY", "ARCHIVE_CREDENTIALS"):
        del shown[name]  # examples
    assert len(shown) >= 8
    of_run = {name.lower(): value for name, value in shown.items() if name.lower() in Settings.model_fields}
    made = Settings.model_validate(REQUIRED | of_run)
    defaults = {name: field.default for name, field in fields.items()}
    assert {name: getattr(made, name.lower(), shown[name]) for name in shown} == {
        name: defaults[name.lower()] for name in shown
    }


@pytest.mark.parametrize(
    ("service", "settings"), [("worker", Settings), ("webhook", WebhookSettings), ("library", LibrarySettings)]
)
def test_a_service_gets_all_settings_that_it_reads(service: str, settings: type[BaseSettings]) -> None:
    assert {name.upper() for name in settings.model_fields} <= names_from_env_file(services()[service])


def test_a_service_gets_no_secret_that_it_does_not_read() -> None:
    known = {
        name: {secret for secret, value in MADE_UP.items() if value in environment_of(service, MADE_UP).values()}
        for name, service in services().items()
    }
    assert known == {
        "postgres": {"POSTGRES_PASSWORD"},
        "server": {"POSTGRES_PASSWORD"},
        "deploy": set(),
        "worker": {"CLOUDFLARE_API_TOKEN", "AWS_SECRET_ACCESS_KEY"},
        "webhook": set(),
        "library": {"LIBRARY_PASSWORD", "AWS_SECRET_ACCESS_KEY"},
    }


@pytest.mark.parametrize("name", services())
def test_a_service_can_change_nothing_but_its_volumes_and_is_started_again(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"]
    assert service["restart"] == ("on-failure" if name == "deploy" else "unless-stopped")
    assert service["logging"]["options"]["max-size"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices", "env_file"} & set(service)


@pytest.mark.parametrize("name", services())
def test_a_service_tells_whether_it_is_healthy(name: str) -> None:
    check = services()[name]["healthcheck"]
    if name == "deploy":  # ends by itself
        assert check == {"disable": True}
    elif name in OURS:
        assert check["test"] == image_health_check()
    else:
        assert check["test"][:2] == ["CMD", "pg_isready"]


def test_only_the_server_reaches_the_database() -> None:
    document = read_compose()
    assert document["networks"]["database"] == {"internal": True}
    on_it = {name for name, service in document["services"].items() if "database" in service.get("networks", ())}
    assert on_it == {"postgres", "server"}
    assert "ports" not in document["services"]["postgres"]


def test_the_image_is_pinned_locked_and_not_roots() -> None:
    assert services()["postgres"]["image"].startswith("docker.io/library/postgres:17")
    said = dockerfile()
    assert said["USER"] == ["10001:10001"]
    assert any("uv sync --locked" in step for step in said["RUN"])
    assert any(re.search(r"uv==\d+\.\d+\.\d+", step) for step in said["RUN"])
    assert not {"ADD", "VOLUME"} & set(said)


def test_no_secret_can_get_into_a_layer() -> None:
    """The build sees what .dockerignore lets through, and the Dockerfile copies by name."""
    first, *rest = [line for line in (PROJECT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    assert "**/.env*" in rest
    let_through = {line[1:].removesuffix("/*.py") for line in rest if line.startswith("!")}
    copied = {word for step in dockerfile()["COPY"] if "--from" not in step for word in step.split()[:-1]}
    assert copied == let_through
    assert all((PROJECT / name).exists() for name in copied)
    assert not any("ARG" in word for word in dockerfile() if word != "ARG")
    assert [line.partition("=")[0] for line in dockerfile()["ARG"]] == ["BASE_IMAGE"]


def test_docker_compose_takes_the_file(tmp_path: Path) -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("there is no docker-compose, as in Debian's package of this name")
    shutil.copy(PROJECT / "compose.yaml", tmp_path)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in MADE_UP.items()))
    command: list[Any] = ["docker-compose", "config", "--services"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, set(done.stdout.split())) == (0, set(services())), done.stderr
