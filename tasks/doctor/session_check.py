"""The check of sessions: whether the token may read them, as sweeps do for transcripts, chats and summaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.doctor.runner import ok, warning
from tasks.errors import ApiRefused, ArchiverError

if TYPE_CHECKING:
    from tasks.doctor.runner import CheckResult
    from tasks.realtimekit import MeetingSessions

_TOKENS = "https://dash.cloudflare.com/profile/api-tokens"


def check_sessions(sessions: MeetingSessions) -> CheckResult:
    """Look whether the app's sessions may be read; recordings arrive in any case, so that it is no failure."""
    try:
        newest = sessions.newest()
    except ArchiverError as error:
        why = f"HTTP {error.status}, {error.message}" if isinstance(error, ApiRefused) else type(error).__name__
        return warning(
            f"may not be read ({why}): recordings arrive, but no transcript, chat or summary",
            f"Give the token the permission Realtime: {_TOKENS}. Or sweep without sessions: --sessions none.",
        )
    return ok("may be read" if newest else "may be read; there is none")
