"""Answers that hand out files: a link to the store, a zip file, a text, or a poster.

A file is handed out by a presigned URL, made at the click: its bytes go from the store to the browser, and not through
here, so that a player may ask for any range. Only what the manifest of a bag lists is handed out so.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.responses import RedirectResponse, Response, StreamingResponse

from tasks.errors import ObjectTooLarge
from tasks.library.bag_download import zip_bag
from tasks.library.recording_facts import PLAIN_BYTES, PLAYABLE, find_file
from tasks.s3 import content_disposition
from tasks.text import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from tasks.library.recording_facts import Media
    from tasks.s3 import Bucket, PresignedDownloads

LINK_LIFETIME_S = 900.0
"""Seconds that a link to a file is good for: a download has to begin until then. A player asks for more as it plays, so
that its link is good for the length of the recording besides."""
LARGEST_POSTER = MIB
JPEG = b"\xff\xd8\xff"


class PageMissing(Exception):
    """There is no such page; the text is for people."""


def lead_to_file(
    links: PresignedDownloads, request: Request, folder: str, files: Sequence[Media], lifetime_s: float
) -> Response:
    """Return a redirect to a file of a bag.

    Args:
        links: makes presigned URLs.
        request: names the file's path.
        folder: the bag's key prefix, with a slash at its end; empty if the bag lies in another archive.
        files: of the bag.
        lifetime_s: of the link of a player.

    Raises:
        PageMissing: the bag's manifest has no such file.
    """
    media = find_file(files, request.path_params["path"])
    if not folder or media is None:
        raise PageMissing("There is no such file in this archive.")
    is_shown = media.content_type != PLAIN_BYTES and "download" not in request.query_params
    is_played = is_shown and media.content_type.startswith(PLAYABLE)
    disposition = content_disposition("inline" if is_shown else "attachment", media.name)
    lifetime_s = lifetime_s if is_played else LINK_LIFETIME_S
    url = links.url(folder + media.path, lifetime_s, media.content_type, disposition, method=request.method)
    return RedirectResponse(url, HTTPStatus.TEMPORARY_REDIRECT)


def send_zip(bucket: Bucket, request: Request, folder: str, name: str) -> Response:
    """Return a bag as one file.

    Args:
        bucket: where the bag is; its patience is for the whole download.
        request: GET or HEAD.
        folder: the bag's key prefix, with a slash at its end; empty if the bag lies in another archive.
        name: of the file, without its extension.

    Raises:
        PageMissing: the bag lies in another archive.
    """
    if not folder:
        raise PageMissing("The catalog is that of another archive.")
    content, size = zip_bag(bucket, folder, name)
    headers = {"Content-Length": str(size), "Content-Disposition": content_disposition("attachment", f"{name}.zip")}
    if request.method == "HEAD":
        return Response(media_type="application/zip", headers=headers)
    return StreamingResponse(content, media_type="application/zip", headers=headers)


def send_text(bucket: Bucket, request: Request, key: str, content_type: str, disposition: str) -> Response:
    """Return what was made of a transcript, however long, as the store has it.

    Args:
        bucket: where it is; its patience is for the whole download.
        request: GET or HEAD.
        key: of the object; empty if it lies in another archive.
        content_type: with the charset.
        disposition: whether it is shown, and its name.

    Raises:
        PageMissing: there is none.
    """
    stored = bucket.head(key) if key else None
    if stored is None:
        raise PageMissing("There is no transcript of this recording.")
    headers = {
        "Content-Type": content_type,
        "Content-Disposition": disposition,
        "Content-Length": str(stored.size),
    }
    if request.method == "HEAD" or not stored.size:
        return Response(headers=headers)
    return StreamingResponse(bucket.read(stored), headers=headers)


def send_poster(bucket: Bucket, key: str) -> Response:
    """Return a frame of a video: through the page, as it is small, and as the page shows no image from elsewhere.

    Args:
        bucket: where it is.
        key: of the object; empty if there is none.

    Raises:
        PageMissing: there is none, or it is no JPEG.
    """
    try:
        content = bucket.get(key, LARGEST_POSTER) if key else None
    except ObjectTooLarge:
        content = None
    if content is None or not content.startswith(JPEG):
        raise PageMissing("There is no picture of this recording.")
    return Response(content, media_type="image/jpeg")
