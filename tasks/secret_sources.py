"""Secrets that stand elsewhere: in a file that a variable such as LIBRARY_PASSWORD_FILE names, or in a Prefect block.

Such a value is read at each run. It is registered for redaction, and never put into the environment, which children
and other libraries see.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import prefect_settings
from tasks.errors import ArchiverError
from tasks.text import register_secrets, safe_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

STORE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
FILE_VARIABLES = {
    f"{name}_FILE": name for name in ("CLOUDFLARE_API_TOKEN", *STORE_KEYS, "LIBRARY_PASSWORD", "ALARMS_TO")
}
"""Variables that name a file, and whose value the file holds. Others, such as AWS_CONFIG_FILE, are boto3's own."""
CREDENTIALS = "ARCHIVE_CREDENTIALS"
"""Names a block with all keys of the store."""
LARGEST_FILE = 64 * 1024
"""Bytes: more than any secret has, and less than what somebody names by mistake."""
SECRET, AWS_CREDENTIALS = "secret", "aws-credentials"
"""Types of blocks, as Prefect has them in a block's address."""
BLOCK_FIELDS = dict(zip(STORE_KEYS, ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), strict=True))
_REFERENCE = re.compile(r"prefect:([a-z0-9-]{1,100})/([A-Za-z0-9][A-Za-z0-9_-]{0,199})")
_KEY = re.compile(r"[!-~]+")


def is_reference(value: str) -> bool:
    """Tell whether a variable's value names a Prefect block instead of being the value."""
    return value.strip().startswith("prefect:")


def names_a_place(name: str, value: str) -> bool:
    """Tell whether a variable says where a secret is, and holds none."""
    return name.upper() in FILE_VARIABLES or is_reference(value)


class Variables:
    """The variables of the environment, which those of a `.env` file complete; empty ones do not count.

    Args:
        environment: the process's.
        lines: those of the file.
        readable: whether the file can be read; if not, Prefect cannot be asked, which reads it as well.
    """

    def __init__(self, environment: Mapping[str, str], lines: Mapping[str, str], *, readable: bool = True) -> None:
        self.readable = readable
        self._lines = {name.lower(): value for name, value in lines.items() if value}
        self._values = self._lines | {name.lower(): value for name, value in environment.items() if value}

    def __getitem__(self, name: str) -> str:
        return self._values.get(name.lower(), "")

    def only(self, names: Collection[str]) -> Variables:
        """Return some of the variables alone."""
        return Variables({name: self[name] for name in names}, {})

    def origin(self, name: str) -> str:
        """Return where a variable was set, in words."""
        value = self[name]
        return ("the file .env" if self._lines.get(name.lower()) == value else "the environment") if value else ""


@dataclass
class Secrets:
    """What was read: values by the name of their variable, where each comes from, and what is wrong."""

    values: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoreKeys:
    """Keys of the store that boto3 would not find by itself."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(repr=False)
    origin: str
    _variables: Variables = field(repr=False, compare=False)

    def renew(self) -> StoreKeys | None:
        """Read the keys again where they came from; None while they cannot be read."""
        try:
            secrets = find_secrets((*STORE_KEYS, CREDENTIALS), self._variables)
        except ArchiverError:  # Prefect's server is away
            return None
        keys = take_store_keys(secrets, self._variables)
        return None if secrets.problems else keys


def find_secrets(names: Collection[str], variables: Variables) -> Secrets:
    """Read what stands in files or blocks, and find out where the other secrets come from.

    Args:
        names: of the variables that are wanted.
        variables: as they are set.

    Raises:
        PrefectUnavailable: Prefect's server is needed, and does not answer.
        PrefectRefused: it does not take our credentials.
    """
    secrets, files = Secrets(), {name: variable for variable, name in FILE_VARIABLES.items()}
    for name in names:
        value, variable = variables[name], files.get(name, "")
        path = variables[variable] if variable else ""
        if value and path:
            secrets.problems[name] = f"{name}: is set, and so is {variable}; keep one of them"
        elif path:
            _take_file(secrets, name, variable, path)
        elif _stands_in_a_block(name, value):
            _take_block(secrets, name, variables)
        elif name in files and value:
            secrets.origins[name] = variables.origin(name)
    if CREDENTIALS in names and variables[CREDENTIALS]:
        _take_credentials(secrets, variables)
    register_secrets(secrets.values.values())
    return secrets


def _stands_in_a_block(name: str, value: str) -> bool:
    if name == "ALARMS_TO" and not _address(value).startswith(f"{SECRET}/"):
        return False  # it names the notification block that sends the alarms
    return name != CREDENTIALS and is_reference(value)


def _take_file(secrets: Secrets, name: str, variable: str, path: str) -> None:
    text, problem = _read_file(Path(path))
    if problem:
        secrets.problems[name] = f"{variable}: {_shown(Path(path))} {problem}"
    else:
        secrets.values[name], secrets.origins[name] = text, f"the file {safe_line(path)}"


def _shown(path: Path) -> str:
    """Return a path that cannot be used, as it may be shown: somebody may have set the secret itself for its path."""
    is_in_folder = os.path.isdir(path.parent)  # noqa: PTH112 - False as well for what is too long for a path
    if path.parent.name and (path.is_absolute() or is_in_folder):
        return safe_line(str(path))
    return "its value, which is to be the path of a file, and is not shown as it may be the secret,"


def _read_file(path: Path) -> tuple[str, str]:
    """Return the text that a file holds, without the end of its line, and what is wrong."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            return "", "is no file"
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            return "", f"has more than {LARGEST_FILE // 1024} KiB: it cannot be the secret alone"
        text = content.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        return "", "is no text in UTF-8"
    except (OSError, ValueError) as error:  # also a null byte in the path
        return "", f"cannot be read ({type(error).__name__})"
    return text, "" if text.strip() else "is empty"


def _take_block(secrets: Secrets, name: str, variables: Variables) -> None:
    value = variables[name]
    data, problem = _read_block(value, SECRET, variables)
    text = data.get("value")
    if not problem and not (isinstance(text, str) and text.strip()):
        problem = f"the block {_address(value)} holds no text"
    if problem:
        secrets.problems[name] = f"{name}: {problem}"
    else:
        secrets.values[name], secrets.origins[name] = str(text), f"the Prefect block {_address(value)}"


def _take_credentials(secrets: Secrets, variables: Variables) -> None:
    value = variables[CREDENTIALS]
    others = [name for name in (*STORE_KEYS, *FILE_VARIABLES) if variables[name] and name.startswith("AWS_")]
    data, problem = (
        _read_block(value, AWS_CREDENTIALS, variables)
        if not others
        else ({}, f"is set, and so is {others[0]}; keep one of them")
    )
    keys = {name: str(data.get(field) or "") for name, field in BLOCK_FIELDS.items()}
    if not problem and not all(list(keys.values())[:2]):
        problem = f"the block {_address(value)} holds no access key with its secret"
    if problem:
        secrets.problems[CREDENTIALS] = f"{CREDENTIALS}: {problem}"
        return
    secrets.values |= {name: key for name, key in keys.items() if key}
    secrets.origins |= {name: f"the Prefect block {_address(value)}" for name, key in keys.items() if key}


def _address(value: str) -> str:
    return value.strip().removeprefix("prefect:")


def _read_block(value: str, kind: str, variables: Variables) -> tuple[Mapping[str, Any], str]:
    """Return what a block holds, and what is wrong."""
    matched = _REFERENCE.fullmatch(value.strip())
    if not matched or matched[1] != kind:
        return {}, f"must be prefect:{kind}/NAME, with the name of a Prefect block of that type"
    if not variables.readable:
        return {}, "names a Prefect block, and Prefect reads the same .env file"
    try:
        server = _server()
    except (OSError, ValueError) as error:  # another file of Prefect's settings
        return {}, f"names a Prefect block, and Prefect's settings cannot be read ({type(error).__name__})"
    if server is None:
        return {}, (
            f"names the Prefect block {_address(value)}, which a Prefect server keeps, and none is configured: set "
            "PREFECT_API_URL, or give the value itself or a file that holds it"
        )
    data: Mapping[str, Any] | None = server.read_block(kind, matched[2])
    if data is None:
        return (
            {},
            f"there is no Prefect block {_address(value)} on {server.server_host()}: make it, or correct the name",
        )
    return data, ""


def _server() -> Any:
    """Return the module that asks Prefect's server; None if no server is configured. Prefect is imported for that."""
    if not prefect_settings.may_name_a_server():
        return None
    server = import_module("tasks.orchestration.server")
    return server if server.is_configured() else None


def take_store_keys(secrets: Secrets, variables: Variables) -> StoreKeys | None:
    """Take the store's keys out of what was read; None if boto3 finds them by itself."""
    elsewhere = [name for name in STORE_KEYS if name in secrets.values]
    if not elsewhere:
        return None
    keys = [secrets.values.pop(name, variables[name]).strip() for name in STORE_KEYS]
    for name, key in zip(STORE_KEYS, keys, strict=True):
        if name in secrets.problems:
            continue
        if not key and name != STORE_KEYS[2]:
            secrets.problems[name] = (
                f"{name}: is missing, although {elsewhere[0]} comes from {secrets.origins[elsewhere[0]]}"
            )
        elif key and not _KEY.fullmatch(key):
            origin = f" (from {secrets.origins[name]})" if name in elsewhere else ""
            secrets.problems[name] = f"{name}: must be printable ASCII without blanks and line ends{origin}"
    places = variables.only((*STORE_KEYS, *(f"{name}_FILE" for name in STORE_KEYS), CREDENTIALS))
    return StoreKeys(keys[0], keys[1], keys[2], secrets.origins[elsewhere[-1]], places)
