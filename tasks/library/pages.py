"""The pages: each looks its facts up in the catalog and the store, and becomes HTML, or a redirect to a file.

A file is handed out by a presigned URL, made at the click: its bytes go from the store to the browser, and not through
here, so that a player may ask for any range. Only what the manifest of a bag lists is handed out.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tasks.archive import captions_key, find_session, transcript_text_key
from tasks.errors import ObjectTooLarge, StoreRefused, StoreUnavailable
from tasks.library.bag_download import zip_bag
from tasks.library.meeting_documents import LARGEST_DOCUMENT, MeetingDocuments, read_meeting, read_transcript
from tasks.library.recording_facts import PLAIN_BYTES, PLAYABLE, RecordingFacts, find_file
from tasks.library.search_form import Page, SearchForm
from tasks.s3 import content_disposition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from starlette.requests import Request

    from tasks.library.catalog_cache import CatalogCache
    from tasks.library.meeting_documents import Line
    from tasks.library.recording_facts import Media
    from tasks.s3 import Bucket, PresignedDownloads

LINK_LIFETIME_S = 900.0
"""Seconds that a link to a file is good for: a download has to begin until then. A player asks for more as it plays, so
that its link is good for the length of the recording besides."""
LONGEST_PLAY_S = 12 * 3600.0
ID = re.compile("[0-9a-f-]{36}")
TEMPLATES = Path(__file__).parent / "templates"


class PageMissing(Exception):
    """There is no such page; the text is for people."""


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
        facts = [RecordingFacts(row) for row in page.rows]
        status = HTTPStatus.BAD_REQUEST if form.problems else HTTPStatus.OK
        return self._html("list.html", status, form=form, page=page, recordings=facts, snapshot=snapshot)

    def show_recording(self, request: Request) -> Response:
        """Show a recording, with what belongs to its meeting."""
        recording, folder = self._recording(request)
        bucket, problem, meeting = self._new_bucket(), "", None
        lines: tuple[Line, ...] = ()
        try:
            lines = read_transcript(bucket, captions_key(folder)) if folder else ()
            meeting = self._meeting(bucket, recording.row["session_id"], recording.app_id, recording.session_days)
        except (StoreUnavailable, StoreRefused):
            problem = "The store does not answer just now: transcript, chat and people are not shown."
        begin = request.query_params.get("t", "")
        return self._html(
            "recording.html",
            recording=recording,
            is_here=bool(folder),
            lines=lines,
            meeting=meeting,
            problem=problem,
            begin=begin if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", begin, re.ASCII) else "",
        )

    def show_session(self, request: Request) -> Response:
        """Show a meeting's session, with its recordings."""
        meeting, rows = self._session(request)
        return self._html("session.html", meeting=meeting, recordings=[RecordingFacts(row) for row in rows])

    def lead_to_recording_file(self, request: Request) -> Response:
        """Lead to a file of a recording."""
        recording, folder = self._recording(request)
        lifetime_s = LINK_LIFETIME_S + min(recording.seconds, LONGEST_PLAY_S)
        return self._lead_to(request, folder, recording.media, lifetime_s)

    def lead_to_session_file(self, request: Request) -> Response:
        """Lead to a file of a meeting's session."""
        meeting, _ = self._session(request)
        return self._lead_to(request, meeting.folder, meeting.files, LINK_LIFETIME_S)

    def send_recording_bag(self, request: Request) -> Response:
        """Send a recording's bag as one file."""
        recording, folder = self._recording(request)
        return self._send_zip(request, folder, recording.row["recording_id"])

    def send_session_bag(self, request: Request) -> Response:
        """Send a session's bag as one file."""
        meeting, _ = self._session(request)
        return self._send_zip(request, meeting.folder, f"session-{meeting.session_id}-v{meeting.version:04}")

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
        rows = self._catalog.snapshot().sessions.get(session_id, ())
        days = dict.fromkeys(day for row in reversed(rows) for day in RecordingFacts(row).session_days)
        app_id = rows[0]["app_id"] if rows else ""
        meeting = self._meeting(self._new_bucket(), session_id, app_id, list(days))
        if meeting is None:
            raise PageMissing("Nothing is archived of this session, besides its recordings.")
        return meeting, rows

    def _meeting(
        self, bucket: Bucket, session_id: str | None, app_id: str, days: Sequence[date]
    ) -> MeetingDocuments | None:
        if not session_id or not ID.fullmatch(session_id) or not days:
            return None
        found = find_session(bucket, self._root, app_id, session_id, days)
        return read_meeting(bucket, session_id, found) if found else None

    def _lead_to(self, request: Request, folder: str, files: Sequence[Media], lifetime_s: float) -> Response:
        media = find_file(files, request.path_params["path"])
        if not folder or media is None:
            raise PageMissing("There is no such file in this archive.")
        is_shown = media.content_type != PLAIN_BYTES and "download" not in request.query_params
        is_played = is_shown and media.content_type.startswith(PLAYABLE)
        disposition = content_disposition("inline" if is_shown else "attachment", media.name)
        url = self._links.url(
            folder + media.path, lifetime_s if is_played else LINK_LIFETIME_S, media.content_type, disposition,
            method=request.method,
        )  # fmt: skip
        return RedirectResponse(url, HTTPStatus.TEMPORARY_REDIRECT)

    def _send_zip(self, request: Request, folder: str, name: str) -> Response:
        if not folder:
            raise PageMissing("The catalog is that of another archive.")
        content, size = zip_bag(self._new_patient_bucket(), folder, name)
        headers = {
            "Content-Length": str(size),
            "Content-Disposition": content_disposition("attachment", f"{name}.zip"),
        }
        if request.method == "HEAD":
            return Response(media_type="application/zip", headers=headers)
        return StreamingResponse(content, media_type="application/zip", headers=headers)

    def _send_text(
        self, request: Request, key_of: Callable[[str], str], content_type: str, kind: str, extension: str
    ) -> Response:
        recording, folder = self._recording(request)
        try:
            content = self._new_bucket().get(key_of(folder), LARGEST_DOCUMENT) if folder else None
        except ObjectTooLarge:
            content = None
        if content is None:
            raise PageMissing("There is no transcript of this recording.")
        name = f"{recording.row['recording_id']}.{extension}"
        headers = {"Content-Type": content_type, "Content-Disposition": content_disposition(kind, name)}
        return Response(content, headers=headers)


def _group_in_order(items: Sequence[Any], name: str) -> list[tuple[Any, list[Any]]]:
    """Return items that follow each other and have the same attribute, with that; Jinja's own filter sorts them."""
    return [(value, list(group)) for value, group in groupby(items, attrgetter(name))]
