"""Check of the webhook: whether what is registered at RealtimeKit brings all events that are needed.

Nothing of it keeps recordings from arriving: the sweep finds them without a webhook. And nothing says for sure whose a
registration is, so that advice to mend one says so: what is sent there holds presigned URLs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.doctor.runner import ok, skipped, warning
from tasks.errors import ArchiverError
from tasks.realtimekit.webhook_event import NEEDED_EVENTS, STATUS_UPDATE
from tasks.realtimekit.webhook_registrations import NAME

if TYPE_CHECKING:
    from tasks.doctor.runner import CheckResult
    from tasks.realtimekit.webhook_registrations import WebhookRegistration, WebhookRegistrations

PATH = "/webhook"
"""Where the receiver listens, if no proxy has another path for that."""
REGISTER = "uv run python -m flows.webhook register"
_FITS = "is enabled, and subscribed to all that is needed"
_WITHOUT = "and none is needed: the sweep finds all recordings. With a webhook, runs begin at once"


def check_webhook(registrations: WebhookRegistrations) -> CheckResult:
    """Look whether a registration brings all events that are needed.

    Args:
        registrations: of the app.
    """
    try:
        listed = registrations.all()
        if not listed:
            return ok(f"none is registered, {_WITHOUT}")
        if fitting := _best(listed, NEEDED_EVENTS):
            if not fitting.problems(NEEDED_EVENTS):
                return ok(f"{fitting.place} {_FITS}")
            return _judged(fitting, registrations.wanted_events())
    except ArchiverError as error:
        return skipped(f"not known: {error}")
    return ok(f"none of {len(listed)} registered looks like the archiver's, {_WITHOUT}")


def _best(listed: list[WebhookRegistration], wanted: tuple[str, ...]) -> WebhookRegistration | None:
    """Return the registration to judge: the archiver's that lacks the least, else any that lacks nothing."""
    ours = [registration for registration in listed if _seems_ours(registration)]
    fitting = [registration for registration in listed if not registration.problems(wanted)]
    return min(ours or fitting, key=lambda registration: len(registration.problems(wanted)), default=None)


def _seems_ours(registration: WebhookRegistration) -> bool:
    is_announcing = STATUS_UPDATE in registration.events
    return registration.name == NAME or (is_announcing and registration.url.rstrip("/").endswith(PATH))


def _judged(registration: WebhookRegistration, wanted: tuple[str, ...]) -> CheckResult:
    if not (problems := registration.problems(wanted)):
        missing = ", ".join(event for event in NEEDED_EVENTS if event not in wanted)
        return ok(f"{registration.place} {_FITS}, as far as RealtimeKit sends it: not {missing}")
    whose = "" if registration.name == NAME else "If it is this archiver's: "
    mending = "mend it" if registration.url.startswith("https://") else "register an https URL"
    return warning(
        f"{registration.place}: {', '.join(problems)}",
        f"{whose}{mending} with {REGISTER} URL. Until then the sweep finds what it does not announce.",
    )
