"""compose.yaml as an engine reads it: services, each with its command, and its environment from a file `.env`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z0-9_]+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


def read_compose() -> dict[str, Any]:
    """Return the whole file."""
    document: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())
    return document


def services() -> dict[str, dict[str, Any]]:
    """Return the services by name."""
    named: dict[str, dict[str, Any]] = read_compose()["services"]
    return named


def names_from_env_file(service: Mapping[str, Any]) -> set[str]:
    """Return the variables that a service takes from `.env`, be it for its environment or for its command."""
    environment: dict[str, Any] = service.get("environment", {})
    passed_on = {name for name, value in environment.items() if value is None}
    texts = [str(value) for value in (*environment.values(), *service["command"])]
    return passed_on | {match["name"] for text in texts for match in _VARIABLE.finditer(text)}


def environment_of(service: Mapping[str, Any], env_file: Mapping[str, str]) -> dict[str, str]:
    """Return a container's environment: of its image, and of its service.

    Args:
        service: of compose.yaml.
        env_file: what `.env` holds.
    """
    ours = {
        name: env_file.get(name) if value is None else interpolate(str(value), env_file)
        for name, value in service["environment"].items()
    }
    image = image_environment() if "build" in service else {}
    return image | {name: value for name, value in ours.items() if value is not None}


def interpolate(text: str, env_file: Mapping[str, str]) -> str:
    """Return a text of compose.yaml with its variables replaced."""

    def replaced(match: re.Match[str]) -> str:
        value = env_file.get(match["name"], "")
        assert value or match["kind"] != "?", f"{match['name']} {match['rest']}"
        return value or (match["rest"] or "")

    return _VARIABLE.sub(replaced, text)


def dockerfile() -> dict[str, list[str]]:
    """Return the arguments of the Dockerfile's instructions, by instruction."""
    text = re.sub(r"^#.*\n", "", (PROJECT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return {word: [rest for first, rest in lines if first == word] for word, _ in lines}


def image_environment() -> dict[str, str]:
    """Return the environment that the image sets."""
    last = dockerfile()["ENV"][-1]
    return dict(word.split("=", 1) for word in last.split())


def image_health_check() -> list[str]:
    """Return the image's health check, as compose.yaml writes one."""
    command: list[str] = json.loads(dockerfile()["HEALTHCHECK"][0].partition("CMD ")[2])
    return ["CMD", *command]
