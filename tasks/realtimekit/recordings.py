"""An app's recordings: one by its id, the list over its pages, and waiting until one is UPLOADED.

Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/recordings/
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from tasks.errors import (
    ApiNonsense,
    ApiUnavailable,
    NotUploadedInTime,
    RecordingErrored,
    TransferStopped,
)
from tasks.realtimekit.app_api import AppApi, total_of
from tasks.realtimekit.models import Recording, RecordingStatus
from tasks.realtimekit.parsing import parse_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from tasks.realtimekit.api_client import Params
    from tasks.text import Log

T = TypeVar("T")

LONGEST_POLL_S = 60.0
_SORTED: Params = {"sort_by": "invokedTime", "sort_order": "DESC"}


class RealtimeKit(AppApi):
    """The recordings of one app."""

    @property
    def _url(self) -> str:
        return f"{self._app_url}/recordings"

    def recording(self, recording_id: str) -> Recording:
        """Fetch the details of one recording, with freshly presigned URLs.

        Raises:
            RecordingNotFound, ApiRefused, ApiNonsense: final.
            ApiUnavailable: the API stayed away for all of the patience.
        """
        data = self._api.get(f"{self._url}/{quote(recording_id, safe='')}", {})["data"]
        recording = parse_recording(data) if isinstance(data, dict) else None
        if recording is None or recording.id != recording_id.lower():
            raise ApiNonsense("details of another recording than the one asked for, or of none")
        return recording

    def newest(self, filters: Params, count: int) -> list[Recording]:
        """Return the newest recordings, as many as one page holds at the most, newest first.

        Args:
            filters: as for `recordings`.
            count: how many are wanted, up to 100.

        Raises:
            ApiRefused, ApiNonsense, ApiUnavailable: as for one recording.
        """
        return _page(self._api.get(self._url, {**filters, **_SORTED, "per_page": count, "page_no": 1})["data"])

    def recordings(
        self,
        filters: Params,
        summary: Callable[[Recording], T],
        *,
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> Iterator[T]:
        """List recordings, oldest first, each once; of each only what the caller makes of it: thousands are kept.

        The pages are read from the newest on, all of them before the first recording is handed out: what arrives
        meanwhile pushes others to a later page, what expires leaves from the end, and nothing is passed over. With
        `before`, the pages are read from the oldest on: what leaves meanwhile may hide others until the next list.

        Args:
            filters: `status` (one or several), `expired`, `meeting_id`, `search`, `start_time`, `end_time`.
            summary: called once for each recording.
            since: older recordings are left out, and no further page is asked for once a page ends with one.
            before: no further page is asked for once a page ends with a recording that is not older than that.

        Raises:
            ApiRefused, ApiNonsense, ApiUnavailable: as for one recording.
        """
        summaries: dict[str, T] = {}
        seen: set[str] = set()
        received = total = 0
        for envelope in self._pages(self._url, {**_SORTED, **filters, "sort_order": "ASC" if before else "DESC"}):
            page = _page(envelope["data"])
            new = {recording.id: recording for recording in page if recording.id not in seen}
            seen |= new.keys()
            summaries |= {
                name: summary(recording)
                for name, recording in new.items()
                if not (since and _is_older(recording, since))
            }
            received += len(envelope["data"])
            known, total = total, total_of(envelope.get("paging"))
            # A page that repeats is the end, unless a whole page of new recordings has arrived since the last.
            repeats = not new and not (envelope["data"] and total > known)
            if repeats or 0 <= total <= received or _leaves(page, since, before):
                break
        yield from summaries.values() if before else reversed(summaries.values())

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
        while recording.status != RecordingStatus.UPLOADED:
            if recording.status == RecordingStatus.ERRORED:
                raise RecordingErrored(recording.id)
            waited = time.monotonic() - started
            if waited >= timeout_s:
                raise NotUploadedInTime(recording.id, recording.status, waited, recording.day)
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


def _page(data: object) -> list[Recording]:
    """Return the recordings of a page; one entry that is none is no reason to give up the others."""
    entries = data if isinstance(data, list) else None
    recordings = [parse_recording(entry) for entry in entries or () if isinstance(entry, dict)]
    identified = [recording for recording in recordings if recording.id]
    if entries is None or (entries and not identified):
        raise ApiNonsense("a list of recordings that is none")
    return identified


def _is_older(recording: Recording, than: datetime) -> bool:
    return recording.day is not None and recording.day < than


def _leaves(page: Sequence[Recording], since: datetime | None, before: datetime | None) -> bool:
    """Tell whether a page in the order that was asked for ends out of a span of time: then all that follow are, too."""
    days = [recording.day for recording in page if recording.day]
    if not days or days != sorted(days, reverse=before is None):
        return False
    return bool((since and days[-1] < since) or (before and days[-1] >= before))
