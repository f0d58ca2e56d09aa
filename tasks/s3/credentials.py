"""Credentials of the store, which are reloaded from their source after a store has called them expired.

boto3 reads a credentials file once, and asks a program or a role again only at the expiry that came with the old
credentials. A store may revoke them sooner, and a program that renews a file may be late by seconds.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, CredentialRetrievalError

from tasks.errors import EXPIRED_CREDENTIALS, StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.credentials import ReadOnlyCredentials

    from tasks.secret_sources import StoreKeys

MIN_RELOAD_INTERVAL_S = 1.0
"""Seconds between two reloads: all parts in flight fail together, and each reload may start a program."""
RENEWABLE = "CredentialsRenewable"
"""Key in a refusal's metadata: other credentials may come from the same source."""
_FOR_GOOD = frozenset({"env", "explicit"})
"""Sources, as boto3 names them, whose credentials do not change during a process."""
_NAMES = {
    "access_key": "AWS_ACCESS_KEY_ID",
    "secret_key": "AWS_SECRET_ACCESS_KEY",
    "token": "AWS_SESSION_TOKEN",
}


class RenewedCredentials:
    """Credentials that boto3 found, replaced by new ones after a store has called them expired.

    Args:
        found: by boto3.
        find: reads the credentials from their source again.
    """

    def __init__(self, credentials: Credentials, find: Callable[[], Credentials | None]) -> None:
        self._found = credentials
        self._find = find
        self._lock = Lock()
        self._doubted = False
        self._read_at = float("-inf")

    @property
    def renewable(self) -> bool:
        """Whether other credentials may come from the same source."""
        return self._found.method not in _FOR_GOOD

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the credentials that sign a request; boto3 calls this for each request."""
        if self._doubted:
            self._renew()
        try:
            return self._found.get_frozen_credentials()
        except RuntimeError:  # boto3 raises this if the new credentials are expired already
            reason = "the new ones are expired already"
        raise CredentialRetrievalError(provider=self._found.method, error_msg=reason)

    def note(self, parsed: dict[str, Any], **_: object) -> None:
        """Look at an answer of the store: credentials that it calls expired are reloaded before the next request."""
        if parsed.get("Error", {}).get("Code") in EXPIRED_CREDENTIALS and self.renewable:
            self._doubted = True
            parsed.setdefault("ResponseMetadata", {})[RENEWABLE] = True

    def _renew(self) -> None:
        with self._lock:
            if not self._doubted or time.monotonic() - self._read_at < MIN_RELOAD_INTERVAL_S:
                return
            self._read_at = time.monotonic()
            try:
                renewed = self._find()
            except (
                BotoCoreError
            ):  # a half-written file, or no answer for a moment: the store refuses the old credentials again
                return
            if renewed is not None:
                self._found, self._doubted = renewed, False


class Provider:
    """A credential provider for a session that wraps boto3's own.

    Args:
        boto3s: the session's own provider.
        profile: that the session is of; None for the environment's.
        keys: from files or Prefect blocks, which count more than what boto3 finds; but for a profile.
    """

    def __init__(self, boto3s: Any, profile: str | None = None, keys: StoreKeys | None = None) -> None:
        self._boto3s = boto3s
        self._profile = profile
        self._keys = None if profile else keys

    def load_credentials(self) -> RenewedCredentials | None:
        """Return the credentials, or None if there are none.

        Raises:
            StoreRefused: they hold characters that no request can be sent with.
        """
        if self._keys is not None:
            return RenewedCredentials(_of_keys(self._keys), self._renew_keys)
        credentials = self._boto3s.load_credentials()
        if credentials is None:
            return None
        require_usable(credentials)
        find = lambda: botocore.session.Session(profile=self._profile).get_credentials()  # noqa: E731 - it is one call
        return RenewedCredentials(credentials, find)

    def _renew_keys(self) -> Credentials | None:
        renewed = self._keys.renew() if self._keys else None
        return _of_keys(renewed) if renewed else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._boto3s, name)


def _of_keys(keys: StoreKeys) -> Credentials:
    return Credentials(keys.access_key, keys.secret_key, keys.token or None, method=keys.origin)


def require_usable(credentials: Credentials) -> None:
    """Check that credentials hold no blanks, line breaks or other control characters.

    Raises:
        StoreRefused: they do; the error names the variables, and never a value.
    """
    if type(credentials) is not Credentials:
        return  # credentials of a program or a role: to look at them would fetch them
    names = [name for each, name in _NAMES.items() if not _is_usable(getattr(credentials, each) or "")]
    if names:
        text = f"{' and '.join(names)} cannot be used as they are" if len(names) > 1 else f"{names[0]} cannot be used"
        where = "" if credentials.method == "env" else f", as found in {credentials.method}"
        raise StoreRefused(
            "the configuration", "the AWS_* settings", "UnusableCredentials",
            f"{text}{where}: a blank, a line break or another character that no credentials have is in there",
        )  # fmt: skip


def _is_usable(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
