"""OpenStack Swift with its S3 API in one process: account, container, object and proxy servers as green threads.

    python swift_server.py [--user ACCOUNT:USER] [--key SECRET] PORT FOLDER

It needs a filesystem with user xattrs (ext4, xfs, btrfs, tmpfs) and nothing else: no memcached, no root, no /etc/swift.
"""
# ruff: noqa: E402
# (eventlet has to patch the standard library before Swift or anything else uses it)

import os

# What is meant to block is done at once, and not handed to one of 20 threads and back.
os.environ["EVENTLET_THREADPOOL_SIZE"] = "0"
import eventlet

eventlet.monkey_patch()

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from eventlet import wsgi
from swift.common import constraints, db, storage_policy, utils
from swift.common.http_protocol import SwiftHttpProtocol
from swift.common.ring import RingBuilder
from swift.common.wsgi import loadapp

_LOOPBACK = "127.0.0.1"
_BACKENDS = ("account", "container", "object")
_CACHE_LIMIT = 50_000

_SWIFT_CONF = """
[swift-hash]
swift_hash_path_suffix = {suffix}
[storage-policy:0]
name = one
default = yes
[swift-constraints]
max_meta_overall_size = 8192
"""

_BACKEND_CONF = """
[DEFAULT]
devices = {folder}/disk
mount_check = false
swift_dir = {folder}
log_level = WARNING
fallocate_reserve = 0
disable_fallocate = true
disk_chunk_size = 1048576
network_chunk_size = 1048576
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

_PROXY_CONF = """
[DEFAULT]
swift_dir = {folder}
client_timeout = 60
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache bulk s3api tempauth copy slo dlo versioned_writes symlink
    proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
node_timeout = 60
conn_timeout = 2
object_chunk_size = 1048576
client_chunk_size = 1048576
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
paste.filter_factory = __main__:cache_factory
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
max_upload_part_num = 10000
min_segment_size = 5242880
s3_acl = false
auth_pipeline_check = true
[filter:tempauth]
use = egg:swift#tempauth
user_{user} = {key} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
max_manifest_segments = 10000
max_manifest_size = 8388608
allow_async_delete = false
delete_concurrency = 4
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
"""


class Cache:
    """What Swift asks of memcached, inside the one process."""

    def __init__(self) -> None:
        """Begin empty."""
        self._entries: dict[Any, tuple[Any, float]] = {}

    def get(self, key: Any, **_: Any) -> Any:
        """Return the value under `key`, or None when there is none or its time is over."""
        value, end = self._entries.get(key, (None, 0.0))
        if end and end < time.time():
            del self._entries[key]
            return None
        return value

    def set(self, key: Any, value: Any, time: float = 0, **_: Any) -> None:
        """Keep `value` under `key` for `time` seconds, or for good."""
        if len(self._entries) >= _CACHE_LIMIT:
            self._entries.clear()
        self._entries[key] = (value, _now() + time if time else 0.0)

    def incr(self, key: Any, delta: int = 1, time: float = 0) -> int:
        """Add `delta` to a counter that never falls below zero."""
        value = max(0, int(self.get(key) or 0) + int(delta))
        self.set(key, value, time)
        return value

    def decr(self, key: Any, delta: int = 1, time: float = 0) -> int:
        """Take `delta` from a counter."""
        return self.incr(key, -int(delta), time)

    def delete(self, key: Any, **_: Any) -> None:
        """Forget `key`."""
        self._entries.pop(key, None)

    def get_multi(self, keys: Iterable[Any], _server_key: Any) -> list[Any]:
        """Return the values of many keys."""
        return [self.get(key) for key in keys]

    def set_multi(self, mapping: dict[Any, Any], _server_key: Any, time: float = 0, **_: Any) -> None:
        """Keep many values."""
        for key, value in mapping.items():
            self.set(key, value, time)


def _leave_writing_to_the_kernel() -> None:
    """Wait for no disk: what a process wrote survives the process, and no test takes the machine's power away."""
    connection_to = db.get_db_connection

    def connected(*arguments: Any, **named: Any) -> Any:
        connection = connection_to(*arguments, **named)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def not_at_all(fd: Any) -> None:
        pass

    db.get_db_connection = connected
    os.fsync = os.fdatasync = not_at_all


def _now() -> float:
    # Swift calls the lifetime `time`, which hides the module in the methods above.
    return time.time()


def cache_factory(_global_conf: dict[str, str], **_conf: str) -> Callable[[Any], Any]:
    """Make the filter that hands Swift the in-process cache in place of memcached."""
    cache = Cache()

    def filter_of(application: Any) -> Any:
        def call(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = cache
            return application(environ, start_response)

        return call

    return filter_of


def _write_constitution(folder: Path) -> None:
    """Write swift.conf once, as its hash suffix names every file of the store, and make Swift read it."""
    conf = folder / "swift.conf"
    if not conf.exists():
        conf.write_text(_SWIFT_CONF.format(suffix=os.urandom(8).hex()))
    utils.SWIFT_CONF_FILE = str(conf)
    utils.HASH_PATH_SUFFIX = utils.HASH_PATH_PREFIX = b""
    utils.validate_hash_conf()
    constraints.reload_constraints()
    storage_policy.reload_storage_policies()


def _write_backend(folder: Path, kind: str, port: int) -> None:
    """Write a backend's configuration and the ring that leads to it: one device, one replica."""
    builder = RingBuilder(6, 1, 0)
    device = {"region": 1, "zone": 1, "ip": _LOOPBACK, "port": port, "device": "d1", "weight": 1.0}
    builder.add_dev({**device, "replication_ip": _LOOPBACK, "replication_port": port})
    builder.rebalance()
    builder.get_ring().save(str(folder / f"{kind}.ring.gz"))
    (folder / f"{kind}.conf").write_text(_BACKEND_CONF.format(folder=folder, kind=kind))


def _listen(port: int) -> Any:
    return eventlet.listen((_LOOPBACK, port), backlog=256, reuse_port=False)


def _serve(folder: Path, kind: str, listener: Any) -> Any:
    """Start one of the servers as a green thread."""
    application = loadapp(str(folder / f"{kind}.conf"), global_conf={"log_name": kind})
    return eventlet.spawn(
        wsgi.server,
        listener,
        application,
        utils.NullLogger(),
        protocol=SwiftHttpProtocol,
        capitalize_response_headers=False,
        socket_timeout=60,
        log_output=False,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user", default="test:tester", help="the access key: an account and its user")
    parser.add_argument("--key", default="testing", help="the secret key")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    return parser.parse_args()


def main() -> None:
    """Serve until killed."""
    options = _options()
    _leave_writing_to_the_kernel()
    folder: Path = options.folder.resolve()
    (folder / "disk" / "d1").mkdir(parents=True, exist_ok=True)
    _write_constitution(folder)
    # The backends take any free ports, anew at every start: the rings alone have to know them.
    listeners = {kind: _listen(0) for kind in _BACKENDS}
    for kind, listener in listeners.items():
        _write_backend(folder, kind, listener.getsockname()[1])
    user = options.user.replace(":", "_", 1)
    (folder / "proxy.conf").write_text(_PROXY_CONF.format(folder=folder, user=user, key=options.key))
    for kind, listener in listeners.items():
        _serve(folder, kind, listener)
    _serve(folder, "proxy", _listen(options.port)).wait()


if __name__ == "__main__":
    main()
