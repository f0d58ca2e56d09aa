"""Holds the store's credentials, and reads them anew where they came from once a store calls the old ones expired.

boto3 reads a file of credentials once, and asks a program or a role again only when the time comes that was told with
the old ones. A store may take them back sooner, and a program that keeps a file fresh may be late by seconds.
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

MIN_RELOAD_INTERVAL_S = 1.0
"""No more often: all parts under way fail together, and a program is started each time."""
RENEWABLE = "CredentialsRenewable"
"""Where a refusal's metadata tell that other credentials may come from the same place."""
_FOR_GOOD = frozenset({"env", "explicit"})
"""Places, as boto3 names them, whose credentials stay the same while a process lasts."""
_NAMES = {
    "access_key": "AWS_ACCESS_KEY_ID",
    "secret_key": "AWS_SECRET_ACCESS_KEY",
    "token": "AWS_SESSION_TOKEN",
}


class RenewedCredentials:
    """Credentials as boto3 found them, exchanged for new ones when they are doubted.

    Args:
        found: by boto3.
        find: finds them again.
    """

    def __init__(self, found: Credentials, find: Callable[[], Credentials | None]) -> None:
        self._found = found
        self._find = find
        self._lock = Lock()
        self._doubted = False
        self._read_at = float("-inf")

    @property
    def renewable(self) -> bool:
        """Whether other credentials may come from the same place."""
        return self._found.method not in _FOR_GOOD

    def __getattr__(self, name: str) -> Any:
        return getattr(self._found, name)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the credentials to sign a request with; boto3 asks for them each time."""
        if self._doubted:
            self._renew()
        try:
            return self._found.get_frozen_credentials()
        except RuntimeError:  # boto3's word for new ones that are expired already
            reason = "the new ones are expired already"
        raise CredentialRetrievalError(provider=self._found.method, error_msg=reason)

    def note(self, parsed: dict[str, Any], **_: object) -> None:
        """Take an answer of the store in: what it calls expired is read anew before the next request."""
        if parsed.get("Error", {}).get("Code") in EXPIRED_CREDENTIALS and self.renewable:
            self._doubted = True
            parsed.setdefault("ResponseMetadata", {})[RENEWABLE] = True

    def _renew(self) -> None:
        with self._lock:
            if not self._doubted or time.monotonic() - self._read_at < MIN_RELOAD_INTERVAL_S:
                return
            self._read_at = time.monotonic()
            try:
                found = self._find()
            except BotoCoreError:  # half-written, or away for a moment: the store refuses the old ones again
                return
            if found is not None:
                self._found, self._doubted = found, False


class Provider:
    """Finds credentials in boto3's stead, as boto3 does, for a session.

    Args:
        boto3s: the session's own.
    """

    def __init__(self, boto3s: Any) -> None:
        self._boto3s = boto3s

    def load_credentials(self) -> RenewedCredentials | None:
        """Return the credentials, or None if there are none.

        Raises:
            StoreRefused: no request could be sent with them.
        """
        found = self._boto3s.load_credentials()
        if found is None:
            return None
        require_usable(found)
        return RenewedCredentials(found, lambda: botocore.session.get_session().get_credentials())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._boto3s, name)


def require_usable(found: Credentials) -> None:
    """Check that credentials hold nothing that no credentials hold: blanks, line breaks and other control characters.

    Raises:
        StoreRefused: they do; it names the variables, and never a value.
    """
    if type(found) is not Credentials:
        return  # those of a program or a role: to look at them would fetch them
    named = [name for each, name in _NAMES.items() if not _is_usable(getattr(found, each) or "")]
    if named:
        told = f"{' and '.join(named)} cannot be used as they are" if len(named) > 1 else f"{named[0]} cannot be used"
        where = "" if found.method == "env" else f", as found in {found.method}"
        raise StoreRefused(
            "the configuration", "the AWS_* settings", "UnusableCredentials",
            f"{told}{where}: a blank, a line break or another character that no credentials have is in there",
        )  # fmt: skip


def _is_usable(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
