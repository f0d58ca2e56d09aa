"""Knows the wiring: how the settings become clients, and clients the collaborators of the plain code."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import httpx

from tasks.archive import Archive, payload_paths
from tasks.cancellation import Lines
from tasks.download import Link, Links, new_http_client, no_cookies
from tasks.realtimekit import API_PATIENCE_S, RealtimeKit
from tasks.s3 import Dialect, Pace, Store, new_s3_client
from tasks.transfer import FILES_AT_ONCE, Limits, Payload, Transfer

if TYPE_CHECKING:
    from threading import Event

    from botocore.client import BaseClient

    from tasks.realtimekit import Recording
    from tasks.settings import Settings
    from tasks.text import Log
    from tasks.transfer import Tally

API_TIMEOUT_S = 30.0
SPARE_CONNECTIONS = 192
"""To the store, besides one per part in flight: a sweep has many recordings under way with one client. None is opened
before it is needed; they are how many are kept.
"""


class Clients:
    """What a run talks with, made once from the settings; closed with `close`.

    Args:
        settings: as loaded for this run.
        log: the run's logger.
        beside: those of the same store at the same time, to share its client, its pace and what is known of it; None if
            alone.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        beside: Clients | None = None,
    ) -> None:
        self.settings = settings
        self.log = log
        self.dialect: Dialect = beside.dialect if beside else Dialect()
        self.pace: Pace = beside.pace if beside else Pace(FILES_AT_ONCE * settings.transfer_concurrency)
        self._shares_s3 = beside is not None
        if beside:
            self.s3 = beside.s3
        self.api_http = httpx.Client(timeout=API_TIMEOUT_S, cookies=no_cookies())
        self.source_http = new_http_client(settings.stall_timeout)
        self.lines = Lines(self.api_http, self.source_http)

    @cached_property
    def s3(self) -> BaseClient:
        """The object store's client."""
        return new_s3_client(FILES_AT_ONCE * self.settings.transfer_concurrency + SPARE_CONNECTIONS)

    def api(self, stop: Event) -> RealtimeKit:
        """Return the API, for as long as `stop` is not set."""
        its = self.settings
        token = its.cloudflare_api_token.get_secret_value()
        ids = (its.cloudflare_account_id, its.realtimekit_app_id)
        patience_s = min(API_PATIENCE_S, its.transfer_patience)
        return RealtimeKit(self.api_http, its.cloudflare_base_url, *ids, token, stop=stop, patience_s=patience_s)

    def store(self, stop: Event) -> Store:
        """Return the archive's bucket, for as long as `stop` is not set."""
        its = self.settings
        return Store(self.s3, its.bucket, its.transfer_patience, stop, self.pace, self.dialect)

    def archive(self, stop: Event) -> Archive:
        """Return the archive, for as long as `stop` is not set."""
        return Archive(self.store(stop), self.settings.prefix, self.settings.realtimekit_app_id, self.log)

    def transfer(self, recording: Recording, tally: Tally, stop: Event) -> Transfer:
        """Return what moves the recording's files, for as long as `stop` is not set."""
        api, archive, its = self.api(stop), self.archive(stop), self.settings
        links = Links(_links(recording), lambda: _links(api.recording(recording.id)), stop, self.log)
        limits = Limits(its.transfer_concurrency, its.transfer_part_size, its.transfer_patience)
        unfinished = lambda: archive.unfinished(recording)  # noqa: E731 - asked anew at every look
        return Transfer(self.store(stop), self.source_http, links, unfinished, limits, tally, stop, self.log)

    def close(self) -> None:
        """Close the connections; those to the store stay open where they are shared."""
        self.api_http.close()
        self.source_http.close()
        if "s3" in vars(self) and not self._shares_s3:
            self.s3.close()


def payloads(archive: Archive, recording: Recording, *, accept_size: bool = False) -> list[Payload]:
    """Return which of a recording's files go where.

    Args:
        accept_size: see `Payload`.
    """
    metadata = {"recording-id": recording.id, "session-id": recording.session_id}
    metadata = {name: value for name, value in metadata.items() if value}  # Swift keeps no empty one
    paths, folder = payload_paths(recording), archive.folder(recording)
    named = [(media, paths[media.label]) for media in recording.media]
    return [Payload(media, path, folder + path, metadata, accept_size) for media, path in named]


def _links(recording: Recording) -> dict[str, Link]:
    return {media.label: Link(media.url, media.expires_at, recording.expires) for media in recording.media}
