"""The library as an application: its addresses, its errors as pages, and the filter of requests around all of them."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from tasks.catalog import Dataset
from tasks.errors import ArchiverError, CatalogMissing, DeletedOnPurpose, NotArchived, RetryableError, StoreRefused
from tasks.library.access import Access
from tasks.library.catalog_cache import CatalogCache
from tasks.library.file_answers import PageMissing
from tasks.library.pages import Pages
from tasks.library.request_filter import LOOPBACK_NAMES, RequestFilter, security_headers
from tasks.s3 import Bucket, PresignedDownloads, StoreCapabilities, new_s3_client
from tasks.text import ThrottledLog, safe_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from tasks.library.settings import LibrarySettings

CONNECTIONS = 64
PAGE_PATIENCE_S = 10.0
"""Seconds of failures after which a page says that the store does not answer."""
STATIC = Path(__file__).parent / "static"
UPDATE = "uv run python -m flows.update_catalog"

log = logging.getLogger("realtimekit-archiver.library")


def new_app(settings: LibrarySettings, host: str = "127.0.0.1") -> RequestFilter:
    """Return the ASGI application; it begins to read the catalog when it starts.

    Args:
        settings: as loaded.
        host: the address that it listens at.

    Raises:
        StoreRefused: there are no credentials for the store.
    """
    client = new_s3_client(CONNECTIONS, PAGE_PATIENCE_S, keys=settings.store_keys)
    capabilities = StoreCapabilities()
    links = PresignedDownloads(client, settings.bucket)

    def bucket(patience_s: float) -> Bucket:
        return Bucket(client, settings.bucket, patience_s, capabilities=capabilities)

    catalog = CatalogCache(lambda: Dataset(bucket(PAGE_PATIENCE_S), settings.root))
    pages = Pages(
        catalog, settings.root, lambda: bucket(PAGE_PATIENCE_S), lambda: bucket(settings.transfer_patience), links
    )
    hosts = (*LOOPBACK_NAMES, host.lower(), *settings.hosts)
    return RequestFilter(_routed(pages, catalog), Access(settings), hosts, security_headers(links.origin), log)


def _routed(pages: Pages, catalog: CatalogCache) -> FastAPI:
    @asynccontextmanager
    async def serving(_: FastAPI) -> AsyncIterator[None]:
        Thread(target=_read_ahead, args=(catalog,), daemon=True).start()
        yield

    app = FastAPI(title="Library of recordings", lifespan=serving, openapi_url=None, redirect_slashes=False)
    for path, answer in _addresses(pages).items():
        app.add_route(path, answer, methods=["GET", "HEAD"])
    app.mount("/static", StaticFiles(directory=STATIC))
    errors = _Errors(pages)
    app.add_exception_handler(PageMissing, errors.missing)
    app.add_exception_handler(HTTPException, errors.http)
    app.add_exception_handler(ArchiverError, errors.ours)
    app.add_exception_handler(Exception, errors.unforeseen)
    return app


def _addresses(pages: Pages) -> dict[str, Callable[[Request], Any]]:
    recording, session = "/recordings/{recording_id}", "/sessions/{session_id}"
    return {
        "/": pages.show_list,
        recording: pages.show_recording,
        f"{recording}/poster.jpg": pages.send_poster,
        f"{recording}/captions.vtt": pages.send_captions,
        f"{recording}/transcript.txt": pages.send_transcript,
        f"{recording}/bag.zip": pages.send_recording_bag,
        f"{recording}/files/{{path:path}}": pages.lead_to_recording_file,
        session: pages.show_session,
        f"{session}/bag.zip": pages.send_session_bag,
        f"{session}/files/{{path:path}}": pages.lead_to_session_file,
    }


def _read_ahead(catalog: CatalogCache) -> None:
    """Read the catalog before anybody asks for it; whatever fails now is told to who asks."""
    try:
        catalog.snapshot()
    except ArchiverError as error:
        log.warning("%s", error)


class _Errors:
    """Turns errors into pages.

    Args:
        pages: makes them.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._failures = ThrottledLog(log, logging.WARNING)

    def missing(self, _: Request, error: Exception) -> Response:
        """Answer for what is not there."""
        return self._pages.message(HTTPStatus.NOT_FOUND, "Not found", str(error))

    def http(self, _: Request, error: Exception) -> Response:
        """Answer for an address that is none of the library's."""
        status = HTTPStatus(getattr(error, "status_code", HTTPStatus.NOT_FOUND))
        return self._pages.message(status, "Not found", "There is no such page.")

    def ours(self, _: Request, error: Exception) -> Response:
        """Answer for an error that is known."""
        if isinstance(error, CatalogMissing):
            text = "There is no catalog yet, which this page reads. This command makes it, and brings it up to date:"
            return self._pages.message(HTTPStatus.SERVICE_UNAVAILABLE, "No catalog yet", text, UPDATE)
        self._failures.note(safe_line(str(error)))
        if isinstance(error, RetryableError):
            text = "The store of the archive does not answer just now. Try again in a minute."
            return self._pages.message(HTTPStatus.SERVICE_UNAVAILABLE, "The store does not answer", text)
        if isinstance(error, StoreRefused):
            text = "The store of the archive does not let this page read it. The page's log says why."
            return self._pages.message(HTTPStatus.BAD_GATEWAY, "The store refuses", text)
        if isinstance(error, NotArchived):
            return self._pages.message(HTTPStatus.NOT_FOUND, "Not found", "There is no archive of it any more.")
        if isinstance(error, DeletedOnPurpose):  # by whom and why is not for all readers
            text = f"It was deleted from the archive on purpose on {error.when}."
            return self._pages.message(HTTPStatus.GONE, "Deleted", text)
        return self._pages.message(HTTPStatus.CONFLICT, "It cannot be handed out", safe_line(str(error), 1000))

    def unforeseen(self, _: Request, __: Exception) -> Response:
        """Answer for an error that is not: it is in the log."""
        text = "This is a fault of the page. Its log says more."
        return self._pages.message(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong", text)
