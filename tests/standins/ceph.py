"""Ceph's RADOS gateway over a cluster of one monitor and one storage daemon, whose objects are in memory.

It knows what neither Swift nor rclone does: locks, encryption with keys by name, tags, storage classes and policies. It
needs Debian's packages `radosgw`, `ceph-mon` and `ceph-osd`. All are plain processes, which are ended by their ids.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.standins.stores import Store, StoreError, reserve_port, watch

if TYPE_CHECKING:
    import socket

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
KMS_KEY = "archive-key"
COLDER = "COLDER"
"""A storage class of the cluster, besides STANDARD."""
STOP_S = 10
ADMIN_S = 60

_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{port}]
public addr = 127.0.0.1
keyring = {folder}/keyring
run dir = {folder}
log file = {folder}/$name.log
admin socket = {folder}/$name.asok
pid file = {folder}/$name.pid
mon data = {folder}/mon
mon data avail warn = 1
mon data avail crit = 1
mon allow pool size one = true
auth allow insecure global id reclaim = false
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4G
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd crush chooseleaf type = 0
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = {key}=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
"""
_CAPABILITIES = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
    "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
    "client.gateway": {"mon": "allow rw", "osd": "allow rwx"},
}


def missing_programs() -> list[str]:
    """Return which programs are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


class CephStore(Store):
    """The gateway, and the cluster below it, which begins anew with each start."""

    name = "ceph"
    access_key = "CEPHACCESSKEY"
    secret_key = "ceph-secret-key"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._monitor: socket.socket = reserve_port()
        self._daemons: list[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes] | None]] = []
        self._log: IO[bytes] | None = None

    def _command(self) -> list[str]:
        return ["radosgw", "-c", self._configuration, "-n", "client.gateway", "-f"]

    @property
    def _configuration(self) -> str:
        return str(self.folder / "ceph.conf")

    def start(self) -> None:
        """Make a cluster, and start it and the gateway."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("mon", "osd"):
            (self.folder / name).mkdir(parents=True)
        self._log = (self.folder / "output.log").open("wb")
        try:
            self._start_cluster()
            super().start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the gateway, the storage daemon and the monitor, in that order."""
        super().stop()
        for process, watcher in reversed(self._daemons):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            process.kill()
            process.wait()
            if watcher is not None:
                watcher.communicate(b"\n")
        self._daemons.clear()
        if self._log is not None:
            self._log.close()
            self._log = None

    def close(self) -> None:
        """Stop all, and give the ports back."""
        super().close()
        self._monitor.close()

    def _start_cluster(self) -> None:
        fsid, osd, port = str(uuid.uuid4()), str(uuid.uuid4()), self._monitor.getsockname()[1]
        Path(self._configuration).write_text(
            _CONFIGURATION.format(fsid=fsid, port=port, folder=self.folder, gateway=self.port, key=KMS_KEY)
        )
        for name, rights in _CAPABILITIES.items():
            new = [] if (self.folder / "keyring").exists() else ["--create-keyring"]
            caps = [word for daemon, right in rights.items() for word in ("--cap", daemon, right)]
            self._run("ceph-authtool", str(self.folder / "keyring"), *new, "--gen-key", "-n", name, *caps)
        monmap, address = str(self.folder / "monmap"), f"[v2:127.0.0.1:{port}]"
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap)
        configured = ("-c", self._configuration)
        self._run("ceph-mon", *configured, "--mkfs", "-i", "a", "--monmap", monmap)
        self._spawn("ceph-mon", *configured, "-i", "a", "-f")
        self._run("ceph", *configured, "--connect-timeout", str(ADMIN_S), "osd", "new", osd)
        self._run("ceph-osd", *configured, "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._spawn("ceph-osd", *configured, "-i", "0", "-f")
        self._administer("user", "create", "--uid=tester", "--display-name=Tester",
                         f"--access-key={self.access_key}", f"--secret-key={self.secret_key}")  # fmt: skip
        placement = ("--placement-id=default-placement", f"--storage-class={COLDER}")
        self._administer("zonegroup", "placement", "add", "--rgw-zonegroup=default", *placement)
        self._administer(
            "zone", "placement", "add", "--rgw-zone=default", *placement, "--data-pool=default.rgw.colder.data"
        )

    def _administer(self, *arguments: str) -> None:
        self._run("radosgw-admin", "-c", self._configuration, *arguments)

    def _run(self, *command: str) -> None:
        """Run a command to its end.

        Raises:
            StoreError: it failed.
        """
        try:
            subprocess.run(command, check=True, timeout=ADMIN_S, capture_output=True, stdin=subprocess.DEVNULL)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            message = f"{command[0]} failed: {(error.stderr or b'').decode(errors='replace')}"
            raise StoreError(message) from None

    def _spawn(self, *command: str) -> None:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env=dict(os.environ),
            start_new_session=True,
        )  # fmt: skip
        self._daemons.append((process, watch(process.pid)))
