"""How objects are stored: what the settings take, and what is sent with which write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from tasks.s3 import UNLOCKED, Retention
from tasks.storage_options import (
    Encryption,
    ObjectLock,
    StorageOptions,
    parse_acl,
    parse_encryption,
    parse_lock,
    parse_storage_class,
    parse_tags,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("parse", "text", "parsed"),
    [
        (parse_storage_class, "", ""),
        (parse_storage_class, "GLACIER_IR", "GLACIER_IR"),
        (parse_encryption, "", None),
        (parse_encryption, "AES256", Encryption("AES256")),
        (parse_encryption, "aws:kms", Encryption("aws:kms")),
        (parse_encryption, f"aws:kms:{ARN}", Encryption("aws:kms", ARN)),
        (parse_encryption, "aws:kms:alias/archive", Encryption("aws:kms", "alias/archive")),
        (parse_lock, "", None),
        (parse_lock, "GOVERNANCE:30", ObjectLock("GOVERNANCE", 30)),
        (parse_lock, "COMPLIANCE:36500", ObjectLock("COMPLIANCE", 36_500)),
        (parse_tags, "", ()),
        (parse_tags, "team=video&kind=a b", (("team", "video"), ("kind", "a b"))),
        (parse_tags, "team=video, kind=", (("team", "video"), ("kind", ""))),
        (parse_tags, "sum=1+1=2", (("sum", "1+1=2"),)),
        (parse_acl, "bucket-owner-full-control", "bucket-owner-full-control"),
    ],
)
def test_a_setting_is_read(parse: Callable[[str], object], text: str, parsed: object) -> None:
    assert parse(text) == parsed


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_storage_class, "GLACIER IR"),
        (parse_storage_class, "-"),
        (parse_encryption, "aes256"),
        (parse_encryption, "AES256:key"),
        (parse_encryption, "aws:kms:"),
        (parse_encryption, "aws:kms:dsse"),
        (parse_encryption, "aws:kms:key id"),
        (parse_lock, "GOVERNANCE"),
        (parse_lock, "GOVERNANCE:0"),
        (parse_lock, "COMPLIANCE:36501"),
        (parse_lock, "governance:30"),
        (parse_lock, "GOVERNANCE:30d"),
        (parse_tags, "team"),
        (parse_tags, "=video"),
        (parse_tags, "team=video&"),
        (parse_tags, "team=a&team=b"),
        (parse_tags, "aws:team=a"),
        (parse_tags, "team=100%"),
        (parse_tags, "&".join(f"{number}=x" for number in range(11))),
        (parse_acl, "public-read"),
        (parse_acl, "authenticated-read"),
    ],
)
def test_what_no_store_takes_is_refused_at_once(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse(text)


def test_nothing_is_sent_unless_it_is_set() -> None:
    assert StorageOptions().request_for_media == {}


def test_the_storage_class_is_for_media_alone_and_the_lock_for_what_is_committed() -> None:
    options = StorageOptions("GLACIER", Encryption("aws:kms", "k"), ObjectLock("GOVERNANCE", 1), (("a", "1 &2"),))
    others = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k", "Tagging": "a=1%20%262"}
    assert (options.request, options.request_for_media) == (others, others | {"StorageClass": "GLACIER"})


def test_a_lock_ends_so_many_days_after_the_commit_whatever_the_time_zone() -> None:
    until = ObjectLock("COMPLIANCE", 2).until(NOW.astimezone(timezone(timedelta(hours=9))))
    assert timedelta(days=2, seconds=-1) < until - NOW <= timedelta(days=2)
    assert until.tzinfo is UTC


@pytest.mark.parametrize(
    ("stated", "wanted", "covers"),
    [
        (UNLOCKED, UNLOCKED, True),
        (UNLOCKED, Retention("GOVERNANCE", NOW), False),
        (Retention("GOVERNANCE", NOW), Retention("GOVERNANCE", NOW), True),
        (Retention("GOVERNANCE", NOW - timedelta(days=1)), Retention("GOVERNANCE", NOW), False),
        (Retention("COMPLIANCE", NOW), Retention("GOVERNANCE", NOW), True),
        (Retention("GOVERNANCE", NOW), Retention("COMPLIANCE", NOW), False),
    ],
)
def test_a_lock_counts_if_it_lasts_as_long_and_is_as_strict(
    stated: Retention, wanted: Retention, *, covers: bool
) -> None:
    assert stated.covers(wanted) is covers
