"""Checks of what a store does with wrong checksums, conditions and unequal parts.

Stores that were tried differ in nearly all of it, and none of them tells: see `tasks.s3.bucket`, `tasks.s3.multipart`
and https://docs.aws.amazon.com/AmazonS3/latest/API/.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tasks.doctor.runner import Check, failed, ok, warning
from tasks.doctor.trials import describe_refusal, require_answer
from tasks.errors import ArchiverError, StoreRefused
from tasks.s3 import (
    ALREADY_EXISTS,
    NOT_SUPPORTED,
    WITH_CRC64NVME,
    crc64,
    encode_crc64,
    encode_md5,
    verifies_crc64,
)
from tasks.text import MIB

if TYPE_CHECKING:
    from tasks.doctor.runner import CheckResult
    from tasks.doctor.trials import Trials

UNEQUAL = (5 * MIB, 5 * MIB + 1, 1)
"""Bytes of parts: the smallest that all stores take, another length in the middle, and any at the end."""
SLOW = 2 * MIB
"""Bytes a second: an hour's recording of 300 MB takes longer than two minutes then."""
_BODY, _OTHER = b"what is sent", b"what is not"
_SLOW = "See whether the line is fast enough: an hour of video is about 300 MB."


class BehaviourChecks:
    """What to look at of a store's own ways.

    Args:
        group: of the checks.
        trials: sends the requests.
    """

    def __init__(self, group: str, trials: Trials) -> None:
        self._group = group
        self._trials = trials

    def checks(self, needs: str) -> list[Check]:
        """Return what there is to look at.

        Args:
            needs: the check that must not have failed.
        """
        tried = {
            "Content-MD5": self.check_content_md5,
            "CRC64NVME": self.check_crc64,
            "If-None-Match": self.check_if_none_match,
        }
        slow = warning("not found out: to store 10 MiB took too long", _SLOW)
        return [
            *(Check(self._group, name, look, (needs,)) for name, look in tried.items()),
            Check(self._group, "unequal parts", self.check_unequal_parts, (needs,), late=slow),
        ]

    def check_content_md5(self) -> CheckResult:
        """Look what becomes of an object and of a part that do not have the MD5 that came with them."""
        wrong = {"Body": _BODY, "ContentMD5": encode_md5(_OTHER)}
        tried = {
            "objects": self._trials.make("put_object", "md5", **wrong),
            "parts": self._trials.make("upload_part", "md5", **wrong, PartNumber=1, UploadId=self._begin_upload("md5")),
        }
        taken = [name for name, answer in tried.items() if isinstance(answer, dict)]
        if taken:
            return warning(
                f"a wrong one is not refused for {' and '.join(taken)}: damage on the way there could go unnoticed",
                "Reach the store by https only, which notices it, too.",
            )
        return ok("a wrong one is refused: what was damaged on its way is sent again")

    def check_crc64(self) -> CheckResult:
        """Look whether the store verifies CRC64NVME, of parts and of the whole."""
        begun = self._trials.make("create_multipart_upload", "crc64", **WITH_CRC64NVME)
        if isinstance(begun, ArchiverError) and not (isinstance(begun, StoreRefused) and begun.code in NOT_SUPPORTED):
            raise begun
        if isinstance(begun, ArchiverError) or begun.get("ChecksumAlgorithm") != "CRC64NVME":
            return self._check_unannounced_crc64()
        wrong, right = encode_crc64(crc64(_OTHER)), encode_crc64(crc64(_BODY))
        upload = {"UploadId": begun["UploadId"]}
        part = {**upload, "PartNumber": 1, "Body": _BODY}
        if isinstance(self._trials.make("upload_part", "crc64", **part, ChecksumCRC64NVME=wrong), dict):
            return warning(
                "confirmed, but a wrong one is not refused: damage on the way there could go unnoticed",
                "Reach the store by https only, which notices it, too; and tell its makers.",
            )
        stored = self._trials.make("upload_part", "crc64", **part, ChecksumCRC64NVME=right)
        if isinstance(stored, ArchiverError):
            return warning(
                f"a wrong one is refused, and a right one, too: {describe_refusal(stored)}", "Tell its makers."
            )
        listed = {"Parts": [{"PartNumber": 1, "ETag": stored["ETag"]}]}
        completed = self._trials.make("complete_multipart_upload", "crc64", **upload, MultipartUpload=listed,
                              ChecksumCRC64NVME=wrong, ChecksumType="FULL_OBJECT")  # fmt: skip
        if isinstance(completed, dict) or (isinstance(completed, StoreRefused) and completed.code in NOT_SUPPORTED):
            return ok("verified for each part; of the whole, it is compared with what the store says after joining")
        return ok("verified, for each part and for the whole that they make")

    def _check_unannounced_crc64(self) -> CheckResult:
        joined = "joining them is trusted, but for the size"
        if verifies_crc64(lambda method, **request: self._trials.make(method, "crc64-asked", **request)):
            return ok(f"verified for each part, though not announced: in large files they go with it; {joined}")
        return ok(f"not verified for uploads: parts go with Content-MD5, and {joined}")

    def check_if_none_match(self) -> CheckResult:
        """Look whether the store can leave alone what is there already."""
        first = self._trials.make("put_object", "known", Body=_BODY, IfNoneMatch="*")
        second = self._trials.make("put_object", "known", Body=_OTHER, IfNoneMatch="*")
        if isinstance(second, StoreRefused) and second.code in ALREADY_EXISTS and isinstance(first, dict):
            return ok("* is kept to: of two runs at once, one commits, and the other finds its archive")
        if isinstance(second, StoreRefused) and second.code in NOT_SUPPORTED:
            return ok("* is not known: it is left out; of two runs at once, the later one's marker stays")
        if isinstance(second, ArchiverError):
            return failed(
                f"refused: {describe_refusal(second)}", "bagit.txt is written so: no archive could be committed."
            )
        return ok("* is ignored: of two runs at once the later one's marker stays; both have verified the same files")

    def check_unequal_parts(self) -> CheckResult:
        """Look whether the parts of an object may differ in length, and how fast the store takes them."""
        upload = {"UploadId": self._begin_upload("unequal")}
        parts, began = [], time.monotonic()
        for number, size in enumerate(UNEQUAL, 1):
            body = self._trials.scratch.body(size)
            sent = {"PartNumber": number, "Body": body, "ContentMD5": encode_md5(body.getvalue())}
            stored = require_answer(self._trials.make("upload_part", "unequal", **upload, **sent))
            parts.append({"PartNumber": number, "ETag": stored["ETag"]})
        rate = sum(UNEQUAL) / max(time.monotonic() - began, 0.001)
        answer = self._trials.make("complete_multipart_upload", "unequal", **upload, MultipartUpload={"Parts": parts})
        if isinstance(answer, dict):
            finding = "taken"
        elif isinstance(answer, StoreRefused):
            finding = f"refused ({answer.code})"
        else:
            raise answer
        finding = (
            f"{finding}; nothing follows, as all but the last are equal here. "
            f"One at a time went at {rate / MIB:.1f} MiB/s"
        )
        if rate < SLOW:
            return warning(finding, _SLOW)
        return ok(finding)

    def _begin_upload(self, name: str) -> str:
        """Begin an upload, and return its id."""
        return str(require_answer(self._trials.make("create_multipart_upload", name))["UploadId"])
