"""What is wrong with settings, in words that help, and without the values."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

    from tasks.secret_sources import Secrets

_IDS = {
    "CLOUDFLARE_ACCOUNT_ID": "must be 1 to 32 letters, digits, - or _",
    "REALTIMEKIT_APP_ID": "must be the app's id, such as 14a396e7-ca44-4937-bf1f-050a69118543: "
    "1 to 64 letters, digits, - or _",
}
_IN_OTHER_WORDS = {
    "missing": "is missing",
    "byte_size": "must be a size such as 8MiB",
    "byte_size_unit": "must be a size such as 8MiB",
}


def describe_problems(invalid: ValidationError, secrets: Secrets) -> list[str]:
    """Return what is wrong with values, and where these come from; not of those that could not be read at all.

    Args:
        invalid: what pydantic refused.
        secrets: the secrets that stand elsewhere.
    """
    problems = []
    for error in invalid.errors():
        name = str(error["loc"][0]).upper()
        origin = f" (from {secrets.origins[name]})" if name in secrets.values else ""
        if name not in secrets.problems:
            problems.append(f"{name}: {_problem(name, error['type'], error['msg'])}{origin}")
    return problems


def _problem(name: str, kind: str, message: str) -> str:
    if kind == "string_pattern_mismatch":
        return _IDS[name]
    if kind in {"float_parsing", "int_parsing"}:
        return "must be a number"
    return _IN_OTHER_WORDS.get(kind, message.removeprefix("Value error, "))
