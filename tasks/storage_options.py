"""How objects of the archive are stored: storage class, encryption, retention, tags and access.

Pure. The settings ARCHIVE_STORAGE_CLASS, ARCHIVE_SSE, ARCHIVE_OBJECT_LOCK, ARCHIVE_TAGS and ARCHIVE_ACL are texts; each
function below reads one, and raises a ValueError that says what it has to look like.
Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html and
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias, cast
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

LockMode: TypeAlias = Literal["GOVERNANCE", "COMPLIANCE"]
"""GOVERNANCE: whoever has the right to bypass it may delete a locked object. COMPLIANCE: nobody can."""
ACLS = ("private", "bucket-owner-read", "bucket-owner-full-control")
"""Canned ACLs; those that let everybody read are none for recordings of meetings."""
UNREADABLE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects cannot be read until the store was asked for a readable copy of them."""
LONGEST_LOCK_DAYS = 36_500
MOST_TAGS = 10

_CLASS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ENCRYPTION = re.compile(r"(AES256)|(aws:kms)(?::((?!dsse)[A-Za-z0-9][A-Za-z0-9_./:-]{0,2047}))?")
_LOCK = re.compile(r"(GOVERNANCE|COMPLIANCE):([0-9]{1,5})")
_TAG = re.compile(r"([\w .:/+@-]{1,128})=([\w .:/+=@-]{0,256})")


@dataclass(frozen=True)
class ObjectLock:
    """For how long an object cannot be deleted or replaced once it is archived."""

    mode: LockMode
    days: int

    def until(self, now: datetime) -> datetime:
        """Return the end of the retention of what is archived now."""
        return now.astimezone(UTC).replace(microsecond=0) + timedelta(days=self.days)


@dataclass(frozen=True)
class Encryption:
    """How the store encrypts objects: with keys of its own (AES256), or with one of its key service."""

    algorithm: str
    key_id: str = ""  # empty for the default key


@dataclass(frozen=True)
class StorageOptions:
    """How objects are stored; without any, as the bucket has it.

    The storage class is for media alone: what is small, and read by each audit and each look, stays readable at once.
    The lock is set when a bag is committed, see `tasks.archive.retention`. All else is sent with every object.
    """

    storage_class: str = ""
    encryption: Encryption | None = None
    lock: ObjectLock | None = None
    tags: tuple[tuple[str, str], ...] = ()
    acl: str = ""

    @property
    def is_unreadable(self) -> bool:
        """Whether media that are stored cannot be read back."""
        return self.storage_class in UNREADABLE_CLASSES

    @property
    def request(self) -> dict[str, str]:
        """The parameters with which any object is put, or its multipart upload is begun."""
        # A blank as %20: Ceph takes a + for itself.
        wanted = {"Tagging": urlencode(self.tags, quote_via=quote), "ACL": self.acl}
        if self.encryption is not None:
            wanted |= {"ServerSideEncryption": self.encryption.algorithm, "SSEKMSKeyId": self.encryption.key_id}
        return {name: value for name, value in wanted.items() if value}

    @property
    def request_for_media(self) -> dict[str, str]:
        """The parameters with which a recording's files are put, or their multipart uploads are begun."""
        return self.request | ({"StorageClass": self.storage_class} if self.storage_class else {})

    @property
    def fingerprint(self) -> str:
        """What differs for media that are stored in another way; empty if they are stored as the bucket has it.

        The lock is not part of that, as it is set later.
        """
        wanted = json.dumps(self.request_for_media, sort_keys=True).encode()
        return hashlib.sha256(wanted).hexdigest()[:16] if self.request_for_media else ""


AS_THE_BUCKET_HAS_IT = StorageOptions()


def parse_storage_class(text: str) -> str:
    """Return the name of a storage class; empty for the bucket's."""
    if text and not _CLASS.fullmatch(text):
        message = "must be the name of a storage class, such as STANDARD_IA or DEEP_ARCHIVE"
        raise ValueError(message)
    return text


def parse_encryption(text: str) -> Encryption | None:
    """Return how objects are encrypted; None for as the bucket has it."""
    if not text:
        return None
    matched = _ENCRYPTION.fullmatch(text)
    if matched is None:
        message = "must be AES256, aws:kms for the default key, or aws:kms:KEY-ID with the id or the ARN of a key"
        raise ValueError(message)
    return Encryption(matched[1] or matched[2], matched[3] or "")


def parse_lock(text: str) -> ObjectLock | None:
    """Return for how long objects are locked; None for not at all."""
    if not text:
        return None
    matched = _LOCK.fullmatch(text)
    if matched is None or not 1 <= int(matched[2]) <= LONGEST_LOCK_DAYS:
        message = f"must be GOVERNANCE:DAYS or COMPLIANCE:DAYS, with 1 to {LONGEST_LOCK_DAYS:,} days"
        raise ValueError(message)
    return ObjectLock(cast("LockMode", matched[1]), int(matched[2]))


def parse_tags(text: str) -> tuple[tuple[str, str], ...]:
    """Return tags by name: from `key=value&key=value`, or with commas between them."""
    if not text:
        return ()
    matched = [_TAG.fullmatch(part.strip()) for part in re.split("[&,]", text)]
    tags = {tag[1].strip(): tag[2].strip() for tag in matched if tag}
    if len(tags) != len(matched) or len(tags) > MOST_TAGS or any(not n or n.startswith("aws:") for n in tags):
        message = (
            f"must be like key=value&key=value: at most {MOST_TAGS} different keys of letters, digits, blanks and "
            "_.:/=+-@, none of which begins with aws:"
        )
        raise ValueError(message)
    return tuple(tags.items())


def parse_acl(text: str) -> str:
    """Return the name of a canned ACL; empty for none."""
    if text and text not in ACLS:
        message = f"must be one of {', '.join(ACLS)}; none that lets others read is taken, as recordings are not public"
        raise ValueError(message)
    return text


def parse_options(settings: Mapping[str, str]) -> StorageOptions:
    """Return the options that settings hold, by the names of their variables in lower case.

    Raises:
        ValueError: one of them is malformed.
    """
    return StorageOptions(
        parse_storage_class(settings["archive_storage_class"]),
        parse_encryption(settings["archive_sse"]),
        parse_lock(settings["archive_object_lock"]),
        parse_tags(settings["archive_tags"]),
        parse_acl(settings["archive_acl"]),
    )
