"""What a store does with the options of how objects are stored: honoured, ignored, repeated or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.doctor.runner import run_checks
from tasks.doctor.scratch_prefix import ScratchPrefix
from tasks.doctor.store_checks import GROUP, StoreChecks
from tasks.storage_options import parse_options
from tasks.text import Redactor
from tests.standins.object_locks import ObjectLocks
from tests.support.meddling import Meddled, refusal
from tests.torture.store.faults import refusal as refused_by_proxy
from tests.torture.store.trouble import client_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.archiving import Archiving
    from tests.torture.store.proxy import StoreProxy

NAMES = {
    "storage class": "archive_storage_class", "encryption": "archive_sse", "tags": "archive_tags", "ACL": "archive_acl",
    "object lock": "archive_object_lock",
}  # fmt: skip
ALL = {
    "archive_storage_class": "GLACIER", "archive_sse": "aws:kms:key-1", "archive_tags": "a=b", "archive_acl": "private",
    "archive_object_lock": "COMPLIANCE:7",
}  # fmt: skip


def looked(client: Any, bucket: str, **options: str) -> dict[str, tuple[str, str]]:
    """Return status and words of the checks of options, by their names."""
    chosen = parse_options(dict.fromkeys(NAMES.values(), "") | options)
    scratch = ScratchPrefix(client, bucket, "pre", chosen)
    checks = StoreChecks(scratch, "pre/app/", "the endpoint", lambda _: None).checks()
    wanted = [check for check in checks if check.name in {*NAMES, "bucket"}]
    wanted[0] = type(wanted[0])(GROUP, "bucket", wanted[0].look)
    try:
        found = run_checks(wanted, 25, lambda _: None, Redactor({}))
    finally:
        assert scratch.close(5) == []
    return {finding.name: (finding.status, finding.told) for finding in found if finding.name in NAMES}


def test_what_is_not_set_is_not_looked_at(rclone: Archiving) -> None:
    assert looked(rclone.s3, rclone.bucket) == {}


def test_a_store_that_takes_everything_and_does_nothing_is_found_out(rclone: Archiving) -> None:
    found = looked(rclone.s3, rclone.bucket, **ALL)
    assert {name: status for name, (status, _) in found.items()} == {
        "storage class": "warning", "encryption": "failed", "tags": "warning", "ACL": "warning",
        "object lock": "failed",
    }  # fmt: skip
    assert found["encryption"][1].startswith("repeated, but the store takes any encryption")
    assert found["object lock"][1] == "the bucket has no Object Lock: nothing would be archived there"


def test_a_store_that_keeps_to_everything_is_told_so(rclone: Archiving) -> None:
    def dialect(method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if "MADE-UP-BY-THE-DOCTOR" in request.values():
            raise refusal("InvalidArgument", 400)
        if method == "get_object_tagging":
            return {"TagSet": [{"Key": "a", "Value": "b"}]}
        if method == "get_object_acl":
            return {"Grants": [{"Grantee": {"Type": "CanonicalUser", "ID": "we"}, "Permission": "FULL_CONTROL"}]}
        return send()

    found = looked(Meddled(rclone.s3, dialect), rclone.bucket, **ALL | {"archive_object_lock": ""})
    assert {status for status, _ in found.values()} == {"ok"}
    assert "a restore has to ask for them first" in found["storage class"][1]
    assert found["encryption"][1] == "honoured: all objects are encrypted with aws:kms, with the key key-1"


def test_the_option_that_a_store_refuses_is_named_and_no_other(rclone: Archiving) -> None:
    def dialect(_method: str, request: dict[str, Any], send: Callable[[], Any]) -> Any:
        if "Tagging" in request:
            raise refusal("NotImplemented", 501, "no tags")
        return send()

    found = looked(Meddled(rclone.s3, dialect), rclone.bucket, archive_tags="a=b", archive_acl="private")
    assert found["tags"] == ("failed", "refused: NotImplemented, no tags")
    assert found["ACL"][0] == "warning"


@pytest.mark.parametrize(
    ("keeps", "status", "told"),
    [(True, "ok", "honoured, tried with a lock of"), (False, "failed", "stated, but not kept")],
)
def test_a_lock_is_tried_by_deleting_what_is_locked(
    rclone: Archiving, proxy: StoreProxy, status: str, told: str, *, keeps: bool
) -> None:
    locks = ObjectLocks()

    def rule(request: Any) -> Any:
        is_kept = keeps and request.operation == "DeleteObject" and "versionId" in request.query
        return refused_by_proxy(403, "AccessDenied") if is_kept else locks(request)

    proxy.start_over(rule)
    found = looked(client_of(rclone.server), rclone.bucket, archive_object_lock="COMPLIANCE:7")
    assert (found["object lock"][0], found["object lock"][1].startswith(told)) == (status, True)
    assert locks.locked == {}
