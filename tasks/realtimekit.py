"""Knows Cloudflare's API: authentication, envelope, error codes, paging, rate limits, and waiting for a status.

Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/recordings/
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

from tasks.backoff import Patience, retry_after_seconds
from tasks.details import Recording, parse_recording
from tasks.errors import (
    ApiNonsense,
    ApiRefused,
    ApiUnavailable,
    NothingToDownload,
    NotUploadedInTime,
    RecordingErrored,
    RecordingNotFound,
    TransferStopped,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator, Mapping, Sequence

Log: TypeAlias = "logging.Logger | logging.LoggerAdapter[Any]"
Params: TypeAlias = "Mapping[str, str | int | bool | Sequence[str]]"

API_PATIENCE_S = 45.0
"""How long one call keeps trying; task retries and the next run are there for longer troubles."""
LONGEST_POLL_S = 60.0
PAGE_SIZE = 100

_AUTH_HINT = "Check CLOUDFLARE_API_TOKEN: it needs the permission Realtime, for the account in CLOUDFLARE_ACCOUNT_ID."
_NOT_FOUND_HINT = "Check the id, CLOUDFLARE_ACCOUNT_ID and REALTIMEKIT_APP_ID: the recording belongs to one app."


class RealtimeKit:
    """The recordings of one app.

    Args:
        http: client for the API; the token goes into each request's header and nowhere else.
        base_url: of the API, without a slash at its end.
        stop: set to end all waiting at once.
        patience_s: seconds that one call goes on trying while the API is unavailable.
    """

    def __init__(
        self,
        http: httpx.Client,
        base_url: str,
        account_id: str,
        app_id: str,
        token: str,
        *,
        stop: Event | None = None,
        patience_s: float = API_PATIENCE_S,
    ) -> None:
        self._http = http
        self._url = f"{base_url}/accounts/{account_id}/realtime/kit/{app_id}/recordings"
        self._token = token
        self._stop = stop or Event()
        self._patience_s = patience_s

    def recording(self, recording_id: str) -> Recording:
        """Fetch the details of one recording, with freshly presigned URLs.

        Raises:
            RecordingNotFound, ApiRefused, ApiNonsense: final.
            ApiUnavailable: the API stayed away for all of the patience.
        """
        data = self._get(f"{self._url}/{recording_id}", {})["data"]
        if not isinstance(data, dict) or str(data.get("id", "")).lower() != recording_id:
            raise ApiNonsense("details of another recording than the one asked for, or of none")
        return parse_recording(data)

    def recordings(self, filters: Params) -> Iterator[Recording]:
        """List recordings, oldest first, each once however the pages shift while new ones arrive.

        Args:
            filters: `status` (one or several), `expired`, `meeting_id`, `search`, `start_time`, `end_time`.

        Raises:
            ApiRefused, ApiNonsense, ApiUnavailable: as for one recording.
        """
        seen: set[str] = set()
        page_no = 1
        while True:
            paged = {
                **filters,
                "page_no": page_no,
                "per_page": PAGE_SIZE,
                "sort_by": "invokedTime",
                "sort_order": "ASC",
            }
            envelope = self._get(self._url, paged)
            page = envelope["data"]
            if not isinstance(page, list):
                raise ApiNonsense("a list of recordings that is not a list")
            found = [parse_recording(item) for item in page if isinstance(item, dict)]
            yield from (recording for recording in found if recording.id not in seen)
            new = {recording.id for recording in found} - seen
            seen |= new
            if not new or _is_last(envelope.get("paging"), len(seen)):
                return
            page_no += 1

    def wait_until_uploaded(self, recording: Recording, *, timeout_s: float, interval_s: float, log: Log) -> Recording:
        """Poll with growing pauses until the recording is UPLOADED, and return it as it is then.

        PAUSED and statuses that are not known go on waiting; an API that is away for a while does too.

        Args:
            recording: as last seen.
            timeout_s: seconds to wait at the most; 0 looks once.
            interval_s: seconds before the first look; grows by half each time, up to a minute.
            log: told what it waits for, and when it looks again.

        Raises:
            RecordingErrored: no file will ever come.
            NotUploadedInTime: the last status is in it.
        """
        started = time.monotonic()
        while recording.status != "UPLOADED":
            if recording.status == "ERRORED":
                raise RecordingErrored(recording.id)
            waited = time.monotonic() - started
            if waited >= timeout_s:
                raise NotUploadedInTime(recording.id, recording.status, waited)
            pause = min(interval_s, LONGEST_POLL_S, timeout_s - waited)
            log.info(
                "Recording %s is %s; waiting for UPLOADED. Next look in %.0f s, for %.0f s more at the most.",
                recording.id, recording.status, pause, timeout_s - waited,
            )  # fmt: skip
            if self._stop.wait(pause):
                raise TransferStopped
            recording = self._looked_again(recording, log)
            interval_s *= 1.5
        return recording

    def _looked_again(self, recording: Recording, log: Log) -> Recording:
        try:
            return self.recording(recording.id)
        except ApiUnavailable as away:
            log.warning("%s Going on waiting.", away)
            return recording

    def _get(self, url: str, params: Params) -> dict[str, Any]:
        patience = Patience(self._patience_s, self._stop)
        attempt = 0
        while True:
            patience.check()
            attempt += 1
            try:
                return self._get_once(url, params)
            except ApiUnavailable as away:
                patience.pause(away, attempt)

    def _get_once(self, url: str, params: Params) -> dict[str, Any]:
        dropped = ""
        try:
            response = self._http.get(url, params=dict(params), headers={"Authorization": f"Bearer {self._token}"})
        except httpx.RequestError as error:
            dropped = f"{type(error).__name__}: {error}"
        if dropped:  # raised outside of the handler: httpx's error holds the request, and with it the token
            raise ApiUnavailable(dropped)
        return self._opened(response)

    def _opened(self, response: httpx.Response) -> dict[str, Any]:
        """Return the envelope of a successful answer; everything else becomes one of our errors."""
        envelope = _json_object(response)
        code, message = _first_error(envelope)
        status = response.status_code
        message = (message or response.reason_phrase or "no message").replace(self._token, "***").rstrip(". ")
        if status in (408, 429) or status >= 500:
            after = retry_after_seconds(response.headers.get("Retry-After"))
            raise ApiUnavailable(f"HTTP {status}, {message}", after)
        if status in (401, 403):
            raise ApiRefused(status, code, message, _AUTH_HINT)
        if status == 404 and envelope is not None:
            raise RecordingNotFound(status, code, message, _NOT_FOUND_HINT)
        if envelope is None or not (response.is_success or response.is_client_error):
            kind = response.headers.get("Content-Type", "no content type")
            raise ApiNonsense(
                f"HTTP {status} with {kind}, {len(response.content)} bytes, where a JSON object should be"
            )
        if response.is_client_error or envelope.get("success") is not True:
            raise ApiRefused(status, code, message)
        if envelope.get("data") is None:
            raise ApiNonsense(f"HTTP {status} says success, and holds no data")
        return envelope


def require_media(recording: Recording) -> None:
    """Check that an UPLOADED recording can be downloaded at all.

    Raises:
        NothingToDownload: no URL is handed out; says whether the file's seven days are over or RealtimeKit's
            bucket was turned off, which looks the same otherwise.
    """
    if recording.media:
        return
    if recording.has_left_the_bucket(datetime.now(UTC)):
        raise NothingToDownload(recording.id, "it has left RealtimeKit's bucket, which keeps files for 7 days.")
    where = f" ({recording.storage_type})" if recording.storage_type else ""
    raise NothingToDownload(
        recording.id,
        "RealtimeKit's bucket was turned off for this app (realtimekit_bucket_config.enabled = false), so that the "
        f"file went straight to your own storage{where} and has no download URL. Look for it there.",
    )


def _json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        parsed = response.json()
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _first_error(envelope: Mapping[str, Any] | None) -> tuple[int | None, str]:
    errors = (envelope or {}).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        return None, str((envelope or {}).get("message") or "")[:300]
    code = first.get("code")
    return (code if isinstance(code, int) else None), str(first.get("message") or "")[:300]


def _is_last(paging: object, seen: int) -> bool:
    total = paging.get("total_count") if isinstance(paging, dict) else None
    return isinstance(total, int) and seen >= total
