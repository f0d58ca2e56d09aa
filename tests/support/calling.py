"""What the tests of the API's client share: how they call it, and how they look at its errors."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from threading import Event
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tasks.errors import ArchiverError
from tasks.realtimekit.app_api import API_PATIENCE_S
from tasks.realtimekit.recordings import RealtimeKit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.realtimekit.models import Recording
    from tests.standins.realtimekit import RealtimeKitStandIn

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
TOKEN = "leak-canary-token"


class NoWaits(Event):
    """An Event that notes how long it is waited for, and returns at once."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Note the wait."""
        self.waits.append(timeout or 0.0)
        return self.is_set()


@contextmanager
def client(
    kit: RealtimeKitStandIn,
    stop: Event | None = None,
    *,
    app_id: str = "",
    token: str = "",
    timeout_s: float = 5,
    patience_s: float = API_PATIENCE_S,
) -> Iterator[RealtimeKit]:
    """Give a client of the stand-in, which never really waits between attempts."""
    # Redirects are allowed here to prove that the client itself follows none.
    with httpx.Client(trust_env=False, timeout=timeout_s, follow_redirects=True) as http:
        ids = (kit.account_id, app_id or kit.app_id)
        yield RealtimeKit(http, kit.base_url, *ids, token or kit.token, stop=stop or NoWaits(), patience_s=patience_s)


def failure(api: RealtimeKit, recording_id: str = ID) -> ArchiverError:
    """Return the error of a fetch, after a look that nothing of it shows the token."""
    with pytest.raises(ArchiverError) as raised:
        api.recording(recording_id)
    chain: list[BaseException] = [raised.value]
    for error in chain:
        assert TOKEN not in f"{error!r} {error} {error.args} {error.__dict__}"
        chain += [other for other in (error.__cause__, error.__context__) if other is not None]
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    return raised.value


def everything(api: RealtimeKit, filters: Mapping[str, Any]) -> Iterator[Recording]:
    """List recordings, and keep all that is known of them."""
    return api.recordings(filters, lambda recording: recording)
