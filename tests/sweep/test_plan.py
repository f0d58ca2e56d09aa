"""A sweep's plan: what comes first, what is at risk, what is lost, and what only looks like it."""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from tasks.archive import bag
from tasks.archive.models import ArchivedFile, ArchivedRecording
from tasks.archive.partial import can_be_completed
from tasks.realtimekit.parsing import parse_recording
from tasks.sweep.ledger import Ledger
from tasks.sweep.plan import Plan, make_plan, merge_plans
from tasks.sweep.report import REASON_WIDTH, Sweep, Swept, findings, read_told, rows, summary
from tasks.sweep.scope import LONGEST_RECORDING, Scope
from tasks.sweep.survey import ListedRecording, summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.realtimekit.models import Recording

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
DAY = timedelta(days=1)
LOG = logging.getLogger(__name__)


def recording(**details: Any) -> Recording:
    its = {"id": "a", "status": "UPLOADED", "download_url": "https://r2.example/a.mp4", "invoked_time": at(DAY)}
    return parse_recording(its | details)


def at(ago: timedelta) -> str:
    return (NOW - ago).isoformat()


def one(name: str, ago: timedelta = DAY, **more: Any) -> ListedRecording:
    its: dict[str, Any] = {"status": "UPLOADED", "invoked": NOW - ago, "expires": NOW - ago + WEEK}
    return ListedRecording(
        **({"id": name, "app_id": "app", "folder": f"app/day/{name}/", "files": {"video": 1}} | its | more)
    )


@pytest.mark.parametrize(
    ("times", "since"),
    [
        ({"stopped_time": at(DAY), "invoked_time": at(2 * DAY)}, DAY),
        ({"started_time": at(DAY), "invoked_time": at(2 * DAY)}, 2 * DAY),
        ({"started_time": at(DAY), "invoked_time": None}, DAY),
        ({"download_url_expiry": at(-WEEK)}, DAY),
    ],
)
def test_a_recording_expires_seven_days_after_it_stopped_or_else_began(times: dict[str, Any], since: timedelta) -> None:
    its = recording(**times)
    expiry = NOW - since + WEEK
    assert its.expires == expiry
    assert not its.has_left_the_bucket(expiry)  # the same rule
    assert its.has_left_the_bucket(expiry + timedelta(seconds=1))


def test_without_any_time_nobody_knows_the_expiry_and_it_comes_first() -> None:
    assert recording(invoked_time=None).expires is None
    timeless = one("z", expires=None)
    assert timeless.is_at_risk(Scope(NOW))
    assert make_plan([one("a", 6 * DAY), timeless], {}).to_archive == (timeless, one("a", 6 * DAY))


def test_soonest_expiry_comes_first_over_all_apps() -> None:
    plans = [make_plan([one("a"), one("b", 5 * DAY)], {}), make_plan([one("c", 3 * DAY, app_id="other")], {})]
    assert [it.id for it in merge_plans(plans).to_archive] == ["b", "c", "a"]


def look(its: Recording, *, expired: bool = False) -> ListedRecording:
    return summarize(its, "app", "app/day/a/", NOW, expired=expired)


@pytest.mark.parametrize("ago", [DAY, 8 * DAY])
def test_what_has_its_urls_is_archived_though_by_our_clock_its_time_is_over(ago: timedelta) -> None:
    its = look(recording(invoked_time=at(ago)))
    assert make_plan([its], {}).to_archive == (its,)


def test_what_the_api_calls_expired_before_its_time_is_tried_as_long_as_it_has_urls() -> None:
    assert make_plan([its := look(recording(), expired=True)], {}).to_archive == (its,)
    assert make_plan([its := look(recording(download_url=None), expired=True)], {}).lost == (its,)
    assert make_plan([its := look(recording(invoked_time=at(8 * DAY)), expired=True)], {}).lost == (its,)


@pytest.mark.parametrize(
    ("status", "ago", "where"),
    [
        ("UPLOADING", DAY, "coming"),
        ("UPLOADING", 3 * DAY, "stuck"),
        ("RECORDING", 3 * DAY, "stuck"),
        ("PAUSED", DAY, "coming"),
        ("PAUSED", 3 * DAY, "stuck"),
        ("ERRORED", DAY, "errored"),
        ("ERRORED", 5 * DAY, "errored"),
        ("TRANSCODING", 3 * DAY, "stuck"),
    ],
)
def test_what_is_not_uploaded_is_on_its_way_for_two_days_and_stuck_after_that(
    status: str, ago: timedelta, where: str
) -> None:
    its = look(recording(status=status, download_url=None, invoked_time=at(ago)))
    plan = make_plan([its], {})
    assert {name: getattr(plan, name) for name in ("coming", "stuck", "errored")} == {
        "coming": (), "stuck": (), "errored": ()
    } | {where: (its,)}  # fmt: skip


def test_what_is_stuck_or_errored_fails_one_sweep_and_is_listed_by_the_others() -> None:
    first = Sweep(dry_run=False, already_archived=0, stuck=(swept(1, reason="PAUSED"),), errored=(swept(2),))
    told = findings(first, Scope(NOW))
    assert f"before they are gone): {swept(1).recording_id} (PAUSED)" in told
    assert f"1 ERRORED, of which no file will ever come: {swept(2).recording_id}" in told
    table = json.dumps(rows(first))
    assert read_told(table) == {swept(1).recording_id, swept(2).recording_id}
    assert findings(first, Scope(NOW, told=read_told(table))) == ""
    assert len(rows(first)) == 2


@pytest.mark.parametrize("table", ["", "null", "{}", "[1]", '[{"outcome": 1}]', '[{"recording": "a"}]'])
def test_a_table_that_is_none_told_nothing(table: str) -> None:
    assert read_told(table) == frozenset()


def test_what_is_archived_is_never_lost_nor_archived_again() -> None:
    gone = look(recording(download_url=None, invoked_time=at(8 * DAY)), expired=True)
    assert make_plan([gone, one("b")], {"a": Counter(), "b": Counter(video=1)}) == Plan(already=2)


def test_where_realtimekits_bucket_is_off_nothing_is_lost_but_where_it_is_on_it_is() -> None:
    off = look(recording(download_url=None))
    gone = one("b", 8 * DAY, obstacle="gone", gone=True, files={})
    assert off.obstacle.startswith("RealtimeKit's bucket was turned off")
    assert make_plan([off, gone], {}).not_downloadable == (gone, off)
    assert make_plan([off, gone, one("c")], {}).lost == (gone,)
    assert make_plan([one("c"), one("b", 8 * DAY, obstacle="gone", gone=True, elsewhere=True)], {}).lost == ()


@pytest.mark.parametrize(
    ("storage", "elsewhere", "told"),
    [
        (None, False, "the API names no storage of your own"),
        ({"type": "aws"}, True, "your own storage (aws)"),
        ({"type": "sftp", "bucket": "b"}, True, "your own storage (sftp, bucket b)"),
        ({"type": "cloudflare"}, False, "the API names no storage of your own"),
        ({"type": "cloudflare", "bucket": "mine"}, True, "(cloudflare, bucket mine, taken for your own R2"),
        ({"bucket": "mine"}, True, "your own storage (bucket mine)"),
    ],
)
def test_the_customers_r2_is_told_from_realtimekits_bucket_by_the_bucket_that_it_names(
    storage: object,
    elsewhere: bool,  # noqa: FBT001 - a row of the table
    told: str,
) -> None:
    young = look(recording(id="b", download_url=None, storage_config=storage))
    gone = look(recording(download_url=None, storage_config=storage, invoked_time=at(8 * DAY)), expired=True)
    assert told in young.obstacle
    plan = make_plan([young, gone, one("c")], {})
    assert [it.id for it in plan.lost] == ([] if elsewhere else ["a"])
    assert [it.overdue for it in plan.not_downloadable if it.id == "b"] == [not elsewhere]


def test_a_track_recording_in_which_nobody_spoke_is_not_at_risk() -> None:
    quiet = replace(one("quiet", 6.5 * DAY), files={}, obstacle="nobody spoke", empty=True)
    assert at_risk(quiet, one("other")) == []
    assert look(recording(download_url=[])).empty
    gone = look(recording(download_url=[], invoked_time=at(8 * DAY)), expired=True)
    assert not gone.empty, "by then, the API may hand out nothing for what it had"
    assert make_plan([gone, one("other")], {}).lost == (gone,)


def test_a_file_without_a_url_is_at_risk_when_its_time_comes_and_what_lies_in_an_own_storage_is_not() -> None:
    half = look(
        recording(download_url="https://", audio_download_url="https://r2.example/a.mp3", invoked_time=at(6.5 * DAY))
    )
    its = {"storage_config": {"type": "aws"}}
    off = look(recording(id="b", download_url=None, invoked_time=at(6.5 * DAY), **its))
    result = book([half, off, one("c")], kept={"a": {"audio": 1}}).result(dry_run=False)
    assert [it.recording_id for it in result.not_downloadable] == ["a", "b"]
    assert [it.recording_id for it in result.at_risk] == ["a"]


def book(recordings: list[ListedRecording], kept: Mapping[str, Mapping[str, int]] = MappingProxyType({})) -> Ledger:
    return Ledger(make_plan(recordings, {}, kept), Scope(NOW), {}, LOG)


def test_what_another_run_is_at_work_on_is_left_to_it_unless_it_is_at_risk() -> None:
    busy, urgent, free = one("a"), one("b", 6.5 * DAY), one("c")
    its = book([busy, urgent, free])
    assert its.todo(0, {"a", "b"}) == [urgent, free]
    assert [it.recording_id for it in its.result(dry_run=False).under_way] == ["a"]


def test_counts_are_compared_by_kind() -> None:
    fewer, same = one("a", files={"tracks": 3}), one("b", files={"video": 1})
    archived = {"a": Counter(tracks=1, audio=1), "b": Counter(video=1, audio=1)}
    assert make_plan([fewer, same], archived).gained == ((fewer, "2 more of tracks/"),)


def test_the_lists_overlap_so_that_what_moves_on_meanwhile_is_still_met() -> None:
    coming, recent, older, expired = Scope(NOW).looks()
    nine_days_ago = NOW - WEEK - 2 * LONGEST_RECORDING
    assert coming.filters == {"status": ("INVOKED", "RECORDING", "UPLOADING", "PAUSED", "ERRORED")}
    assert coming.otherwise == {"status": ("INVOKED", "RECORDING", "UPLOADING")}
    assert (recent.filters, recent.since) == ({"status": ("UPLOADED",)}, nine_days_ago)
    assert (older.filters, older.before) == ({"status": ("UPLOADED",), "expired": False}, nine_days_ago)
    assert (expired.filters["expired"], expired.since) == (True, NOW - WEEK - 2 * DAY)
    assert [look.since for look in Scope(NOW, within=DAY).looks()] == [NOW - DAY] * 2
    assert {look.filters["meeting_id"] for look in Scope(NOW, meeting_id="abcdef-ghijkl").looks()} == {"abcdef-ghijkl"}


def swept(number: int, **more: Any) -> Swept:
    return Swept(**({"recording_id": f"{number:036}", "app_id": "a", "invoked_time": None, "expires_at": NOW} | more))


def test_a_message_names_some_of_each_kind_and_counts_the_others() -> None:
    many = tuple(swept(number, reason="x" * 500) for number in range(5000))
    told = findings(Sweep(dry_run=False, already_archived=0, failed=many, at_risk=many, lost=many), Scope(NOW, DAY))
    assert "5000 at risk" in told
    assert told.count("and 4995 more") == 3
    assert len(told) < 2000


def test_a_lost_recording_is_told_for_as_long_as_it_was_at_risk() -> None:
    def told(ago: timedelta, unswept: timedelta = timedelta(0)) -> str:
        return findings(
            Sweep(dry_run=False, already_archived=0, lost=(swept(1, expires_at=NOW - ago),)), Scope(NOW, DAY, unswept)
        )

    assert told(DAY).startswith("1 lost")
    assert told(DAY + timedelta(seconds=1)) == ""
    assert told(3 * DAY, unswept=2 * DAY).startswith("1 lost"), "nobody could tell it while nothing swept"


def test_files_that_came_after_the_archiving_are_told_before_they_expire() -> None:
    def told(left: timedelta) -> str:
        gained = swept(1, expires_at=NOW + left, reason="1 more of audio/")
        return findings(Sweep(dry_run=False, already_archived=1, gained_files=(gained,)), Scope(NOW, DAY))

    assert "1 more of audio/" in told(DAY)
    assert told(DAY + timedelta(seconds=1)) == told(timedelta(seconds=-1)) == ""


LACKS_AUDIO = (f"audio{bag.MISSING}", "data/video/a.mp4 has other sizes: a person accepted that.")


@pytest.mark.parametrize(
    ("files", "more", "again"),
    [
        ({"video": 1}, {"unlinked": {"audio": 1}, "obstacle": "no URL"}, False),
        ({"video": 1, "audio": 1}, {}, True),
        ({"audio": 1}, {}, False),
        ({"audio": 2}, {}, False),
        ({"video": 1, "audio": 1, "tracks": 2}, {}, True),
        ({"video": 1, "audio": 1}, {"unlinked": {"tracks": 1}, "obstacle": "no URL"}, False),
        ({}, {"obstacle": "gone", "gone": True}, False),
    ],
)
def test_a_partial_archive_is_made_again_when_all_that_it_holds_and_lacks_can_be_had(
    files: dict[str, int],
    more: dict[str, Any],
    again: bool,  # noqa: FBT001 - a row of the table
) -> None:
    its, later = one("a", files=files, **more), one("b", DAY / 2)
    plan = merge_plans([make_plan([later, its], {"a": Counter(video=1)}, partial={"a": LACKS_AUDIO})])
    assert plan.to_archive == ((its, later) if again else (later,))
    assert plan.already == (not again)
    assert plan.partial == ((its, LACKS_AUDIO),)
    assert plan.lost == plan.not_downloadable == ()


@pytest.mark.parametrize(
    ("details", "findings", "can"),
    [
        ({"audio_download_url": "https://r2.example/a.mp3"}, LACKS_AUDIO, True),
        ({"audio_download_url": "https://r2.example/a.mp3"}, LACKS_AUDIO[1:], False),
        ({"audio_download_url": "https://"}, LACKS_AUDIO, False),
        ({"audio_download_url": "https://r2.example/a.mp3", "download_url": None}, LACKS_AUDIO, False),
        ({"audio_download_url": "https://r2.example/a.mp3", "status": "ERRORED"}, LACKS_AUDIO, False),
        ({}, LACKS_AUDIO, False),
    ],
)
def test_only_an_archive_that_states_that_files_are_missing_is_completed_and_only_by_all_files(
    details: dict[str, Any],
    findings: tuple[str, ...],
    can: bool,  # noqa: FBT001 - a row of the table
) -> None:
    video = ArchivedFile(path="data/video/a.mp4", size=1, sha256="", content_type="video/mp4")
    found = ArchivedRecording(
        recording_id="a", archive_url="s3://b/a/", files=(video,), bytes=1, duration_s=None, findings=findings
    )
    assert can_be_completed(found, recording(**details)) is can


def test_an_archive_is_not_completed_by_tracks_that_are_as_many_but_not_the_same() -> None:
    def can(*names: str) -> bool:
        files = {name: {"download_url": f"https://r2.example/{name}"} for name in names}
        return can_be_completed(found, recording(download_url=[{"layer_name": "x", "download_urls": files}]))

    track = ArchivedFile(path="data/tracks/x/a.webm", size=1, sha256="", content_type="video/webm")
    found = ArchivedRecording(
        recording_id="a", archive_url="s3://b/a/", files=(track,), bytes=1, duration_s=None,
        findings=(f"tracks/x/b.webm{bag.MISSING}",),
    )  # fmt: skip
    assert can("a.webm", "b.webm")
    assert not can("b.webm", "c.webm")


def test_a_partial_archive_is_listed_until_the_whole_replaces_it() -> None:
    lacking, ready = one("a", files={"video": 1}, unlinked={"audio": 1}, obstacle="no URL"), one("b", 6.5 * DAY)
    ready = replace(ready, files={"video": 1, "audio": 1})
    its = partial_book(lacking, ready)
    planned_only = its.result(dry_run=True)
    assert [it.reason for it in planned_only.partial] == [
        f"Without audio. {LACKS_AUDIO[1]} By now the API hands out all files: the recording is to be archived again.",
        f"Without audio. {LACKS_AUDIO[1]} The recording is archived again once the API hands out all files.",
    ]
    assert (planned_only.at_risk, [it.recording_id for it in planned_only.gained_files]) == ((), ["b"])
    assert its.todo(0, ()) == [ready]
    its.note(ready, ("archived", "2 KB in 2 files."))
    result = its.result(dry_run=False)
    assert [it.recording_id for it in result.partial] == ["a"]
    assert (result.gained_files, [it.reason for it in result.archived]) == (
        (),
        ["2 KB in 2 files. It replaces an archive without some of these files."],
    )
    assert findings(result, Scope(NOW)) == ""
    assert "1 partial" in summary(result)
    assert read_told(json.dumps(rows(result))) == {"a"}, "the next sweep looks at it again"


def test_files_that_came_while_others_are_still_missing_are_told_with_the_option_that_it_takes() -> None:
    its = one("a", 6.5 * DAY, files={"video": 1, "tracks": 1}, unlinked={"audio": 1}, obstacle="no URL")
    told = findings(partial_book(its).result(dry_run=False), Scope(NOW, DAY))
    assert "with --overwrite): a (1 more of tracks/; as others are still missing, it takes --partial, too)" in told


def partial_book(*recordings: ListedRecording) -> Ledger:
    ids = [it.id for it in recordings]
    plan = make_plan(recordings, {name: Counter(video=1) for name in ids}, partial=dict.fromkeys(ids, LACKS_AUDIO))
    return Ledger(plan, Scope(NOW), {}, LOG)


def test_what_a_partial_archive_lacks_is_told_as_a_loss_when_its_time_is_over_and_not_before() -> None:
    def told(ago: timedelta, unswept: timedelta = timedelta(0)) -> str:
        its = replace(one("a", WEEK + ago), files={}, obstacle="gone", gone=ago > timedelta(0))
        return findings(partial_book(its).result(dry_run=False), Scope(NOW, DAY, unswept))

    assert told(-DAY / 2) == ""
    text = "1 archived without files that expired before the API handed them out: a (Without audio)"
    assert told(DAY) == told(3 * DAY, unswept=2 * DAY) == text
    assert told(DAY + timedelta(seconds=1)) == ""


def test_what_has_no_url_though_others_have_is_at_risk_before_it_is_lost() -> None:
    late = one("late", 6.5 * DAY, files={}, obstacle="it has no URL")
    own = one("own", 6.5 * DAY, files={}, obstacle="it has no URL", elsewhere=True)
    assert at_risk(late, one("other")) == ["late"]
    assert at_risk(late) == [], "the bucket may be turned off"
    assert at_risk(own, one("other")) == []
    assert at_risk(replace(late, expires=NOW + 2 * DAY), one("other")) == []


def test_files_that_can_be_had_are_brought_into_safety_once_though_others_have_no_url() -> None:
    layers = [{"download_urls": {"a.webm": {"download_url": "https://r2.example/a"}, "b.webm": {}}}]
    some = look(recording(download_url=layers))
    assert make_plan([some], {}).to_archive == (some,)
    assert make_plan([some], {}, {"a": {"tracks": 1}}).not_downloadable == (some,)
    none = replace(some, files={})
    assert make_plan([none], {}).not_downloadable == (none,)
    late, its = replace(some, expires=NOW + DAY / 2), book([replace(some, expires=NOW + DAY / 2)])
    its.note(late, ("not_downloadable", some.obstacle))
    assert [swept.recording_id for swept in its.result(dry_run=False).at_risk] == ["a"], "it is safe, but no archive"
    gone = look(recording(download_url=layers, invoked_time=at(8 * DAY)), expired=True)
    assert make_plan([gone], {}).lost == (gone,)


def at_risk(*recordings: ListedRecording) -> list[str]:
    return [swept.recording_id for swept in book(list(recordings)).result(dry_run=False).at_risk]


def test_the_table_begins_with_what_is_at_risk_and_has_an_end() -> None:
    late = swept(7777)
    result = Sweep(
        dry_run=False, already_archived=0, left=(late,), at_risk=(late,), archived=tuple(map(swept, range(600)))
    )
    table = rows(result)
    assert (table[0]["recording"], " ".join(table[0]["outcome"].split())) == (
        late.recording_id,
        "AT RISK: left for the next sweep",
    )
    assert len(table) == 501
    assert table[-1]["outcome"] == "and 101 more"


def test_a_row_fits_a_laptops_screen_and_takes_no_server_for_its_author() -> None:
    """Prefect's UI breaks no line of a table, and takes what is in it for markdown."""
    reason = f"[a](javascript:x) <img src=x> {'which is long ' * 20}"
    (row,) = rows(Sweep(dry_run=False, already_archived=0, failed=(swept(1, reason=reason),)))
    assert list(row)[:4] == ["outcome", "recording", "reason", "expires"]
    assert len(row["reason"].split("\n")) > 5
    assert all(len(line.strip()) <= REASON_WIDTH + 3 for line in row["reason"].split("\n"))
    assert "](" not in row["reason"]
    assert "<i" not in row["reason"]
