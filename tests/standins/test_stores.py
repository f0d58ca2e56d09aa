"""The stores that the other tests stand on are real servers, keep what they took, and go when they are told."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import psutil
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.clock import with_rclone
from tests.standins.stores import RcloneStore, Store, StoreError, SwiftStore, rclone_executable

NEEDS_XATTRS = pytest.mark.skipif(sys.platform != "linux", reason="Swift runs on Linux alone")
PROJECT = Path(__file__).parents[2]


@pytest.fixture(
    params=[pytest.param(SwiftStore, marks=NEEDS_XATTRS), pytest.param(RcloneStore, marks=with_rclone)],
    ids=lambda kind: kind.name,
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with request.param(tmp_path / "store") as running:
        running.client().create_bucket(Bucket="archive")
        yield running


def lives(pid: int) -> bool:
    """Tell whether the process runs; one that ended and waits for its parent does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_a_store_took_survives_its_sudden_death(store: Store) -> None:
    client = store.client()
    client.put_object(Bucket="archive", Key="Bücher/a b.mp4", Body=b"whole", ContentType="video/mp4")
    first = store.pid
    store.kill()
    assert not lives(first)
    with pytest.raises(EndpointConnectionError):
        client.head_bucket(Bucket="archive")
    store.start()
    assert store.pid != first
    assert client.get_object(Bucket="archive", Key="Bücher/a b.mp4")["Body"].read() == b"whole"


def test_a_stopped_store_is_gone_and_starts_again_on_its_port(store: Store) -> None:
    endpoint = store.endpoint_url
    store.stop()
    assert not lives(store.pid)
    assert not store.running
    store.start()
    assert store.endpoint_url == endpoint
    assert store.client().head_bucket(Bucket="archive")["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_running_store_refuses_to_start_twice(store: Store) -> None:
    with pytest.raises(StoreError, match="runs already"):
        store.start()
    assert store.running


def test_a_store_refuses_a_wrong_digest_and_keeps_nothing(store: Store) -> None:
    client = store.client()
    with pytest.raises(ClientError, match="BadDigest"):
        client.put_object(Bucket="archive", Key="spoilt", Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket="archive", Key="spoilt")


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def test_a_store_serves_a_presigned_url_until_its_time_is_over(store: Store) -> None:
    client = store.client()
    client.put_object(Bucket="archive", Key="film", Body=b"x")
    request = {"Bucket": "archive", "Key": "film"}
    assert status_of(client.generate_presigned_url("get_object", request, ExpiresIn=60)) == 200
    short = client.generate_presigned_url("get_object", request, ExpiresIn=1)
    deadline = time.monotonic() + 10
    while status_of(short) == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status_of(short) in {400, 403}


def test_a_store_leads_programs_to_itself_through_the_environment(store: Store) -> None:
    assert store.environment() == {
        "AWS_ENDPOINT_URL_S3": store.endpoint_url,
        "AWS_ACCESS_KEY_ID": store.access_key,
        "AWS_SECRET_ACCESS_KEY": store.secret_key,
        "AWS_REGION": "us-east-1",
    }


def test_a_store_that_dies_at_its_start_says_why(tmp_path: Path) -> None:
    command = [str(rclone_executable()), "serve", "s3", "--no-such-option"]
    with (
        mock.patch.object(RcloneStore, "_command", return_value=command),
        pytest.raises(StoreError, match="no-such-option"),
        RcloneStore(tmp_path),
    ):
        pytest.fail("it cannot have started")


@pytest.mark.skipif(sys.platform == "win32", reason="nothing watches over the store on Windows")
def test_a_store_dies_with_the_process_that_started_it_however_sudden_the_death(tmp_path: Path) -> None:
    start_and_wait = (
        "import pathlib, sys; from tests.standins.stores import RcloneStore; "
        "store = RcloneStore(pathlib.Path(sys.argv[1])); store.start(); print(store.pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", start_and_wait, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        assert lives(server)
        parent.kill()
    deadline = time.monotonic() + 10
    while lives(server) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not lives(server)


@with_rclone
def test_objects_in_rclone_are_plain_files_and_nothing_lies_beside_them(tmp_path: Path) -> None:
    with RcloneStore(tmp_path) as store:
        client = store.client()
        client.create_bucket(Bucket="archive")
        client.put_object(Bucket="archive", Key="folder/film.mp4", Body=b"plain")
        assert (tmp_path / "archive" / "folder" / "film.mp4").read_bytes() == b"plain"
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"archive/folder/film.mp4"}
