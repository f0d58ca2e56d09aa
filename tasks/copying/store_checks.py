"""Checks of the second copy's store: the same as those of the archive's, and whether it is another place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.copying.context import require_two_places
from tasks.doctor import Check, ScratchPrefix, failed, ok, store_checks
from tasks.errors import ArchiverError
from tasks.s3 import new_s3_client
from tasks.session import StoreAccess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.copy_settings import CopyStoreSettings
    from tasks.doctor import CheckResult

GROUP = "Second copy"
PLACE = "copy's place"
CONNECTIONS = 16


def copy_checks(
    settings: CopyStoreSettings, register: Callable[[Iterable[str | None]], None]
) -> tuple[ScratchPrefix, list[Check]]:
    """Return what to look at in the second copy's store, and where it is tried.

    Args:
        settings: with the copy's URL.
        register: given the credentials that are in use, which are nowhere to be shown.

    Raises:
        SettingsInvalid, StoreRefused: no client can be made of the settings.
    """
    of_copy = settings.of_copy()
    options = of_copy.store_access
    client = new_s3_client(CONNECTIONS, store_checks.ANSWER_TIMEOUT_S, **options)
    scratch = ScratchPrefix(client, of_copy.bucket, of_copy.prefix)
    of_store = store_checks.StoreChecks(
        scratch, of_copy.root, client.meta.endpoint_url, register, options["keys"], options["profile"]
    )

    def check_place() -> CheckResult:
        try:
            require_two_places(settings, StoreAccess(settings), of_copy, StoreAccess(of_copy, client))
        except ArchiverError as error:
            return failed(str(error))
        return ok(f"{of_copy.archive_url} is another place than the archive")

    return scratch, [Check(GROUP, PLACE, check_place), *map(_of_copy, of_store.checks())]


def _of_copy(check: Check) -> Check:
    """Return a check of a store as one of the second copy's: each name is unique."""
    names = {name: f"copy's {name}" for name in (check.name, *check.needs, *check.after)}
    needs, after = (tuple(names[name] for name in of_check) for of_check in (check.needs, check.after))
    return replace(check, group=GROUP, name=names[check.name], needs=needs, after=after)
