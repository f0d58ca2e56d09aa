"""Environment variables that libraries read by themselves: which of them are usable, and which are secrets.

httpx and boto3 meet a bad one only in mid-run, and then quote it, or wait for a server that they cannot reach.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from dotenv import dotenv_values

from tasks.secret_sources import FILE_VARIABLES, STORE_KEYS, is_reference

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

PROXIES = ("http_proxy", "https_proxy", "all_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
SECRETS = (
    "CLOUDFLARE_API_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "PREFECT_API_KEY",
    "PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING", "LIBRARY_PASSWORD",
    "ARCHIVE_COPY_SECRET_ACCESS_KEY", "ARCHIVE_COPY_SESSION_TOKEN",
)  # fmt: skip
"""Besides the passwords of the proxies."""
_KEYS = frozenset({*STORE_KEYS, "AWS_SECURITY_TOKEN"})
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
_BAD_PROXY = (
    "must be like http://HOST:PORT, with USER:PASSWORD@ before HOST if the proxy asks for them; all signs in these two "
    "but letters and digits have to be percent-encoded, # as %23"
)
_NO_SOCKS = "is a SOCKS proxy, which is not supported here: use an http:// one, or unset the variable for this command"
_NO_BLOCK = "is read by a library that knows no Prefect blocks; of AWS_* variables, only the keys may name one"


def is_for_libraries(name: str) -> bool:
    """Tell whether boto3 or httpx look for a variable of this name in the environment."""
    if name in FILE_VARIABLES:
        return False
    return name.startswith("AWS_") or name.lower() in {*PROXIES, "no_proxy"} or name in CERTIFICATES


def read_env_file(env_file: str) -> tuple[dict[str, str], list[str]]:
    """Return what a `.env` file holds that is not empty, and what is wrong with the file."""
    try:
        lines = dotenv_values(env_file, encoding="utf-8-sig", interpolate=False)  # a token may hold "${"
    except (OSError, ValueError) as error:  # not readable, not UTF-8
        return {}, [f"{env_file}: cannot be read ({type(error).__name__}); it has to be a text file in UTF-8"]
    return {name: value for name, value in lines.items() if value}, []


def complete(lines: Mapping[str, str], env_file: str | None) -> list[str]:
    """Set what libraries look for and is not set, or empty, in the environment; return what cannot be set.

    Args:
        lines: of the file.
        env_file: its path.
    """
    wanted = {name: value for name, value in lines.items() if is_for_libraries(name) and not is_reference(value)}
    try:
        os.environ.update({name: value for name, value in wanted.items() if not os.environ.get(name)})
    except ValueError:  # a null byte
        return [f"{env_file}: holds what no environment takes"]
    return []


def tidy(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take blanks and line ends off the values, as come with a secret that was written to a file; and see below."""
    for name, value in list(environment.items()):
        if is_for_libraries(name) and value != value.strip():
            environment[name] = value.strip()
    keep_loopback_direct(environment)


def keep_loopback_direct(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let no proxy stand between this machine and itself, where a Prefect server may listen.

    NO_PROXY loses what httpx cannot be made with: it takes no networks of IPv6, and no brackets.
    """
    if not any(environment.get(name) for proxy in (*PROXIES, "no_proxy") for name in (proxy, proxy.upper())):
        return  # NO_PROXY alone would hide the proxies that macOS and Windows have in their own settings
    for name in [name for name in ("no_proxy", "NO_PROXY") if name in environment] or ["NO_PROXY"]:
        entries = [_without_brackets(entry) for entry in environment.get(name, "").split(",")]
        if "*" not in entries:
            usable = [entry for entry in entries if entry and _is_taken_by_httpx(entry)]
            environment[name] = ",".join(dict.fromkeys([*usable, *_LOOPBACK]))


def _without_brackets(entry: str) -> str:
    return re.sub(r"^\[([0-9A-Fa-f:.]+)\](?::\d+)?$", r"\1", entry.strip())


def _is_taken_by_httpx(entry: str) -> bool:
    """Tell whether httpx can be made with a NO_PROXY that holds this."""
    try:
        ipaddress.IPv6Address(entry)
    except ValueError:
        pass
    else:
        return True
    try:
        httpx.URL(entry if "://" in entry else f"all://*{entry}")
        ipaddress.IPv6Address(entry.partition("/")[0])
    except httpx.InvalidURL:
        return False
    except ValueError:
        return True
    return False  # a network


def problems(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return what is wrong with the variables, each with its name and without its value."""
    problems = []
    for name, value in environment.items():
        if not value or not is_for_libraries(name):
            continue
        if is_reference(value):
            problem = "" if name in STORE_KEYS else _NO_BLOCK
        elif name.lower() in PROXIES:
            problem = _of_proxy(value)
        elif name in CERTIFICATES:
            problem = of_certificates(value)
        elif name in _KEYS:
            problem = "" if re.fullmatch(r"[!-~]+", value) else "must be printable ASCII without blanks and line ends"
        else:
            problem = "" if value.isprintable() else "must not hold line ends or other control characters"
        problems += [f"{name}: {problem}"] if problem else []
    return problems


def _of_proxy(value: str) -> str:
    scheme, _, rest = (value if "://" in value else f"http://{value}").partition("://")
    if scheme.lower() not in _SCHEMES or "@" in "".join(re.split(r"([/?#])", rest, maxsplit=1)[1:]):
        return _BAD_PROXY
    try:
        usable = bool(httpx.Proxy(f"{scheme.lower()}://{rest}").url.host)
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        return _BAD_PROXY
    return _NO_SOCKS if scheme.lower().startswith("socks") and not importlib.util.find_spec("socksio") else ""


def of_certificates(value: str) -> str:
    """Return what is wrong with a path that is to lead to trusted certificates; empty if nothing is."""
    path = Path(value)
    if path.is_dir():
        return ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError:
        return "leads to no file with certificates (PEM)"
    return ""


def secrets(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the values that must not be shown."""
    named = [value for name in SECRETS if not is_reference(value := environment.get(name, ""))]
    proxies = [environment.get(name, "") for proxy in PROXIES for name in (proxy, proxy.upper())]
    passwords = [proxy.rpartition("@")[0].rpartition("://")[2].partition(":")[2] for proxy in proxies if "@" in proxy]
    return [secret for secret in (*named, *passwords) if secret]
