"""Checks of how objects are stored: what the store does with each option that is set.

A store that does not know an option may refuse it, or ignore it without a word. So each is tried with an object that is
put and one that is made of parts, and the store is asked what became of it. The probe of locks is locked for seconds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.doctor.runner import Check, CheckResult, failed, ok, warning
from tasks.doctor.trials import describe_refusal, require_answer
from tasks.errors import ArchiverError, StoreRefused, StoreUnavailable
from tasks.s3 import UNLOCKED, Retention, encode_md5, parse_stated_retention

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.doctor.trials import Answer, Trials
    from tasks.storage_options import Encryption, ObjectLock

LOCKED_S = 15
"""Seconds for which the probe of locks is locked: more than the checkup takes, and then it can be deleted."""
_BODY = b"how is this stored?"
_PUT = {"Body": _BODY, "ContentMD5": encode_md5(_BODY)}
_EMPTY = "leave {} empty"
MADE_UP = "MADE-UP-BY-THE-DOCTOR"
"""What no store has: rclone keeps any header, and repeats it."""
_NO_CLASS = "Leave ARCHIVE_STORAGE_CLASS empty, or name a class that the bucket has."


class StorageChecks:
    """What to look at if settings say how objects are stored.

    Args:
        group: of the checks.
        trials: sends the requests.
    """

    def __init__(self, group: str, trials: Trials) -> None:
        self._group = group
        self._trials = trials
        self._store = trials.scratch.store
        self._options = self._store.options

    def checks(self, needs: str) -> list[Check]:
        """Return what there is to look at: one check for each option that is set.

        Args:
            needs: the check that must not have failed.
        """
        options = self._options
        looks: dict[str, Callable[[], CheckResult]] = {}
        if options.storage_class:
            looks["storage class"] = self.check_storage_class
        if options.encryption is not None:
            looks["encryption"] = partial(self.check_encryption, options.encryption)
        if options.tags:
            looks["tags"] = self.check_tags
        if options.acl:
            looks["ACL"] = self.check_acl
        if options.lock is not None:
            looks["object lock"] = partial(self.check_lock, options.lock)
        return [Check(self._group, name, look, (needs,)) for name, look in looks.items()]

    def check_storage_class(self) -> CheckResult:
        """Look whether objects go into the storage class."""
        wanted = self._options.storage_class
        heads = self._stored("class", {"StorageClass"}, "ARCHIVE_STORAGE_CLASS")
        if isinstance(heads, CheckResult):
            return heads
        actual = {str(head.get("StorageClass") or "STANDARD") for head in heads}
        if actual != {wanted}:
            told = f"ignored: objects are stored as {' and '.join(sorted(actual))}, and not as {wanted}"
            return warning(told, _NO_CLASS)
        if self._takes(StorageClass=MADE_UP):
            return warning(f"repeated, but the store takes any class, also {MADE_UP}: it knows none", _NO_CLASS)
        cold = (
            "; an audit cannot read them, and a restore has to ask for them first"
            if self._options.is_unreadable
            else ""
        )
        return ok(f"honoured: files of recordings are stored as {wanted}, and nothing else{cold}")

    def check_encryption(self, wanted: Encryption) -> CheckResult:
        """Look whether the store says that objects are encrypted as they should be."""
        heads = self._stored("sse", {"ServerSideEncryption", "SSEKMSKeyId"}, "ARCHIVE_SSE")
        if isinstance(heads, CheckResult):
            return heads
        advice = f"Have the store encrypt, or {_EMPTY.format('ARCHIVE_SSE')} if that is no duty."
        algorithms = {str(head.get("ServerSideEncryption") or "") for head in heads}
        if algorithms == {""}:
            return failed("ignored: the store does not say that objects are encrypted", advice)
        keys = {str(head.get("SSEKMSKeyId") or "") for head in heads}
        is_other = not _is_alias(wanted.key_id) and not all(key.endswith(wanted.key_id) for key in keys)
        if algorithms != {wanted.algorithm} or is_other:
            actual = " and ".join(sorted(algorithms | (keys - {""})))
            return failed(f"not honoured: the store says that objects are encrypted with {actual}", advice)
        if self._takes(ServerSideEncryption=MADE_UP):
            return failed(f"repeated, but the store takes any encryption, also {MADE_UP}: it knows none", advice)
        with_key = f", with the key {wanted.key_id}" if wanted.key_id else ""
        return ok(f"honoured: all objects are encrypted with {wanted.algorithm}{with_key}")

    def check_tags(self) -> CheckResult:
        """Look whether objects keep tags."""
        heads = self._stored("tags", {"Tagging"}, "ARCHIVE_TAGS")
        if isinstance(heads, CheckResult):
            return heads
        lost = []
        for name, which in (("tags-put", "small objects"), ("tags-parts", "objects made of parts")):
            stated = self._ask("get_object_tagging", name)
            if _is_denied(stated):
                return ok("taken; whether objects keep them may not be asked (GetObjectTagging)")
            kept = () if isinstance(stated, ArchiverError) else stated.get("TagSet") or ()
            if {tag["Key"]: tag["Value"] for tag in kept} != dict(self._options.tags):
                lost.append(which)
        if lost:
            return warning(f"ignored for {' and '.join(lost)}: they do not keep them", "Do not rely on tags there.")
        return ok("honoured: all objects keep them")

    def check_acl(self) -> CheckResult:
        """Look whether objects get the ACL, as far as a store tells."""
        heads = self._stored("acl", {"ACL"}, "ARCHIVE_ACL")
        if isinstance(heads, CheckResult):
            return heads
        stated = self._ask("get_object_acl", "acl-put")
        if _is_denied(stated):
            return ok("taken; what the store has made of it may not be asked (GetObjectAcl)")
        if isinstance(stated, ArchiverError) or not stated.get("Grants"):
            return warning("taken, but the store knows no ACL of an object: it is ignored", "Leave ARCHIVE_ACL empty.")
        public = [grant for grant in stated["Grants"] if grant.get("Grantee", {}).get("Type") == "Group"]
        if public:
            return failed("others may read what is stored", "Look what the bucket's own settings make public.")
        return ok(f"taken: {len(stated['Grants'])} grants, none of them to everybody")

    def check_lock(self, wanted: ObjectLock) -> CheckResult:
        """Look whether locks are set, stated and kept, with a lock that ends after seconds."""
        advice = f"Take a bucket with Object Lock, or {_EMPTY.format('ARCHIVE_OBJECT_LOCK')}."
        if not self._store.supports_locks():
            return failed("the bucket has no Object Lock: nothing would be archived there", advice)
        stored = require_answer(self._trials.send("put_object", "lock-later", **_PUT))
        # By the store's own clock: a date that is past there would be refused.
        retention = Retention(wanted.mode, _date_of(stored) + timedelta(seconds=LOCKED_S))
        locked = {"Mode": retention.mode, "RetainUntilDate": retention.until}
        tried = {
            "lock-later": self._ask("put_object_retention", "lock-later", Retention=locked),
            "lock-at-once": self._ask(
                "put_object", "lock-at-once", **_PUT, **self._options.request, **retention.request
            ),
        }
        for name, answer in tried.items():
            if isinstance(answer, ArchiverError):
                return failed(f"refused: {describe_refusal(answer)}", "The credentials need PutObjectRetention.")
            stated = self._ask("get_object_retention", name)
            if _is_denied(stated):
                return failed("set, but it may not be asked for", "The credentials need GetObjectRetention.")
            lock = UNLOCKED if isinstance(stated, ArchiverError) else parse_stated_retention(stated)
            if not lock.covers(retention):
                return failed("ignored: the store takes it, and does not state it", advice)
        return self._check_kept(wanted, tried["lock-at-once"])

    def _check_kept(self, wanted: ObjectLock, stored: Answer) -> CheckResult:
        """Look whether a locked version can be deleted, and have what may be deleted in spite of locks deleted."""
        version = {} if isinstance(stored, ArchiverError) else {"VersionId": stored.get("VersionId", "null")}
        if isinstance(self._ask("delete_object", "lock-at-once", **version), dict):
            return failed(
                "stated, but not kept: a locked object could be deleted", "Do not rely on this store's locks."
            )
        if wanted.mode == "GOVERNANCE":
            self._ask("delete_object", "lock-at-once", **version, BypassGovernanceRetention=True)
        return ok(
            f"honoured, tried with a lock of {LOCKED_S} seconds: a locked object cannot be deleted. Bags are locked "
            f"({wanted.mode}) for {wanted.days} days, the marker last"
        )

    def _stored(self, name: str, own: set[str], setting: str) -> list[dict[str, Any]] | CheckResult:
        """Return how the store describes two objects with all options, or with one alone if it refuses them.

        Args:
            name: of the objects.
            own: the parameters of the option that is looked at.
            setting: the option.
        """
        wanted = self._options.request_for_media
        heads = self._try(name, wanted)
        if isinstance(heads, ArchiverError):  # maybe for another option
            heads = self._try(name, {key: value for key, value in wanted.items() if key in own})
        if isinstance(heads, ArchiverError):
            return failed(f"refused: {describe_refusal(heads)}", f"Correct {setting}, or {_EMPTY.format('it')}.")
        return heads

    def _try(self, name: str, options: Mapping[str, str]) -> list[dict[str, Any]] | ArchiverError:
        """Put an object, and make one of a part; return how the store describes both, or the first refusal."""
        put = self._ask("put_object", f"{name}-put", **_PUT, **options)
        if isinstance(put, ArchiverError):
            return put
        begun = self._ask("create_multipart_upload", f"{name}-parts", **options)
        if isinstance(begun, ArchiverError):
            return begun
        upload = {"UploadId": begun["UploadId"]}
        part = self._ask("upload_part", f"{name}-parts", **upload, **_PUT, PartNumber=1)
        if isinstance(part, ArchiverError):
            return part
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        made = self._ask("complete_multipart_upload", f"{name}-parts", **upload, MultipartUpload=parts)
        if isinstance(made, ArchiverError):
            return made
        return [require_answer(self._trials.send("head_object", f"{name}-{kind}")) for kind in ("put", "parts")]

    def _takes(self, **made_up: str) -> bool:
        """Tell whether the store takes an option that does not exist."""
        others = {key: value for key, value in self._options.request.items() if key != "SSEKMSKeyId"}
        return isinstance(self._ask("put_object", "made-up", **_PUT, **others | made_up), dict)

    def _ask(self, method: str, name: str, **request: Any) -> Answer:
        """Return the answer, or the failure: some stores answer nonsense to what they do not know."""
        try:
            return self._trials.send(method, name, **request)
        except StoreUnavailable as away:
            return away


def _is_alias(key_id: str) -> bool:
    """Tell whether a key is named by an alias, in whose place the store states the key itself."""
    return "alias/" in key_id


def _is_denied(answer: Answer) -> bool:
    return isinstance(answer, StoreRefused) and answer.code in {"AccessDenied", "403"}


def _date_of(answer: Mapping[str, Any]) -> datetime:
    """Return the store's time."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
