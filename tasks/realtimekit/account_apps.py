"""The RealtimeKit apps of an account, over all pages.

Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/apps/methods/get/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.errors import ApiNonsense, ApiRefused
from tasks.realtimekit.app_api import API_BLOCK_S, API_PATIENCE_S, AppApi, total_of

if TYPE_CHECKING:
    from threading import Event

    import httpx

MOST_APPS = 10_000
"""Apps of an account that are read: far more than anybody has."""


@dataclass(frozen=True)
class App:
    """One app of the account."""

    id: str
    name: str


class AccountApps(AppApi):
    """The list of an account's apps."""

    not_found = ApiRefused

    def __init__(
        self,
        http: httpx.Client,
        base_url: str,
        account_id: str,
        token: str,
        *,
        stop: Event | None = None,
        patience_s: float = API_PATIENCE_S,
        block_s: float = API_BLOCK_S,
    ) -> None:
        # The list is at the place where an app's id would be.
        super().__init__(
            http, base_url, account_id, "apps", token, stop=stop, patience_s=patience_s, block_s=block_s
        )  # fmt: skip

    def all(self) -> list[App]:
        """List all apps, each once.

        A page may be shorter than asked for because the API caps its size. So a list without a total ends only with a
        page that is empty or brings nothing new.

        Raises:
            ApiRefused, ApiNonsense: final.
            ApiUnavailable: the API stayed away for all of the patience; half a list would be none.
        """
        apps: dict[str, App] = {}
        received = 0
        for envelope in self._pages(self._app_url, {}):
            listed = envelope["data"]
            if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
                raise ApiNonsense("a list of apps that is none")
            new = {app.id: app for app in (App(str(entry.get("id")), str(entry.get("name") or "")) for entry in listed)}
            is_new = bool(new.keys() - apps.keys())
            apps |= new
            received += len(listed)
            if not is_new or 0 <= total_of(envelope.get("paging")) <= received:
                break
            if len(apps) > MOST_APPS:
                raise ApiNonsense(f"a list of more than {MOST_APPS:,} apps")
        return list(apps.values())
