"""The composition root: settings become clients, and clients become what a stage works with.

A run has one session: one client, one throttle and one set of detected capabilities for the store, and connections
that live across stages. Each attempt at a stage gets collaborators of its own, which all end with it.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from functools import cached_property
from threading import Timer
from typing import TYPE_CHECKING

import httpx

from tasks.app_ids import same_app
from tasks.archive import Archive, SessionArchive, payload_paths
from tasks.cancellation import Cancellation, CancellationGroup, OpenConnections
from tasks.download import PresignedUrl, PresignedUrls, new_empty_cookie_jar, new_http_client
from tasks.errors import TookTooLong, TransferStopped
from tasks.realtimekit import API_BLOCK_S, API_PATIENCE_S, AccountApps, MeetingSessions, RealtimeKit
from tasks.s3 import Store, StoreCapabilities, Throttle, new_s3_client
from tasks.transfer import (
    FILES_AT_ONCE,
    BufferPool,
    Limits,
    Payload,
    Tally,
    Transfer,
    TransferContext,
    progress_views,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event

    from botocore.client import BaseClient

    from tasks.realtimekit import Recording
    from tasks.settings import ArchiveSettings, Settings
    from tasks.text import Log
    from tasks.transfer import View

API_TIMEOUT_S = 30.0
SPARE_CONNECTIONS = 192
"""To the store, besides one per part in flight: a sweep archives many recordings at once with one client. A connection
is opened when it is needed; this is how many are kept.
"""


def show_on_terminal_or_in_log(_recording: Recording, log: Log) -> list[View]:
    """Return the views of a recording's progress: bars on a terminal, else lines in the log."""
    return progress_views(log)


class StoreAccess:
    """The client of the store, and what is known of the store: shared by all sessions of a run.

    Args:
        settings: as loaded for this run.
        client: the store's client, if there is one already; without one, it is made when it is first needed.
        bodies: how many bodies the store gets at once while it is calm; by default as many as a recording's transfer
            has under way.
    """

    def __init__(self, settings: ArchiveSettings, client: BaseClient | None = None, *, bodies: int = 0) -> None:
        transfers = FILES_AT_ONCE * settings.transfer_concurrency
        self._settings = settings
        self._connections = transfers + SPARE_CONNECTIONS
        self._capabilities = StoreCapabilities()
        self._throttle = Throttle(bodies or transfers)
        if client is not None:
            self.client = client

    @cached_property
    def client(self) -> BaseClient:
        """The client, whose connections are kept until `close`."""
        return new_s3_client(self._connections, **self._settings.store_access)

    def store(self, stop: Event, patience_s: float | None = None) -> Store:
        """Return the archive's bucket.

        Args:
            stop: ends all waiting and reading.
            patience_s: seconds that one call goes on trying; None for the settings'.
        """
        patience_s = self._settings.transfer_patience if patience_s is None else patience_s
        bucket = self._settings.bucket
        options = self._settings.storage_options
        return Store(self.client, bucket, patience_s, stop, self._throttle, self._capabilities, options)

    def close(self) -> None:
        """Close the connections."""
        if "client" in vars(self):
            self.client.close()


class Session:
    """The clients of a run, and what it works with; closed with `close`.

    Args:
        settings: as loaded for this run.
        log: the run's logger.
        store_access: another session's, to share the client of the store; None to have an own one.
        views: returns what shows a recording's progress.
        new_tally: returns what counts a recording's bytes.
        cancellation: cancels all attempts of several sessions at once; None if nobody does.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        *,
        store_access: StoreAccess | None = None,
        views: Callable[[Recording, Log], Sequence[View]] = show_on_terminal_or_in_log,
        new_tally: Callable[[], Tally] = Tally,
        cancellation: CancellationGroup | None = None,
    ) -> None:
        self.settings = settings
        self.app_id = settings.realtimekit_app_id
        self.log = log
        self.store_access = store_access or StoreAccess(settings)
        self.new_tally = new_tally
        self.cancellations = () if cancellation is None else (cancellation,)
        self.sits_out_blocks = True
        self._views = views
        self._owns_store_access = store_access is None
        certificates = httpx.create_ssl_context()  # for both: to read the file of all certificates takes a while
        self.api_http = httpx.Client(
            timeout=min(API_TIMEOUT_S, settings.stall_timeout), cookies=new_empty_cookie_jar(), verify=certificates
        )
        self.source_http = new_http_client(settings.stall_timeout, certificates)
        self.connections = OpenConnections(self.api_http, self.source_http)

    def for_app(self, app_id: str) -> Session:
        """Return the session for another app of the same account and archive, on the same connections.

        Args:
            app_id: of the app; empty for that of the settings, which is archived as the settings write it.
        """
        other, own = copy(self), self.settings.realtimekit_app_id
        other.app_id = own if not app_id or same_app(app_id, own) else app_id
        return other

    def with_log(self, log: Log) -> Session:
        """Return the session, on the same connections, with another log."""
        other = copy(self)
        other.log = log
        return other

    @contextmanager
    def limited(self, limit_s: float, patience_s: float) -> Iterator[Session]:
        """Give a session, on the same connections, for what a run can do without; the block ends within a time limit.

        Args:
            limit_s: seconds after which all attempts of the block are ended.
            patience_s: seconds that one call goes on trying at the most; a limit of the API's rate is not sat out.

        Raises:
            TookTooLong: the limit has passed.
        """
        limit, other = CancellationGroup(), copy(self)
        patience_s = min(patience_s, self.settings.transfer_patience)
        other.settings = self.settings.model_copy(update={"transfer_patience": patience_s})
        other.cancellations = (*self.cancellations, limit)
        other.sits_out_blocks = False
        timer = Timer(limit_s, limit.cancel)
        timer.daemon = True
        timer.start()
        try:
            yield other
        except TransferStopped:
            if not limit.is_cancelled or any(group.is_cancelled for group in self.cancellations):
                raise
            raise TookTooLong(limit_s) from None
        finally:
            timer.cancel()

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Give what one attempt at a stage works with; all of its threads end with the block, in whatever way it ends.

        An attempt that ends well leaves its connections to the next. After any other end a thread may still wait for
        bytes, so that the connections to RealtimeKit are shut down under it.
        """
        stop = Cancellation(self.connections)
        for group in self.cancellations:
            group.add(stop)
        try:
            yield Attempt(self, stop)
        except BaseException:
            stop.set()
            raise
        stop.end()

    def views(self, recording: Recording) -> Sequence[View]:
        """Return what shows a recording's progress."""
        return self._views(recording, self.log)

    def close(self) -> None:
        """Close the connections; those to the store stay open where they are shared."""
        self.api_http.close()
        self.source_http.close()
        if self._owns_store_access:
            self.store_access.close()


class Attempt:
    """What one attempt at a stage works with, until `stop` is set.

    Args:
        session: whose connections it uses.
        stop: ends all waiting and reading.
    """

    def __init__(self, session: Session, stop: Event) -> None:
        self.session = session
        self.stop = stop

    @cached_property
    def api(self) -> RealtimeKit:
        """The app's recordings at RealtimeKit."""
        return RealtimeKit(*self._api_access, stop=self.stop, patience_s=self._api_patience_s, block_s=self._block_s)

    @cached_property
    def meeting_sessions(self) -> MeetingSessions:
        """The app's sessions at RealtimeKit: meetings that took place."""
        access = self._api_access
        return MeetingSessions(*access, stop=self.stop, patience_s=self._api_patience_s, block_s=self._block_s)

    @cached_property
    def account_apps(self) -> AccountApps:
        """The account's apps."""
        http, base_url, account_id, _, token = self._api_access
        patience_s, block_s = self._api_patience_s, self._block_s
        return AccountApps(http, base_url, account_id, token, stop=self.stop, patience_s=patience_s, block_s=block_s)

    @property
    def _api_access(self) -> tuple[httpx.Client, str, str, str, str]:
        settings = self.session.settings
        token = settings.cloudflare_api_token.get_secret_value()
        account_id, app_id = settings.cloudflare_account_id, self.session.app_id
        return self.session.api_http, settings.cloudflare_base_url, account_id, app_id, token

    @property
    def _api_patience_s(self) -> float:
        return min(API_PATIENCE_S, self.session.settings.transfer_patience)

    @property
    def _block_s(self) -> float:
        return API_BLOCK_S if self.session.sits_out_blocks else 0.0

    @cached_property
    def store(self) -> Store:
        """The archive's bucket."""
        return self.session.store_access.store(self.stop, self.session.settings.transfer_patience)

    @cached_property
    def archive(self) -> Archive:
        """The app's archive."""
        return Archive(self.store, self.session.settings.prefix, self.session.app_id, self.session.log)

    @cached_property
    def session_archive(self) -> SessionArchive:
        """The archive of the app's sessions."""
        session = self.session
        return SessionArchive(self.store, session.settings.prefix, session.app_id, self.stop, session.log)

    def transfer(self, recording: Recording, tally: Tally) -> Transfer:
        """Return what transfers a recording's files.

        Args:
            recording: with URLs as fresh as can be.
            tally: counts the bytes.
        """
        settings, log = self.session.settings, self.session.log
        limits = Limits(settings.transfer_concurrency, settings.transfer_part_size, settings.transfer_patience)
        context = TransferContext(
            self.store,
            lambda: self.archive.journal(recording),
            limits,
            BufferPool(limits.parts_at_once * limits.part_size),
            tally,
            self.stop,
            log,
        )
        links = PresignedUrls(_links(recording), lambda: _links(self.api.recording(recording.id)), self.stop, log)
        return Transfer(context, self.session.source_http, links)

    def payloads(self, recording: Recording, *, accept_size: bool = False) -> list[Payload]:
        """Return which of a recording's files go where.

        Args:
            recording: as the API described it.
            accept_size: see `Payload`.
        """
        metadata = {"recording-id": recording.id, "session-id": recording.session_id}
        metadata = {name: value for name, value in metadata.items() if value}  # Swift keeps no empty one
        paths, folder = payload_paths(recording), self.archive.folder(recording)
        named = [(media, paths[media.label]) for media in recording.media]
        return [Payload(media, path, folder + path, metadata, accept_size) for media, path in named]


def _links(recording: Recording) -> dict[str, PresignedUrl]:
    return {media.label: PresignedUrl(media.url, media.expires_at, recording.expires) for media in recording.media}
