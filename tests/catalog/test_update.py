"""The catalog says what the bags say, whatever came before: crashes, other updates, overwrites, deletions."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import Month
from tasks.catalog import dataset, parquet
from tasks.errors import CatalogNewer, NotInArchive, StoreUnavailable
from tasks.s3.bucket import LARGEST_READ
from tests.support.auditing import audited
from tests.support.bags import key_of
from tests.support.cataloguing import files, rows, sessions, update, updated_by
from tests.support.meddling import WRITES, Between, Failing, refusal
from tests.support.meetings import Meeting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.catalog import Row
    from tests.standins.realtimekit import StandInRecording
    from tests.support.archiving import Archiving

MONTHS = (
    datetime(2026, 9, 30, 23, 59, tzinfo=UTC),
    datetime(2026, 10, 1, tzinfo=UTC),
    datetime(2026, 11, 20, tzinfo=UTC),
)


def three(bench: Archiving) -> list[StandInRecording]:
    """Archive three recordings, each of another month."""
    recordings = [bench.add(1000 + number, invoked_time=time) for number, time in enumerate(MONTHS)]
    for recording in recordings:
        bench.archived(recording)
    return recordings


def put(bench: Archiving, key: str, body: bytes) -> None:
    bench.s3.put_object(Bucket=bench.bucket, Key=key, Body=body)


def delete(bench: Archiving, *keys: str) -> None:
    for key in keys:
        bench.s3.delete_object(Bucket=bench.bucket, Key=key)


def delete_bag(bench: Archiving, recording: StandInRecording) -> None:
    delete(bench, *bench.stored_keys(bench.folder(recording)))


def catalog_key(bench: Archiving, month: str) -> str:
    return f"archive/_catalog/app_id={bench.kit.app_id}/month={month}/recordings.parquet"


class Requests:
    """Notes the requests to the store."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []

    def __call__(self, method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        """Note one, and let it pass."""
        self.made.append((method, request.get("Key", request.get("Prefix", ""))))
        return send()

    @property
    def writes(self) -> list[str]:
        """The keys that were written."""
        return [key for method, key in self.made if method.startswith(WRITES)]

    @property
    def reads(self) -> list[str]:
        """The keys of which the content was read."""
        return [key for method, key in self.made if method == "get_object"]


def require_right(bench: Archiving) -> None:
    """Check that the catalog is what one is that is made of the bags alone, and that there is nothing to do to it."""
    before = rows(bench), sessions(bench)
    requests = Requests()
    report = update(bench, requests)
    assert (report.read, report.months_written, report.settled, requests.writes) == (0, 0, True, [])
    delete(bench, *files(bench))
    update(bench)
    assert (rows(bench), sessions(bench)) == before


def test_each_recording_has_a_row_in_the_file_of_its_month(bench: Archiving) -> None:
    recordings = three(bench)
    report = update(bench)
    assert (report.recordings, report.read, report.removed, report.months_written) == (3, 3, 0, 3)
    assert report.settled
    assert files(bench).keys() == {catalog_key(bench, month) for month in ("2026-09", "2026-10", "2026-11")}
    assert rows(bench).keys() == {recording.id for recording in recordings}
    require_right(bench)


def test_an_update_with_nothing_new_reads_one_file_and_writes_none(bench: Archiving) -> None:
    three(bench)
    update(bench)
    requests = Requests()
    report = update(bench, requests)
    assert (report.recordings, report.read, report.months_written) == (3, 0, 0)
    assert requests.writes == []
    assert requests.reads == [catalog_key(bench, "2026-11")]
    assert len(requests.made) == len(MONTHS) + 6  # root, app, year, audits, the catalog and its newest file


def test_of_a_bag_no_payload_byte_is_read(bench: Archiving) -> None:
    three(bench)
    requests = Requests()
    update(bench, requests)
    assert requests.reads
    assert not [key for key in requests.reads if "/data/" in key]


def test_only_what_is_new_changed_or_gone_is_read_and_only_its_month_is_written(bench: Archiving) -> None:
    first, second, third = three(bench)
    update(bench)
    before = rows(bench)
    bench.archived(second, overwrite=True)
    requests = Requests()
    report = update(bench, requests)
    assert (report.read, report.removed) == (1, 0)
    # The newest file holds what all others are derived from.
    assert set(requests.writes) == {catalog_key(bench, "2026-10"), catalog_key(bench, "2026-11")}
    assert not [key for key in requests.reads if first.id in key or third.id in key]
    after = rows(bench)
    assert after[second.id]["archived_at"] > before[second.id]["archived_at"]
    assert (after[first.id], after[third.id]) == (before[first.id], before[third.id])
    delete_bag(bench, first)
    report = update(bench)
    assert (report.read, report.removed) == (0, 1)
    assert rows(bench).keys() == {second.id, third.id}
    assert catalog_key(bench, "2026-09") not in files(bench)
    require_right(bench)


def test_the_newest_month_may_go_and_a_newer_one_may_come(rclone: Archiving) -> None:
    first, second, third = three(rclone)
    update(rclone)
    delete_bag(rclone, third)
    update(rclone)
    assert rows(rclone).keys() == {first.id, second.id}
    require_right(rclone)
    new = rclone.add(5000, invoked_time=datetime(2026, 12, 1, tzinfo=UTC))
    rclone.archived(new)
    update(rclone)
    assert rows(rclone).keys() == {first.id, second.id, new.id}
    requests = Requests()
    update(rclone, requests)
    assert requests.reads == [catalog_key(rclone, "2026-12")]
    require_right(rclone)


def test_a_description_comes_later_and_is_read_when_it_comes_changes_or_goes(bench: Archiving) -> None:
    recording, *_ = three(bench)
    update(bench)
    key = f"{bench.folder(recording).rstrip('/')}.description.json"
    for codec in ("h264", "vp9"):
        stream = {"kind": "video", "codec": codec, "width": 640, "height": 360}
        file = {"path": "data/video/a.mp4", "container": "mov,mp4", "streams": [stream]}
        put(bench, key, json.dumps({"files": [file], "findings": ["too short"]}).encode())
        assert update(bench).read == 1
        row = rows(bench)[recording.id]
        assert (row["codecs"], row["width"], row["container"]) == ([codec], 640, "mov,mp4")
        assert row["media_findings"] == ["too short"]
    delete(bench, key)
    update(bench)
    assert rows(bench)[recording.id]["codecs"] == []
    require_right(bench)


def test_a_description_too_large_to_be_one_describes_nothing_and_ends_no_update(rclone: Archiving) -> None:
    recording = rclone.add(1000)
    rclone.archived(recording)
    put(rclone, f"{rclone.folder(recording).rstrip('/')}.description.json", bytes(LARGEST_READ + 1))
    assert update(rclone).unreadable == ()
    assert rows(rclone)[recording.id]["condition"] == "whole"


def test_a_poster_is_known_as_long_as_the_bag_holds_the_video_that_it_is_a_frame_of(rclone: Archiving) -> None:
    recording = rclone.add(1000)
    rclone.archived(recording)
    beside = rclone.folder(recording).rstrip("/")
    video = key_of(rclone, recording, "data/video/").removeprefix(f"{beside}/")
    sha256 = hashlib.sha256(rclone.objects()[f"{beside}/{video}"]).hexdigest()
    for poster, stated, known in ((video, sha256, True), (video, "0" * 64, False), ("", sha256, False)):
        described = {"files": [{"path": video, "sha256": stated}], "poster": poster}
        put(rclone, f"{beside}.poster.jpg", b"\xff\xd8\xff")
        put(rclone, f"{beside}.description.json", json.dumps(described).encode())
        update(rclone)
        url = f"s3://{rclone.bucket}/{beside}.poster.jpg" if known else None
        assert rows(rclone)[recording.id]["poster_url"] == url
    assert audited(rclone).notices == set()
    put(rclone, f"{beside}.description.json", json.dumps(described | {"poster": video}).encode())
    update(rclone)
    assert rows(rclone)[recording.id]["poster_url"]
    delete(rclone, f"{beside}.poster.jpg")
    assert update(rclone).read == 1
    assert rows(rclone)[recording.id]["poster_url"] is None
    require_right(rclone)


def test_what_audits_found_stands_in_the_rows_until_a_recording_is_replaced(bench: Archiving) -> None:
    first, second, third = three(bench)
    update(bench)
    assert {row["fixity_outcome"] for row in rows(bench).values()} == {None}
    body = bytearray(
        bench.s3.get_object(Bucket=bench.bucket, Key=(key := key_of(bench, first, "data/video/")))["Body"].read()
    )
    body[7] ^= 1
    put(bench, key, bytes(body))
    audited(bench)
    report = update(bench)
    assert report.read == 1  # the one that was tampered with
    outcomes = {its_id: row["fixity_outcome"] for its_id, row in rows(bench).items()}
    assert outcomes == {first.id: "damaged", second.id: "whole", third.id: "whole"}
    row = rows(bench)[first.id]
    assert "altered" in row["fixity_findings"][0]
    assert row["fixity_checked_at"] == row["fixity_read_at"]
    bench.archived(first, overwrite=True)
    update(bench)
    assert rows(bench)[first.id]["fixity_outcome"] is None
    assert rows(bench)[second.id]["fixity_outcome"] == "whole"
    require_right(bench)


def test_an_audit_log_that_is_lost_leaves_a_catalog_without_it(rclone: Archiving) -> None:
    three(rclone)
    audited(rclone)
    update(rclone)
    assert {row["fixity_outcome"] for row in rows(rclone).values()} == {"whole"}
    delete(rclone, *rclone.stored_keys("archive/_audit/"))
    update(rclone)
    assert {row["fixity_outcome"] for row in rows(rclone).values()} == {None}
    require_right(rclone)


def test_a_damaged_bag_has_a_row_that_says_so_and_a_whole_one_again_once_it_is_mended(bench: Archiving) -> None:
    whole, short, torn = three(bench)
    put(bench, key_of(bench, short, "data/video/"), b"short")
    put(bench, f"{bench.folder(torn)}recording.json", b"\xff{")
    report = update(bench)
    assert report.unreadable == ()
    found = {its_id: row["condition"] for its_id, row in rows(bench).items()}
    assert found == {whole.id: "whole", short.id: "damaged", torn.id: "damaged"}
    assert "Payload-Oxum" in rows(bench)[short.id]["findings"][-1]
    assert rows(bench)[torn.id]["session_id"] is None
    require_right(bench)
    bench.archived(short, overwrite=True)
    update(bench)
    assert rows(bench)[short.id]["condition"] == "whole"
    assert "Payload-Oxum" not in " ".join(rows(bench)[short.id]["findings"])


@pytest.mark.parametrize("how", ["refused", "unforeseen"])
def test_a_bag_that_cannot_be_read_stops_no_other_and_is_tried_again(rclone: Archiving, how: str) -> None:
    _, bad, _ = three(rclone)

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and request["Key"].endswith(f"{bad.id}/recording.json"):
            if how == "unforeseen":
                raise AssertionError
            raise refusal("AccessDenied", 403)
        return send()

    for _ in range(2):
        report = update(rclone, meddle)
        assert report.settled
        assert (len(report.unreadable), len(rows(rclone))) == (1, 3)
        row = rows(rclone)[bad.id]
        assert (row["condition"], row["bag_version"]) == ("unreadable", None)
        assert row["archive_url"].endswith(f"/{bad.id}/")
    report = update(rclone)
    assert (report.read, report.unreadable, rows(rclone)[bad.id]["condition"]) == (1, (), "whole")
    require_right(rclone)


def test_a_bag_that_can_be_read_at_the_second_look_is_settled(rclone: Archiving) -> None:
    _, bad, _ = three(rclone)
    refused: list[str] = []

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and request["Key"].endswith(f"{bad.id}/recording.json") and not refused:
            refused.append(request["Key"])
            rclone.archived(rclone.add(9000, invoked_time=MONTHS[1]))  # so that the month is looked at again
            raise refusal("AccessDenied", 403)
        return send()

    report = update(rclone, meddle)
    assert (report.settled, report.unreadable) == (True, ())
    require_right(rclone)


def test_a_store_that_is_away_ends_the_update_and_leaves_what_was_there(rclone: Archiving) -> None:
    first, *_ = three(rclone)
    update(rclone)
    before = files(rclone)
    rclone.archived(first, overwrite=True)

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and first.id in request["Key"]:
            raise refusal("SlowDown", 503)
        if method == "list_objects_v2" and first.id in request["Prefix"]:
            raise refusal("SlowDown", 503)
        return send()

    with pytest.raises(StoreUnavailable):
        updated_by(rclone.run(meddle, patience_s=0.3))
    assert files(rclone) == before
    update(rclone)
    require_right(rclone)


def test_bags_of_others_and_what_is_no_bag_have_no_row_and_disturb_nothing(bench: Archiving) -> None:
    recordings = three(bench)
    put(bench, "archive/other/bagit.txt", b"BagIt-Version: 1.0\n")
    put(bench, "archive/other/data/a.mp4", b"a")
    put(bench, "archive/stray.txt", b"a")
    put(bench, f"archive/{bench.kit.app_id}/2026/10/01/session-1/v0001/bagit.txt", b"BagIt-Version: 1.0\n")
    half_done = f"archive/{bench.kit.app_id}/2026/10/01/{'0' * 8}-0000-0000-0000-{'0' * 12}/"
    put(bench, f"{half_done}data/video/a.mp4", b"a")
    update(bench)
    assert rows(bench).keys() == {recording.id for recording in recordings}
    put(bench, f"{half_done}bagit.txt", b"BagIt-Version: 1.0\n")
    put(bench, f"{half_done}bag-info.txt", b"Bag-Software-Agent: bagit.py v1.9\n")
    update(bench)
    row = rows(bench)[half_done.split("/")[-2]]
    assert (row["condition"], row["bytes"], row["status"]) == ("foreign", 1, None)
    require_right(bench)


def test_what_others_put_among_the_catalogs_files_is_told_and_left(rclone: Archiving) -> None:
    three(rclone)
    put(rclone, "archive/_catalog/notes.txt", b"mine")
    report = update(rclone)
    assert report.foreign == ("_catalog/notes.txt",)
    assert "archive/_catalog/notes.txt" in files(rclone)


def test_an_audit_takes_the_catalog_for_no_foreign_objects(rclone: Archiving) -> None:
    three(rclone)
    update(rclone)
    assert audited(rclone).notices == set()


@pytest.mark.parametrize("junk", [b"", b"junk", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_file_of_the_catalog_that_is_none_is_written_anew(rclone: Archiving, junk: bytes) -> None:
    three(rclone)
    update(rclone)
    right = rows(rclone)
    for month in ("2026-10", "2026-11"):
        put(rclone, catalog_key(rclone, month), junk)
        update(rclone)
        assert rows(rclone) == right
    require_right(rclone)


@pytest.mark.parametrize(
    ("fact", "value"),
    [("bytes", 5), ("bytes", -1), ("bytes", 10**400), ("started_at", "2026-11-27T10:00:00")],
    ids=["right", "below nothing", "endless", "in no time zone"],
)
def test_a_session_that_somebody_wrote_is_known_only_if_it_can_be_sorted_and_shown(fact: str, value: object) -> None:
    session = {"session_id": "1", "session_version": "2", "archive_url": "s3://bucket/", fact: value}
    content = parquet.encode([], json.dumps({"source": {}, "sessions": [session]}))
    store: Any = SimpleNamespace(get=lambda *_: content)
    found = dataset.Dataset(store, "").contents(Month("app", "2026-11"))
    assert len(found.sessions) == (value == 5)


def test_an_older_schema_is_written_anew_and_a_newer_one_is_left_alone(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(rclone)
    update(rclone)
    right = rows(rclone)
    for module in ("dataset", "update"):
        monkeypatch.setattr(f"tasks.catalog.{module}.SCHEMA_VERSION", 3)
    monkeypatch.setattr(dataset.Source.model_fields["schema_version"], "default", 3)
    dataset.Source.model_rebuild(force=True)
    try:
        report = update(rclone)
        assert (report.read, report.months_written) == (3, 3)
        require_right(rclone)
        written = files(rclone)
    finally:
        monkeypatch.undo()
        dataset.Source.model_rebuild(force=True)
    with pytest.raises(CatalogNewer, match="version 3"):
        update(rclone)
    assert files(rclone) == written
    assert rows(rclone) == right


def test_a_rebuild_reads_all_bags_and_finds_the_same(bench: Archiving) -> None:
    three(bench)
    audited(bench)
    update(bench)
    before = rows(bench)
    report = update(bench, rebuild=True)
    assert (report.read, report.settled) == (3, True)
    assert rows(bench) == before
    require_right(bench)


def test_after_a_recording_only_its_month_is_looked_at(bench: Archiving) -> None:
    _, _, third = three(bench)
    audited(bench)
    update(bench)
    new = bench.add(3000, invoked_time=MONTHS[2])
    url = bench.archived(new).archive_url
    requests = Requests()
    report = update(bench, requests, archive_url=url)
    assert (report.recordings, report.read) == (2, 1)
    assert requests.writes == [catalog_key(bench, "2026-11")]
    assert {key for method, key in requests.made if method == "list_objects_v2"} == {
        f"archive/{bench.kit.app_id}/2026/11/",
        *(f"archive/{bench.kit.app_id}/{day}/" for day in ("2026/10/30", "2026/10/31", "2026/12/01")),  # sessions
        catalog_key(bench, "2026-11"),
        bench.folder(new),
    }
    assert rows(bench)[third.id]["fixity_outcome"] == "whole"
    requests = Requests()
    assert update(bench, requests).months_written == 0
    assert requests.reads == [catalog_key(bench, "2026-11")]
    require_right(bench)


def test_the_first_recording_of_a_month_may_be_told_alone_too(rclone: Archiving) -> None:
    recording, *_ = three(rclone)
    audited(rclone)
    folder = f"s3://{rclone.bucket}/{rclone.folder(recording)}"
    assert update(rclone, archive_url=folder.rstrip("/")).read == 1
    assert rows(rclone).keys() == {recording.id}
    update(rclone)
    assert {row["fixity_outcome"] for row in rows(rclone).values()} == {"whole"}
    require_right(rclone)


@pytest.mark.parametrize("url", ["", "s3://elsewhere/a/b/", "s3://{}/archive/../x/", "https://example.org/"])
def test_an_address_elsewhere_is_refused(rclone: Archiving, url: str) -> None:
    if url:
        with pytest.raises(NotInArchive):
            update(rclone, archive_url=url.format(rclone.bucket))
    assert rclone.stored_keys() == []


def test_one_app_alone_may_be_looked_at(rclone: Archiving) -> None:
    ours = three(rclone)
    other = rclone.add(4000, invoked_time=MONTHS[0])
    rclone.archived(other)
    moved = [(key, key.replace(rclone.kit.app_id, "another")) for key in rclone.stored_keys(rclone.folder(other))]
    for key, target in moved:
        put(rclone, target, rclone.s3.get_object(Bucket=rclone.bucket, Key=key)["Body"].read())
        delete(rclone, key)
    assert update(rclone, app_ids=("another",)).recordings == 1
    assert rows(rclone).keys() == {other.id}
    assert update(rclone).recordings == 4
    assert rows(rclone).keys() == {other.id, *(one.id for one in ours)}
    assert update(rclone, app_ids=("another",)).months_written == 0
    require_right(rclone)


def test_whichever_write_fails_the_next_update_leaves_a_right_catalog(rclone: Archiving) -> None:
    recordings = three(rclone)
    for number in range(1, 20):
        failing = Failing(number)
        delete(rclone, *files(rclone))
        update_or_fail(rclone, failing)
        if not failing.happened:
            break
        assert rows(rclone).keys() <= {one.id for one in recordings}
        update(rclone)
        require_right(rclone)
    assert 4 <= number < 20  # three months, and the newest again with the sources of the others


def update_or_fail(bench: Archiving, failing: Failing) -> None:
    try:
        update(bench, failing)
    except Exception:  # noqa: BLE001 - whatever it is
        assert failing.happened


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_update_that_is_killed_leaves_whole_files_and_the_next_carries_on(rclone: Archiving, number: int) -> None:
    recordings = three(rclone)
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.catalog_child", rclone.setup().text(), str(number)]
    killed = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(rows(rclone)) == min(number - 1, 3)
    report = update(rclone)
    assert report.read == 3 - min(number - 1, 3)
    assert rows(rclone).keys() == {one.id for one in recordings}
    require_right(rclone)


def changes(bench: Archiving, recordings: list[StandInRecording]) -> dict[str, Callable[[], Any]]:
    """Return what may happen to an archive while an update is at work."""

    def archive() -> None:
        bench.archived(bench.add(9000, invoked_time=MONTHS[1]))

    def archive_session() -> None:
        meeting = Meeting.at(bench)
        meeting.session.started_at = MONTHS[1]
        bench.run().archived_session(meeting.id)

    return {
        "archived": archive,
        "session archived": archive_session,
        "overwritten": lambda: bench.archived(recordings[1], overwrite=True),
        "deleted": lambda: delete_bag(bench, recordings[1]),
        "month gone": lambda: delete_bag(bench, recordings[2]),
        "audited": lambda: audited(bench),
    }


@pytest.mark.parametrize("what", ["archived", "session archived", "overwritten", "deleted", "month gone", "audited"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_two_updates_at_once_leave_a_right_catalog_whatever_happens_between(
    rclone: Archiving, number: int, what: str
) -> None:
    recordings = three(rclone)
    if number % 2:
        update(rclone)
        for recording in recordings:
            rclone.archived(recording, overwrite=True)

    def meanwhile() -> None:
        changes(rclone, recordings)[what]()
        update(rclone)  # sees more, and is done before the other writes what it saw

    between = Between(number, meanwhile)
    report = update(rclone, between)
    assert between.happened
    assert report.settled
    if what == "audited":  # of which the slower update cannot know
        update(rclone)
    require_right(rclone)


def test_what_changes_at_each_look_is_left_to_the_next_update(rclone: Archiving) -> None:
    recordings = three(rclone)

    def meddle(method: str, _request: dict[str, Any], send: Any) -> Any:
        if method == "put_object":
            rclone.archived(recordings[1], overwrite=True)
        return send()

    assert not update(rclone, meddle).settled
    assert update(rclone).settled
    require_right(rclone)


def test_a_bag_that_is_replaced_while_it_is_read_is_read_again(rclone: Archiving) -> None:
    _, second, _ = three(rclone)
    done: list[Row] = []

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and request["Key"].endswith(f"{second.id}/bag-info.txt") and not done:
            done.append({})
            rclone.archived(second, overwrite=True)
        return send()

    report = update(rclone, meddle)
    assert (report.read, report.settled) == (4, True)
    require_right(rclone)


def test_a_sessions_bag_is_no_recording(rclone: Archiving) -> None:
    meeting = Meeting.at(rclone)
    recording = meeting.add_recording()
    rclone.archived(recording)
    archived = rclone.run().archived_session(meeting.id)
    update(rclone)
    assert list(rows(rclone)) == [recording.id]
    with pytest.raises(NotInArchive):
        update(rclone, archive_url=archived.archive_url)


def people(bench: Archiving) -> dict[str, list[str]]:
    return {its_id: row["participants"] for its_id, row in rows(bench).items()}


def test_who_took_part_is_read_from_the_sessions_bag_whenever_it_comes_changes_or_goes(rclone: Archiving) -> None:
    meeting = Meeting.at(rclone)
    first, second = meeting.add_recording(), meeting.add_recording(60)
    alone = rclone.add(1000, invoked_time=first.invoked_time)
    for recording in (first, second, alone):
        rclone.archived(recording)
    update(rclone)
    assert people(rclone) == {first.id: [], second.id: [], alone.id: []}
    rclone.run().archived_session(meeting.id)
    requests = Requests()
    report = update(rclone, requests)
    assert (report.recordings, report.read, report.settled) == (3, 0, True)
    assert people(rclone) == {first.id: ["Mary 0", "Mary 1"], second.id: ["Mary 0", "Mary 1"], alone.id: []}
    assert rows(rclone)[first.id]["participant_ids"] == ["user-0", "user-1"]
    # The bag of the session is read once for both of them.
    assert len([key for key in requests.reads if key.endswith("participants.json")]) == 1
    require_right(rclone)
    meeting.session.add_participants(1)
    meeting.put("transcript", b'"0","peer","user","custom","Mary","Hello"\n')
    rclone.run().archived_session(meeting.id)
    update(rclone)
    assert people(rclone)[second.id] == ["Mary 0", "Mary 1", "Mary 2"]
    require_right(rclone)
    # Of a version that is damaged nothing is believed: the one before counts.
    put(rclone, f"{meeting.folder}v0002/participants.json", b'[{"display_name": "Mallory"}]')
    update(rclone)
    assert people(rclone)[first.id] == ["Mary 0", "Mary 1"]
    delete(rclone, *rclone.stored_keys(meeting.folder))
    update(rclone)
    assert people(rclone)[first.id] == []
    require_right(rclone)


@pytest.mark.parametrize(
    "recorded", [datetime(2026, 10, 1, 0, 5, tzinfo=UTC), datetime(2026, 9, 30, 23, 59, tzinfo=UTC)]
)
def test_a_session_of_the_month_before_or_after_is_found_also_when_only_one_month_is_looked_at(
    rclone: Archiving, recorded: datetime
) -> None:
    meeting = Meeting.at(rclone)
    began = datetime(2026, 9, 29, 8, tzinfo=UTC) if recorded.month == 10 else datetime(2026, 10, 1, 0, 1, tzinfo=UTC)
    meeting.session.started_at = began
    recording = rclone.add(1000, invoked_time=recorded, details={"session_id": meeting.id.upper()})
    url = rclone.archived(recording).archive_url
    update(rclone)
    rclone.run().archived_session(meeting.id)
    for _ in range(2):
        update(rclone, archive_url=url)
        assert people(rclone) == {recording.id: ["Mary 0", "Mary 1"]}
        assert update(rclone, archive_url=url).months_written == 0
        delete(rclone, *files(rclone))
    update(rclone)
    assert people(rclone) == {recording.id: ["Mary 0", "Mary 1"]}
    require_right(rclone)


def test_a_sessions_bag_that_cannot_be_read_is_tried_again_and_nobody_is_forgotten(rclone: Archiving) -> None:
    meeting = Meeting.at(rclone)
    recording = meeting.add_recording()
    rclone.archived(recording)
    rclone.run().archived_session(meeting.id)
    update(rclone)
    meeting.session.add_participants(1)
    meeting.put("transcript", b'"0","peer","user","custom","Mary","Hello"\n')
    rclone.run().archived_session(meeting.id)

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and request["Key"].endswith("v0002/participants.json"):
            raise refusal("AccessDenied", 403)
        return send()

    for _ in range(2):
        report = update(rclone, meddle)
        assert (report.settled, len(report.unreadable)) == (True, 1)
        assert people(rclone) == {recording.id: ["Mary 0", "Mary 1"]}
    assert update(rclone).unreadable == ()
    assert people(rclone) == {recording.id: ["Mary 0", "Mary 1", "Mary 2"]}
    require_right(rclone)


def test_nobody_is_forgotten_if_a_sessions_bag_cannot_be_read_while_its_recording_is_read_anew(
    rclone: Archiving,
) -> None:
    recorded, alone = Meeting.at(rclone), Meeting.at(rclone)
    recording = recorded.add_recording()
    rclone.archived(recording)
    alone.put("chat", b"[]", "chat.json", "application/json")
    for meeting in (recorded, alone):
        rclone.run().archived_session(meeting.id)
    update(rclone)
    before = sessions(rclone)
    assert [session.session_id for session in before] == [alone.id]
    for meeting in (recorded, alone):
        meeting.put("transcript", b'"0","peer","user","custom","Mary","Hello"\n')
        rclone.run().archived_session(meeting.id)
    rclone.archived(recording, overwrite=True)

    def meddle(method: str, request: dict[str, Any], send: Any) -> Any:
        if method == "get_object" and request["Key"].endswith("v0002/participants.json"):
            raise refusal("AccessDenied", 403)
        return send()

    for options in ({}, {"rebuild": True}):
        assert len(update(rclone, meddle, **options).unreadable) == 2
        assert people(rclone) == {recording.id: ["Mary 0", "Mary 1"]}
        assert sessions(rclone) == before
    assert update(rclone).unreadable == ()
    assert sessions(rclone)[0].documents == ("transcript", "chat")
    require_right(rclone)


def test_of_very_many_sessions_without_a_recording_a_file_that_can_be_read_tells_fewer_people(
    rclone: Archiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "MOST_OF_SESSIONS", 1000)
    meeting = Meeting.at(rclone)
    meeting.session.add_participants(100)
    meeting.put("chat", b"[]", "chat.json", "application/json")
    rclone.run().archived_session(meeting.id)
    assert update(rclone).settled
    (session,) = sessions(rclone)
    assert (session.session_id, len(session.model_dump_json()) <= 1000) == (meeting.id, True)
    assert session.participants[:2] == ("Mary 0", "Mary 1")
    require_right(rclone)


def test_a_session_without_a_recording_has_no_row_and_stands_in_the_footer(rclone: Archiving) -> None:
    meeting = Meeting.at(rclone, title="Only a chat")
    meeting.put("chat", b"[]", "chat.json", "application/json")
    rclone.run().archived_session(meeting.id)
    report = update(rclone)
    assert (report.recordings, report.months_written, rows(rclone)) == (0, 1, {})
    (session,) = sessions(rclone)
    assert (session.session_id, session.title, session.documents) == (meeting.id, "Only a chat", ("chat",))
    assert session.participants == ("Mary 0", "Mary 1")
    assert session.started_at == meeting.session.started_at
    require_right(rclone)
    recording = meeting.add_recording()
    rclone.archived(recording)
    update(rclone)
    assert (list(rows(rclone)), sessions(rclone)) == ([recording.id], [])
    delete_bag(rclone, recording)
    update(rclone)
    assert (rows(rclone), sessions(rclone)) == ({}, [session])
    # A session of which nothing is whole is none, and no reason to write again and again.
    put(rclone, f"{meeting.folder}v0001/session.json", b"{}")
    assert update(rclone).settled
    assert (update(rclone).months_written, sessions(rclone)) == (0, [])
    delete(rclone, *rclone.stored_keys(meeting.folder))
    assert update(rclone).settled
    assert files(rclone) == {}
