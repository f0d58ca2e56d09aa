"""Errors of RealtimeKit: its API, its recordings, its webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.errors.base import FinalError, RetryableError

if TYPE_CHECKING:
    from datetime import datetime


class RecordingIdInvalid(FinalError):
    """The recording's id is not a UUID."""

    def __init__(self, recording_id: str) -> None:
        super().__init__(recording_id)
        self.recording_id = recording_id

    def _message(self) -> str:
        return (
            f"{self.recording_id[:80]!r} is not a recording's id. It is a UUID, such as "
            "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e; the dashboard and the API's list of recordings show it."
        )


class SessionIdInvalid(FinalError):
    """The session's id is not a UUID."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    def _message(self) -> str:
        return (
            f"{self.session_id[:80]!r} is not a session's id. It is a UUID; a recording's details name the session "
            "as session_id, and so do RealtimeKit's dashboard and webhooks."
        )


class SessionLive(FinalError):
    """The session has not ended: transcript, chat and summary come afterwards."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id)
        self.session_id = session_id

    def _message(self) -> str:
        return f"Session {self.session_id} is still LIVE. Run again after its end; nothing of it is lost until then."


class ApiRefused(FinalError):
    """The API understood the request and will not serve it."""

    def __init__(self, status: int, code: int | None, message: str, hint: str = "") -> None:
        super().__init__(status, code, message, hint)
        self.status, self.code, self.message, self.hint = status, code, message, hint

    def _message(self) -> str:
        code = "" if self.code is None else f", code {self.code}"
        hint = f" {self.hint}" if self.hint else ""
        return f"Cloudflare's API refused the request (HTTP {self.status}{code}): {self.message}.{hint}"


class RecordingNotFound(ApiRefused):
    """The API knows no such recording in this account and app."""


class SessionNotFound(ApiRefused):
    """The API knows no such session in this account and app."""


class WebhookNotFound(ApiRefused):
    """The API knows no such webhook in this account and app."""


class WebhookNotTaken(FinalError):
    """The API took a webhook's registration, and does not have it as it was sent."""

    def __init__(self, url: str, missing: str) -> None:
        super().__init__(url, missing)
        self.url, self.missing = url, missing

    def _message(self) -> str:
        return (
            f"The API says success, but the webhook {self.url} is not as it has to be: {self.missing}. Run again; if "
            "it stays so, look at the webhook in RealtimeKit's dashboard."
        )


class ApiNonsense(FinalError):
    """Something answered that is not Cloudflare's API, or not as documented."""

    def __init__(self, finding: str) -> None:
        super().__init__(finding)
        self.finding = finding

    def _message(self) -> str:
        return (
            f"The answer is not what Cloudflare's API documents: {self.finding}. "
            "Check CLOUDFLARE_BASE_URL, and whether a proxy stands in between."
        )


class AnswerWithoutData(ApiNonsense):
    """An answer that says success, and whose data is null."""


class AnswerTooLarge(ApiNonsense):
    """An answer is larger than what is read of one; of a list, fewer entries a page may help."""


class RecordingErrored(FinalError):
    """RealtimeKit itself failed to record."""

    def __init__(self, recording_id: str) -> None:
        super().__init__(recording_id)
        self.recording_id = recording_id

    def _message(self) -> str:
        return (
            f"Recording {self.recording_id} is ERRORED: RealtimeKit failed, and no file will ever come. "
            "Recordings under five seconds often end so."
        )


class NotUploadedInTime(FinalError):
    """The caller's deadline for waiting has passed; a later run may well find the recording UPLOADED."""

    def __init__(self, recording_id: str, status: str, waited_s: float, begun: datetime | None = None) -> None:
        super().__init__(recording_id, status, waited_s, begun)
        self.recording_id, self.status, self.waited_s = recording_id, status, waited_s
        self.begun = begun  # when the recording was begun, if the API says so

    def _message(self) -> str:
        return (
            f"Recording {self.recording_id} is still {self.status} after {self.waited_s:.0f} s of waiting for "
            "UPLOADED. Start the run again later, or with a longer wait."
        )


class NothingToDownload(FinalError):
    """The recording is UPLOADED but the API hands out no URL for it, or not for all of its files."""

    def __init__(self, recording_id: str, reason: str) -> None:
        super().__init__(recording_id, reason)
        self.recording_id, self.reason = recording_id, reason

    def _message(self) -> str:
        return f"Recording {self.recording_id} is UPLOADED, but cannot be downloaded: {self.reason}"


class ApiUnavailable(RetryableError):
    """The API is away or overloaded."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason, retry_after)
        self.reason, self.retry_after = reason, retry_after

    def _message(self) -> str:
        return f"Cloudflare's API cannot be reached: {self.reason}. Check the network and CLOUDFLARE_BASE_URL."


class ApiThrottled(ApiUnavailable):
    """The API limits our rate, that of all who use the same token."""

    def _message(self) -> str:
        when = "later" if self.retry_after is None else f"in {self.retry_after:.0f} s"
        return (
            f"Cloudflare's API limits the rate of requests: {self.reason}. Run again {when}, or let less run at once."
        )


class WebhookMalformed(FinalError):
    """A webhook that RealtimeKit signed, and that does not say what the documentation promises."""

    def __init__(self, finding: str) -> None:
        super().__init__(finding)
        self.finding = finding

    def _message(self) -> str:
        return (
            f"RealtimeKit's webhook is not as documented: {self.finding}. It started nothing; a sweep does not need it."
        )


class KeyUnavailable(RetryableError):
    """The public key that webhooks are verified with cannot be fetched, or is none."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def _message(self) -> str:
        return (
            f"The public key of RealtimeKit's webhooks cannot be had from {self.url}: {self.reason}. "
            "Check the network and REALTIMEKIT_WEBHOOK_KEY_URL."
        )
