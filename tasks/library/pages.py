"""The pages: each looks its facts up in the catalog and the store, and becomes HTML, or a file."""

from __future__ import annotations

import re
from http import HTTPStatus
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tasks.archive import captions_key, find_session, poster_key, transcript_text_key
from tasks.errors import StoreRefused, StoreUnavailable
from tasks.library.file_answers import LINK_LIFETIME_S, PageMissing, lead_to_file, send_poster, send_text, send_zip
from tasks.library.meeting_documents import (
    MeetingDocuments,
    SpokenLines,
    read_captions,
    read_meeting,
    read_transcript,
)
from tasks.library.recording_facts import RecordingFacts
from tasks.library.search_form import Page, SearchForm
from tasks.library.session_facts import SessionFacts, facts_of
from tasks.s3 import content_disposition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from starlette.requests import Request

    from tasks.library.catalog_cache import CatalogCache
    from tasks.s3 import Bucket, PresignedDownloads

LONGEST_PLAY_S = 12 * 3600.0
ID = re.compile("[0-9a-f-]{36}")
TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Answers requests that were let in.

    Args:
        catalog: all recordings.
        root: where the archive is within the bucket: its key prefix, with a slash at its end, or empty.
        new_bucket: returns the bucket with a short patience, for a page.
        new_patient_bucket: the same with a long patience, for a download.
        links: makes presigned URLs.
    """

    def __init__(
        self,
        catalog: CatalogCache,
        root: str,
        new_bucket: Callable[[], Bucket],
        new_patient_bucket: Callable[[], Bucket],
        links: PresignedDownloads,
    ) -> None:
        self._catalog = catalog
        self._root = root
        self._new_bucket = new_bucket
        self._new_patient_bucket = new_patient_bucket
        self._links = links
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters["groupby_in_order"] = _group_in_order

    def show_list(self, request: Request) -> Response:
        """Show the recordings that are looked for, newest first."""
        form, snapshot = SearchForm.of(request.query_params), self._catalog.snapshot()
        page = Page.of(snapshot.found(form.query), form.page)
        facts = [facts_of(row) for row in page.rows]
        status = HTTPStatus.BAD_REQUEST if form.problems else HTTPStatus.OK
        return self._html("list.html", status, form=form, page=page, recordings=facts, snapshot=snapshot)

    def show_recording(self, request: Request) -> Response:
        """Show a recording, with what belongs to its meeting."""
        recording, folder = self._recording(request)
        bucket, problem, meeting = self._new_bucket(), "", None
        spoken = SpokenLines()
        try:
            spoken = read_captions(bucket, captions_key(folder)) if folder else spoken
            meeting = self._meeting(bucket, recording.row["session_id"], recording.app_id, recording.session_days)
        except (StoreUnavailable, StoreRefused):
            problem = "The store does not answer just now: transcript, chat and people are not shown."
        begin = request.query_params.get("t", "")
        return self._html(
            "recording.html",
            recording=recording,
            is_here=bool(folder),
            spoken=spoken,
            meeting=meeting,
            problem=problem,
            begin=begin if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", begin, re.ASCII) else "",
        )

    def show_session(self, request: Request) -> Response:
        """Show a meeting's session, with its recordings, if there are any."""
        meeting, rows = self._session(request)
        spoken, problem = SpokenLines(), ""
        try:
            spoken = read_transcript(self._new_bucket(), meeting)
        except (StoreUnavailable, StoreRefused):
            problem = "The store does not answer just now: the transcript is not shown."
        recordings = [RecordingFacts(row) for row in rows]
        return self._html("session.html", meeting=meeting, recordings=recordings, spoken=spoken, problem=problem)

    def lead_to_recording_file(self, request: Request) -> Response:
        """Lead to a file of a recording."""
        recording, folder = self._recording(request)
        lifetime_s = LINK_LIFETIME_S + min(recording.seconds, LONGEST_PLAY_S)
        return lead_to_file(self._links, request, folder, recording.media, lifetime_s)

    def lead_to_session_file(self, request: Request) -> Response:
        """Lead to a file of a meeting's session."""
        meeting, _ = self._session(request)
        return lead_to_file(self._links, request, meeting.folder, meeting.files, LINK_LIFETIME_S)

    def send_recording_bag(self, request: Request) -> Response:
        """Send a recording's bag as one file."""
        recording, folder = self._recording(request)
        return send_zip(self._new_patient_bucket(), request, folder, recording.row["recording_id"])

    def send_session_bag(self, request: Request) -> Response:
        """Send a session's bag as one file."""
        meeting, _ = self._session(request)
        name = f"session-{meeting.session_id}-v{meeting.version:04}"
        return send_zip(self._new_patient_bucket(), request, meeting.folder, name)

    def send_poster(self, request: Request) -> Response:
        """Send a frame of a recording's video, if the catalog knows of one."""
        recording, folder = self._recording(request)
        return send_poster(self._new_bucket(), poster_key(folder) if folder and recording.poster_url else "")

    def send_captions(self, request: Request) -> Response:
        """Send a recording's captions: a player takes them from the page's own address only."""
        return self._send_text(request, captions_key, "text/vtt; charset=utf-8", "inline", "vtt")

    def send_transcript(self, request: Request) -> Response:
        """Send a recording's transcript as plain text."""
        return self._send_text(request, transcript_text_key, "text/plain; charset=utf-8", "attachment", "txt")

    def message(self, status: HTTPStatus, heading: str, text: str, command: str = "") -> Response:
        """Return a page with a message."""
        return self._html("message.html", status, heading=heading, text=text, command=command)

    def _html(self, template: str, status: HTTPStatus = HTTPStatus.OK, **facts: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(**facts), status.value)

    def _recording(self, request: Request) -> tuple[RecordingFacts, str]:
        """Return a recording, and the key prefix of its bag; empty if that lies in another archive.

        Raises:
            PageMissing: the catalog has no such recording.
        """
        row = self._catalog.snapshot().recordings.get(request.path_params["recording_id"].lower())
        if row is None:
            raise PageMissing("There is no such recording in the catalog.")
        recording = RecordingFacts(row)
        return recording, recording.folder(f"s3://{self._new_bucket().bucket}/{self._root}", self._root)

    def _session(self, request: Request) -> tuple[MeetingDocuments, Sequence[Any]]:
        """Return a session that is archived, and the rows of its recordings.

        Raises:
            PageMissing: there is none.
        """
        session_id = request.path_params["session_id"].lower()
        snapshot = self._catalog.snapshot()
        rows = snapshot.sessions.get(session_id, ())
        days: dict[date | None, None] = dict.fromkeys(
            day for row in reversed(rows) for day in RecordingFacts(row).session_days
        )
        app_id = rows[0]["app_id"] if rows else ""
        if not rows and (row := snapshot.unrecorded.get(session_id)):
            days, app_id = dict.fromkeys(SessionFacts(row).session_days), row["app_id"]
        meeting = self._meeting(self._new_bucket(), session_id, app_id, list(days))
        if meeting is None:
            raise PageMissing("Nothing is archived of this session, besides its recordings.")
        return meeting, rows

    def _meeting(
        self, bucket: Bucket, session_id: str | None, app_id: str, days: Sequence[date | None]
    ) -> MeetingDocuments | None:
        if not session_id or not ID.fullmatch(session_id) or not days:
            return None
        newest = find_session(bucket, self._root, app_id, session_id, days)
        return read_meeting(bucket, session_id, newest) if newest else None

    def _send_text(
        self, request: Request, key_of: Callable[[str], str], content_type: str, kind: str, extension: str
    ) -> Response:
        recording, folder = self._recording(request)
        disposition = content_disposition(kind, f"{recording.row['recording_id']}.{extension}")
        key = key_of(folder) if folder else ""
        return send_text(self._new_patient_bucket(), request, key, content_type, disposition)


def _group_in_order(items: Sequence[Any], name: str) -> list[tuple[Any, list[Any]]]:
    """Return items that follow each other and have the same attribute, with that; Jinja's own filter sorts them."""
    return [(value, list(group)) for value, group in groupby(items, attrgetter(name))]
