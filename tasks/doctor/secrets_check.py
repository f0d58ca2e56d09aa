"""Check of the secrets: where each came from, and no value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.doctor.runner import Check, ok

if TYPE_CHECKING:
    from tasks.settings import LoadedSettings


def secrets_checks(settings: LoadedSettings | None) -> list[Check]:
    """Return a check that says where each secret came from; none where no secret is set.

    Args:
        settings: as loaded; None if they are not usable.
    """
    if settings is None or not settings.origins:
        return []
    names: dict[str, list[str]] = {}
    for name, origin in settings.origins.items():
        names.setdefault(origin, []).append(name)
    result = ok("; ".join(f"{', '.join(of_one)} from {origin}" for origin, of_one in names.items()))
    return [Check("Settings", "secrets", lambda: result)]
