"""The settings of the library page: the archive, and who may see it from another machine."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import AfterValidator, SecretStr

from tasks.settings import ArchiveSettings

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST_PASSWORD = 12
"""Characters: with the limit of wrong attempts, nobody guesses that many."""

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def _usable_password(password: SecretStr) -> SecretStr:
    text = password.get_secret_value().strip()
    if text and len(text) < SHORTEST_PASSWORD:
        message = f"must have at least {SHORTEST_PASSWORD} characters"
        raise ValueError(message)
    if not text.isprintable():
        message = "must not hold line ends or other control characters"
        raise ValueError(message)
    return SecretStr(text)


def _list(message: str, check: Callable[[str], object]) -> Callable[[str], str]:
    def checked(text: str) -> str:
        try:
            for entry in split_list(text):
                check(entry)
        except ValueError:
            raise ValueError(message) from None
        return text

    return checked


def _a_name(entry: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]", entry):
        raise ValueError


def _header(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", text):
        message = "must be the name of a header, such as X-Forwarded-User"
        raise ValueError(message)
    return text


_NETWORKS = "must be IP addresses or networks, separated by commas, such as 10.0.0.5 or 10.0.0.0/24"
_NAMES = "must be host names without scheme and port, separated by commas, such as library.example.com"


class LibrarySettings(ArchiveSettings):
    """What the library page needs to know: the archive, and who may see the page; nothing of Cloudflare or Prefect."""

    library_password: Annotated[SecretStr, AfterValidator(_usable_password)] = SecretStr("")
    library_trusted_proxy: Annotated[str, AfterValidator(_list(_NETWORKS, ipaddress.ip_network))] = ""
    library_user_header: Annotated[str, AfterValidator(_header)] = "X-Forwarded-User"
    library_hosts: Annotated[str, AfterValidator(_list(_NAMES, _a_name))] = ""

    @property
    def trusted_proxies(self) -> tuple[Network, ...]:
        """The addresses from which the header with the user is believed."""
        return tuple(ipaddress.ip_network(entry) for entry in split_list(self.library_trusted_proxy))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which browsers may call the page, besides those of the machine itself."""
        return tuple(entry.lower() for entry in split_list(self.library_hosts))

    @property
    def asks_who(self) -> bool:
        """Whether anybody has to show who they are."""
        return bool(self.library_password.get_secret_value() or self.library_trusted_proxy)


def split_list(text: str) -> list[str]:
    """Return the entries of a list that is separated by commas."""
    return [entry.strip() for entry in text.split(",") if entry.strip()]
