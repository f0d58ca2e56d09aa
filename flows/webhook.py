"""RealtimeKit's webhook: each signed event of a recording or a session becomes a run that archives it.

uv run python -m flows.webhook [--host HOST] [--port PORT] [--app-id ID …] [--metrics-port PORT]
uv run python -m flows.webhook register [URL] [--name NAME] [--list] [--remove] [--app-id ID]
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import httpx
from pydantic import AfterValidator, Field

from tasks import cli
from tasks.app_ids import AppId, OptionalAppId, same_app
from tasks.arguments import Metavar, Word, parse_for
from tasks.download import new_empty_cookie_jar
from tasks.errors import SettingsInvalid
from tasks.realtimekit.webhook_registrations import EnsuredWebhook, WebhookRegistrations, parse_webhook_url
from tasks.settings import ApiSettings, load_settings
from tasks.text import put, safe_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.realtimekit.webhook_registrations import WebhookRegistration

REGISTER = "register"
API_TIMEOUT_S = 30.0


def serve(
    *,
    host: Annotated[str, Metavar("HOST")] = "127.0.0.1",
    port: Annotated[int, Field(ge=0, le=65_535), Metavar("PORT")] = 8020,
    metrics_host: Annotated[str, Metavar("HOST")] = "127.0.0.1",
    metrics_port: Annotated[int, Field(ge=0, le=65_535), Metavar("PORT")] = 0,
    app_ids: tuple[AppId, ...] = (),
) -> int:
    """Take RealtimeKit's webhook, until told to stop. To have RealtimeKit send it: python -m flows.webhook register.

    Args:
        host: Address to listen at.
        port: Port to listen at. 0 takes any that is free.
        metrics_host: Address to offer figures for Prometheus at. Whoever reaches it can read them.
        metrics_port: Port to offer figures for Prometheus at, as /metrics. 0 for none.
        app_ids: RealtimeKit app of the same account whose events are taken, too, besides that of the settings.
    """
    from tasks.orchestration import webhook_receiver  # noqa: PLC0415 - imports Prefect, which takes seconds

    try:
        return webhook_receiver.serve(host, port, metrics_host, metrics_port, app_ids)
    except SettingsInvalid as invalid:
        return cli.failed(invalid)


def _url(text: str) -> str:
    return parse_webhook_url(text) if text else ""


def register(
    url: Annotated[str, AfterValidator(_url), Word("URL")] = "",
    *,
    name: Annotated[str, Field(max_length=100), AfterValidator(str.strip), Metavar("NAME")] = "",
    list: bool = False,  # noqa: A002 - the option's name
    remove: bool = False,
    app_id: Annotated[OptionalAppId, Metavar("ID")] = "",
) -> int:
    """Have RealtimeKit send its webhooks to a URL: registered, enabled, subscribed to all events that are needed.

    It may be run again at any time: it mends what is missing, and never touches what is registered for other URLs.

    Args:
        url: Where the receiver can be reached from the internet, such as https://hooks.example.com/webhook.
        name: Name in RealtimeKit's dashboard.
        list: Only list what is registered for the app, by whomever.
        remove: Remove what is registered for this URL.
        app_id: Another RealtimeKit app of the account than that of the settings. Its id becomes the end of the URL: by
            that, the receiver knows the app.
    """
    if list == bool(url) or (list and remove):
        put(sys.stderr, f"python -m flows.webhook {REGISTER}: give either a URL or --list. See --help.\n")
        return cli.WRONG_USAGE
    try:
        with _registrations(app_id) as (registrations, of_app):
            url = _url_of_app(url, of_app)
            if list:
                lines = [_line(registration) for registration in registrations.all()]
            elif remove:
                lines = [_removed(url, registrations.remove(url))]
            else:
                lines = [_ensured(registrations.ensure(url, name))]
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is told, and the exit code says so
        return cli.failed(error)
    cli.print_line("\n".join(lines) or "No webhook is registered for the app.")
    return cli.DONE


@contextmanager
def _registrations(app_id: str) -> Iterator[tuple[WebhookRegistrations, str]]:
    """Give the registrations of an app, and the app's id if it is not the app of the settings."""
    settings = load_settings(ApiSettings)
    own = settings.realtimekit_app_id
    other = "" if same_app(app_id, own) else app_id
    token = settings.cloudflare_api_token.get_secret_value()
    with httpx.Client(timeout=API_TIMEOUT_S, cookies=new_empty_cookie_jar()) as http:
        base_url, account_id = settings.cloudflare_base_url, settings.cloudflare_account_id
        yield WebhookRegistrations(http, base_url, account_id, other or own, token), other


def _url_of_app(url: str, app_id: str) -> str:
    url = url.rstrip("/") if app_id else url
    return f"{url}/{app_id}" if app_id and url and not url.endswith(f"/{app_id}") else url


def _line(registration: WebhookRegistration) -> str:
    state = "enabled" if registration.is_enabled else "disabled"
    return safe_line(f"{registration.place}, {registration.name!r}, {state}: {', '.join(registration.events)}", 1000)


def _ensured(ensured: EnsuredWebhook) -> str:
    done = {"registered": "Registered", "mended": "Mended", "unchanged": "Registered already"}[ensured.action]
    not_offered = f" RealtimeKit does not send: {', '.join(ensured.not_offered)}." if ensured.not_offered else ""
    return f"{done}: {_line(ensured.registration)}.{not_offered}"


def _removed(url: str, count: int) -> str:
    if not count:
        return f"Nothing to remove: {url} is not registered."
    return f"Removed: {url}{f', {count} registrations' if count > 1 else ''}."


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop, or register the webhook.

    Args:
        arguments: as on the command line, without the program's name.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == [REGISTER]:
        return register(**parse_for(register, f"python -m flows.webhook {REGISTER}", arguments[1:]))
    return serve(**parse_for(serve, "python -m flows.webhook", arguments))


if __name__ == "__main__":
    sys.exit(main())
