"""What a store verifies without announcing it is found out by asking it once, and never at a transfer's expense."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectionClosedError

from tasks.errors import SourceUnavailable
from tasks.s3.capabilities import MIN_PARTS_TO_DETECT
from tasks.s3.client import new_s3_client
from tasks.s3.multipart import Store
from tasks.s3.throttle import Throttle
from tests.standins.realtimekit import Answer
from tests.support.archiving import Run
from tests.support.meddling import Meddled, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.standins.realtimekit import FileRequest, StandInRecording
    from tests.support.archiving import Archiving

ASKING = "unfinished/is-it-verified"
CRC64NVME, MD5 = "ChecksumCRC64NVME", "ContentMD5"
ASKED_IN_VAIN = ["create_multipart_upload", "upload_part", "abort_multipart_upload"]
ASKED = ["create_multipart_upload", "upload_part", "upload_part", "abort_multipart_upload"]


class Killed(BaseException):
    """Ends a run at once: nobody catches it, and nothing that follows reaches the store."""


class Watch:
    """Takes down what goes to the store, and has what asks it go through somebody's hands."""

    def __init__(self, answer: Callable[[int, str, Callable[[], Any]], Any] | None = None) -> None:
        self._answer = answer
        self.asking: list[str] = []  # methods
        self.sums: list[str] = []  # of parts
        self.completions: list[bool] = []  # whether with a checksum of the whole

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Take one call down."""
        if str(request.get("Key")).endswith(ASKING):
            self.asking.append(method)
            return self._answer(len(self.asking), method, send) if self._answer else send()
        if method == "upload_part":
            self.sums += request.keys() & {CRC64NVME, MD5}
        if method == "complete_multipart_upload":
            self.completions.append(CRC64NVME in request)
        return send()


@pytest.fixture
def two_parts_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.archive.upload_journal.MIN_PARTS_TO_DETECT", 2)


def interrupted(bench: Archiving, run: Run, parts: int = 3) -> StandInRecording:
    """Let a run end when the first part is stored."""
    recording = bench.add(parts * bench.part)

    def gone_soon(request: FileRequest) -> Answer | None:
        return Answer.slow_down(3600) if request.start >= bench.part else None

    bench.kit.file_faults = gone_soon
    with pytest.raises(SourceUnavailable):
        run.archived(recording.id)
    bench.kit.file_faults = []
    assert bench.kit.wait_idle()
    return recording


@pytest.mark.usefixtures("two_parts_are_worth_it")
def test_swift_is_asked_once_then_gets_crc64nvme_on_the_wire_and_refuses_a_part_that_was_damaged_there(
    swift: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.retry.FIRST_PAUSE_S", 0.001)
    asking: list[bytes] = []
    sent: list[tuple[str, bool]] = []
    first = threading.Lock()

    def watch(request: Any, **_: Any) -> None:
        if ASKING in request.url:
            asking.append(request.headers["x-amz-checksum-crc64nvme"])
            return
        assert "Content-MD5" not in request.headers
        if damaged := first.acquire(blocking=False):  # two parts may come at once
            request.body = b"x" * len(request.body)
        sent.append((request.headers["x-amz-checksum-crc64nvme"], damaged))

    client: Any = new_s3_client(8)
    client.meta.events.register("before-send.s3.UploadPart", watch)
    run = Run(swift.setup(), client)
    for size in (2 * swift.part, 2 * swift.part - 1):
        recording = swift.add(size)
        (file,) = run.archived(recording.id).files
        assert recording.video is not None
        assert file.sha256 == recording.video.sha256()
    assert len(set(asking)) == len(asking) == 2
    (damaged,) = [checksum for checksum, damaged in sent if damaged]
    assert len(sent) == 5
    assert sent.count((damaged, False)) == 1, "it was sent again"
    assert swift.left_over() == []


@pytest.mark.usefixtures("two_parts_are_worth_it")
def test_rclone_is_asked_once_and_gets_md5(rclone: Archiving) -> None:
    watch = Watch()
    run = rclone.run(watch)
    for _ in range(2):
        run.archived(rclone.add(2 * rclone.part).id)
    assert watch.asking == ASKED_IN_VAIN
    assert watch.sums == [MD5] * 4
    assert rclone.left_over() == []


def test_only_files_of_many_parts_are_worth_the_question(rclone: Archiving) -> None:
    watch = Watch()
    run = rclone.run(watch)
    for size in (100, rclone.part, (MIN_PARTS_TO_DETECT - 1) * rclone.part):
        run.archived(rclone.add(size).id)
    assert watch.asking == []
    run.archived(rclone.add((MIN_PARTS_TO_DETECT - 1) * rclone.part + 1).id)
    assert watch.asking == ASKED_IN_VAIN


def test_who_comes_while_the_store_is_being_asked_waits_for_what_is_found(swift: Archiving) -> None:
    others = threading.Semaphore(0)

    def slow(call: int, _method: str, send: Callable[[], Any]) -> Any:
        if call == 1:
            for _ in range(3):
                assert others.acquire(timeout=10)
        return send()

    watch = Watch(slow)
    store = swift.run(watch).store

    def learn(_: int) -> bool:
        others.release()
        store.detect_capabilities(ASKING)
        return store._capabilities.verifies_crc64

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(learn, range(4))) == [True] * 4
    assert watch.asking == ASKED


@pytest.mark.usefixtures("two_parts_are_worth_it")
def test_what_is_left_of_a_question_that_was_cut_short_goes_when_the_recording_is_committed(bench: Archiving) -> None:
    def killed(call: int, _method: str, send: Callable[[], Any]) -> Any:
        if call == 1:
            return send()
        raise Killed

    recording = bench.add(2 * bench.part)
    with pytest.raises(Killed):
        bench.run(Watch(killed)).archived(recording.id)
    assert any(key.endswith(ASKING) for key in bench.uploads())
    bench.archived(recording)
    assert bench.left_over() == []


AWAY, DEAD = refusal("SlowDown", 503), ConnectionClosedError(endpoint_url="http://store/bucket/key?uploadId=secret")
MISMATCH, UNKNOWN, VANISHED = refusal("BadDigest", 400), refusal("NotImplemented", 501), refusal("NoSuchUpload", 404)


@pytest.mark.parametrize(
    ("failures", "parts", "sums"),
    [
        ({1: UNKNOWN}, 0, MD5),
        ({1: DEAD}, 0, MD5),
        ({2: UNKNOWN}, 1, MD5),
        ({2: AWAY}, 1, MD5),
        ({2: DEAD, 3: DEAD}, 1, MD5),
        ({2: VANISHED}, 1, MD5),
        ({3: AWAY}, 1, MD5),
        ({2: MISMATCH, 3: MISMATCH}, 2, MD5),
        ({2: MISMATCH, 3: AWAY}, 2, MD5),
        ({2: MISMATCH}, 2, CRC64NVME),
        ({2: MISMATCH, 4: AWAY}, 2, CRC64NVME),
    ],
)
@pytest.mark.usefixtures("two_parts_are_worth_it")
def test_only_a_wrong_one_refused_and_the_right_one_taken_counts_and_nothing_that_is_asked_fails_a_transfer(
    rclone: Archiving, failures: dict[int, Exception], parts: int, sums: str
) -> None:
    def fail(call: int, _method: str, send: Callable[[], Any]) -> Any:
        if call in failures:
            raise failures[call]
        return send()

    watch = Watch(fail)
    rclone.run(watch).archived(rclone.add(2 * rclone.part).id)
    assert watch.asking.count("create_multipart_upload") == 1
    assert watch.asking.count("upload_part") == parts, "nothing is asked twice"
    assert watch.sums == [sums] * 2
    assert watch.completions == [False]
    assert rclone.left_over() == []


def test_a_page_in_the_stores_place_is_no_answer(rclone: Archiving) -> None:
    def page(call: int, _method: str, send: Callable[[], Any]) -> Any:
        if call == 2:
            raise MISMATCH
        return {"ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}}} if call == 3 else send()

    store = rclone.run(Watch(page)).store
    store.detect_capabilities(ASKING)
    assert not store._capabilities.verifies_crc64
    assert rclone.uploads() == []


def test_a_store_that_wants_less_while_it_is_asked_gets_no_less(rclone: Archiving) -> None:
    def busy(_call: int, method: str, send: Callable[[], Any]) -> Any:
        if method == "upload_part":
            raise AWAY
        return send()

    throttle, client = Throttle(4), Meddled(rclone.s3, Watch(busy))
    Store(client, rclone.bucket, 10, throttle=throttle).detect_capabilities(ASKING)  # type: ignore[arg-type]
    assert throttle.allowed == 4


def test_an_upload_that_was_begun_with_md5_is_carried_on_with_crc64nvme_once_that_is_worth_asking(
    swift: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Watch(), Watch()
    recording = interrupted(swift, swift.run(first, concurrency=1))
    monkeypatch.setattr("tasks.archive.upload_journal.MIN_PARTS_TO_DETECT", 2)
    (file,) = swift.run(second).archived(recording.id).files
    assert recording.video is not None
    assert file.sha256 == recording.video.sha256()
    assert (first.asking, first.sums) == ([], [MD5])
    assert (second.asking, second.sums) == (ASKED, [CRC64NVME] * 2)
    assert second.completions == [False]


@pytest.mark.usefixtures("two_parts_are_worth_it")
def test_what_was_announced_when_an_upload_began_holds_when_it_is_carried_on(rclone: Archiving) -> None:
    first, second = Watch(), Watch()

    def announce(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        said = first(method, request, send)
        return {**said, "ChecksumAlgorithm": "CRC64NVME"} if method == "create_multipart_upload" else said

    recording = interrupted(rclone, rclone.run(announce, concurrency=1))
    rclone.run(second).archived(recording.id)
    assert first.asking == second.asking == []
    assert first.sums + second.sums == [CRC64NVME] * 3
