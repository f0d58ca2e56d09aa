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
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks import prefect_settings
from tasks.errors import ArchiverError
from tasks.text import register_secrets, safe_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class StoreVariables(NamedTuple):
    """The variables that say with which keys a store is reached."""

    keys: tuple[str, str, str]  # of the access key's id, of its secret, and of the session's token
    credentials: str  # names a block with all of the keys
    known_to_boto3: bool  # which finds the keys by itself, if they stand in the environment


ARCHIVE_STORE = StoreVariables(
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "ARCHIVE_CREDENTIALS", known_to_boto3=True
)
COPY_STORE = StoreVariables(
    ("ARCHIVE_COPY_ACCESS_KEY_ID", "ARCHIVE_COPY_SECRET_ACCESS_KEY", "ARCHIVE_COPY_SESSION_TOKEN"),
    "ARCHIVE_COPY_CREDENTIALS",
    known_to_boto3=False,
)
"""Of the store with the second copy, if the keys of the archive's store are not to be used there."""
STORES = (ARCHIVE_STORE, COPY_STORE)
STORE_KEYS = ARCHIVE_STORE.keys
FILE_VARIABLES = {
    f"{name}_FILE": name
    for name in ("CLOUDFLARE_API_TOKEN", *STORE_KEYS, *COPY_STORE.keys, "LIBRARY_PASSWORD", "ALARMS_TO")
}
"""Variables that name a file, and whose value the file holds. Others, such as AWS_CONFIG_FILE, are boto3's own."""
_CREDENTIALS = frozenset(store.credentials for store in STORES)
LARGEST_FILE = 64 * 1024
"""Bytes: more than any secret has, and less than what somebody names by mistake."""
SECRET, AWS_CREDENTIALS = "secret", "aws-credentials"
"""Types of blocks, as Prefect has them in a block's address."""
BLOCK_FIELDS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
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
    _store: StoreVariables = field(default=ARCHIVE_STORE, repr=False)

    def renew(self) -> StoreKeys | None:
        """Read the keys again where they came from; None while they cannot be read."""
        try:
            secrets = find_secrets((*self._store.keys, self._store.credentials), self._variables)
        except ArchiverError:  # Prefect's server is away
            return None
        keys = take_store_keys(secrets, self._variables, self._store)
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
    for store in STORES:
        if store.credentials in names and variables[store.credentials]:
            _take_credentials(secrets, variables, store)
    register_secrets(secrets.values.values())
    return secrets


def _stands_in_a_block(name: str, value: str) -> bool:
    if name == "ALARMS_TO" and not _address(value).startswith(f"{SECRET}/"):
        return False  # it names the notification block that sends the alarms
    return name not in _CREDENTIALS and is_reference(value)


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


def _take_credentials(secrets: Secrets, variables: Variables, store: StoreVariables) -> None:
    name, value = store.credentials, variables[store.credentials]
    others = [key for key in (*store.keys, *(f"{key}_FILE" for key in store.keys)) if variables[key]]
    data, problem = (
        _read_block(value, AWS_CREDENTIALS, variables)
        if not others
        else ({}, f"is set, and so is {others[0]}; keep one of them")
    )
    keys = {key: str(data.get(field) or "") for key, field in zip(store.keys, BLOCK_FIELDS, strict=True)}
    if not problem and not all(list(keys.values())[:2]):
        problem = f"the block {_address(value)} holds no access key with its secret"
    if problem:
        secrets.problems[name] = f"{name}: {problem}"
        return
    secrets.values |= {key: text for key, text in keys.items() if text}
    secrets.origins |= {key: f"the Prefect block {_address(value)}" for key, text in keys.items() if text}


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


def take_store_keys(secrets: Secrets, variables: Variables, store: StoreVariables = ARCHIVE_STORE) -> StoreKeys | None:
    """Take a store's keys out of what was read; None if boto3 finds them by itself, or if none are set.

    Args:
        secrets: as they were read.
        variables: as they are set.
        store: whose keys.
    """
    ours = [name for name in store.keys if name in secrets.values or (variables[name] and not store.known_to_boto3)]
    if not ours:
        return None
    keys = [secrets.values.pop(name, variables[name]).strip() for name in store.keys]
    for name, key in zip(store.keys, keys, strict=True):
        if name in secrets.problems:
            continue
        if not key and name != store.keys[2]:
            secrets.problems[name] = f"{name}: is missing, although {ours[0]} comes from {_origin(secrets, ours[0])}"
        elif key and not _KEY.fullmatch(key):
            origin = f" (from {_origin(secrets, name)})" if name in ours else ""
            secrets.problems[name] = f"{name}: must be printable ASCII without blanks and line ends{origin}"
    places = variables.only((*store.keys, *(f"{name}_FILE" for name in store.keys), store.credentials))
    return StoreKeys(keys[0], keys[1], keys[2], _origin(secrets, ours[-1]), places, store)


def _origin(secrets: Secrets, name: str) -> str:
    """Return where a key comes from, in words; of one that could not be read, the problem says more."""
    return secrets.origins.get(name, "the settings")
