"""A webhook is registered once and mended where it lacks something, and what others have registered is left alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tasks.errors import ApiNonsense, ApiRefused, ApiUnavailable, WebhookNotFound, WebhookNotTaken
from tasks.realtimekit.webhook_event import NEEDED_EVENTS
from tasks.realtimekit.webhook_registrations import NAME, WebhookRegistrations, parse_webhook_url
from tests.standins.realtimekit import Answer, Drop, HtmlPage, Refuse
from tests.support.calling import TOKEN, NoWaits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.standins.realtimekit import ApiRequest, Fault, RealtimeKitStandIn

URL = "https://hooks.example.com/webhook"
OTHERS = "https://other.example.com/in"


@pytest.fixture
def webhooks(kit: RealtimeKitStandIn) -> Iterator[WebhookRegistrations]:
    with httpx.Client(trust_env=False, timeout=5, follow_redirects=True) as http:
        ids = (kit.account_id, kit.app_id, TOKEN)
        yield WebhookRegistrations(http, kit.base_url, *ids, stop=NoWaits(), patience_s=5)


def changes(kit: RealtimeKitStandIn) -> list[tuple[str, Any]]:
    """Return what was changed so far: the method, and what was sent."""
    asked = [request for request in kit.api_requests if request.method != "GET"]
    return [(request.method, json.loads(request.body) if request.body else None) for request in asked]


def first(method: str, fault: Fault) -> Callable[[ApiRequest], Fault | None]:
    """Let the first request of a method fail."""
    left = [fault]
    return lambda request: left.pop() if request.method == method and left else None


def test_a_new_url_is_registered_enabled_and_subscribed_to_all_that_is_needed(
    kit: RealtimeKitStandIn, webhooks: WebhookRegistrations
) -> None:
    ensured = webhooks.ensure(URL)
    assert (ensured.action, ensured.not_offered) == ("registered", ())
    (its,) = kit.webhooks.known.values()
    assert (its["url"], its["name"], its["events"], its["enabled"]) == (URL, NAME, list(NEEDED_EVENTS), True)
    assert ensured.registration == webhooks.all()[0]


def test_registering_again_changes_nothing(kit: RealtimeKitStandIn, webhooks: WebhookRegistrations) -> None:
    first_time = webhooks.ensure(URL, "ours")
    for again in (
        webhooks.ensure(URL),
        webhooks.ensure(URL, "ours"),
        webhooks.ensure("https://HOOKS.example.com:443/webhook"),
    ):
        assert (again.action, again.registration) == ("unchanged", first_time.registration)
    assert [method for method, _ in changes(kit)] == ["POST"]


@pytest.mark.parametrize(
    ("present", "name", "sent"),
    [
        ({"enabled": False}, "", {"enabled": True}),
        ({"events": ["recording.statusUpdate"]}, "", {"events": list(NEEDED_EVENTS)}),
        (
            {"events": ["meeting.started", "meeting.summary"], "enabled": False},
            "",
            {
                "events": [
                    "meeting.started", "meeting.summary", "recording.statusUpdate", "meeting.ended",
                    "meeting.transcript", "meeting.chatSynced",
                ],
                "enabled": True,
            },
        ),
        ({}, "another name", {"name": "another name"}),
    ],
)  # fmt: skip
def test_of_a_registration_of_the_same_url_only_what_it_lacks_is_mended(
    kit: RealtimeKitStandIn, webhooks: WebhookRegistrations, present: dict[str, Any], name: str, sent: dict[str, Any]
) -> None:
    webhook_id = kit.webhooks.register(URL, **({"events": NEEDED_EVENTS} | present))
    ensured = webhooks.ensure(URL, name)
    assert (ensured.action, ensured.registration.id) == ("mended", webhook_id)
    assert changes(kit) == [("PATCH", sent)]
    assert ensured.registration.problems(NEEDED_EVENTS) == []


def test_what_others_have_registered_is_never_changed(kit: RealtimeKitStandIn, webhooks: WebhookRegistrations) -> None:
    others = [OTHERS, URL + "/", URL + "?for=us", URL.replace("https", "http"), "not a URL", ""]
    for url in others:
        kit.webhooks.register(url, ("meeting.started",), enabled=False)
    before = json.dumps(kit.webhooks.known)
    webhooks.ensure(URL)
    assert webhooks.remove(URL) == 1
    assert json.dumps(kit.webhooks.known) == before


def test_of_several_registrations_of_a_url_one_that_is_right_is_enough_and_all_are_removed(
    kit: RealtimeKitStandIn, webhooks: WebhookRegistrations
) -> None:
    kit.webhooks.register(URL, ("meeting.started",))
    right = kit.webhooks.register(URL, NEEDED_EVENTS)
    ensured = webhooks.ensure(URL)
    assert (ensured.action, ensured.registration.id) == ("unchanged", right)
    assert webhooks.remove(URL) == 2
    assert webhooks.remove(URL) == 0
    assert kit.webhooks.known == {}


@pytest.mark.parametrize("of_list", [None, "objects", "nested"])
def test_only_events_that_exist_are_subscribed_to_whatever_their_list_looks_like(
    kit: RealtimeKitStandIn, webhooks: WebhookRegistrations, of_list: str | None
) -> None:
    kit.webhooks.events = tuple(event for event in NEEDED_EVENTS if event != "meeting.summary")
    objects = [{"name": event, "enabled": True} for event in kit.webhooks.events]
    kit.webhooks.list_of_events = {"objects": objects, "nested": {"events": list(kit.webhooks.events)}}.get(
        of_list or ""
    )
    ensured = webhooks.ensure(URL)
    assert ensured.registration.events == kit.webhooks.events
    assert ensured.not_offered == ("meeting.summary",)


@pytest.mark.parametrize("told", [[], {"events": 7}, "all of them", [["x"]], {"events": ["meeting.renamed"]}])
def test_a_list_of_events_that_says_nothing_is_passed_over(
    kit: RealtimeKitStandIn, webhooks: WebhookRegistrations, told: object
) -> None:
    kit.webhooks.list_of_events = told
    assert webhooks.ensure(URL).registration.events == NEEDED_EVENTS


@pytest.mark.parametrize("fault", [Answer.refusal(404, "Webhook not found"), Answer.refusal(400, "uuid"), HtmlPage()])
def test_an_api_without_a_list_of_events_is_no_hindrance(
    kit: RealtimeKitStandIn, webhooks: WebhookRegistrations, fault: Fault
) -> None:
    kit.api_faults = lambda request: fault if request.path.endswith("/all") else None
    assert webhooks.ensure(URL).registration.events == NEEDED_EVENTS


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("fault", [Drop(0), Answer.no_data(), Answer(204)], ids=["no answer", "no data", "no body"])
def test_a_change_whose_answer_is_lost_or_says_nothing_is_made_once(
    kit: RealtimeKitStandIn, webhooks: WebhookRegistrations, method: str, fault: Fault
) -> None:
    if method != "POST":
        kit.webhooks.register(URL, ("meeting.started",))

    class Done:
        """Carries the request out, and then fails."""

        def shape(self, exchange: Any) -> Any:
            _ = exchange.honest
            return fault.shape(exchange)

    kit.api_faults = first(method, Done())
    if method == "DELETE":
        assert webhooks.remove(URL) in {0, 1}
        assert kit.webhooks.known == {}
    else:
        assert webhooks.ensure(URL).action == {"POST": "registered", "PATCH": "mended"}[method]
        assert len(kit.webhooks.known) == 1
    assert [sent for sent, _ in changes(kit)] == [method]


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_change_that_did_not_arrive_is_sent_again(
    kit: RealtimeKitStandIn, webhooks: WebhookRegistrations, method: str
) -> None:
    if method != "POST":
        kit.webhooks.register(URL, ("meeting.started",))
    kit.api_faults = first(method, Answer(503))
    if method == "DELETE":
        assert webhooks.remove(URL) == 1
    else:
        assert webhooks.ensure(URL).registration.problems(NEEDED_EVENTS) == []
    assert [sent for sent, _ in changes(kit)] == [method, method]


def test_an_api_that_says_success_and_does_nothing_is_not_believed(
    kit: RealtimeKitStandIn, webhooks: WebhookRegistrations
) -> None:
    kit.api_faults = lambda request: None if request.method == "GET" else Answer.json({"success": True, "data": {}})
    with pytest.raises(WebhookNotTaken, match="it is not listed"):
        webhooks.ensure(URL)
    kit.webhooks.register(URL, NEEDED_EVENTS, enabled=False)
    with pytest.raises(WebhookNotTaken, match="enabled differ"):
        webhooks.ensure(URL)
    with pytest.raises(WebhookNotTaken, match="it is still registered"):
        webhooks.remove(URL)


def test_an_api_that_stays_away_is_an_error_worth_retrying_and_shows_no_token(
    kit: RealtimeKitStandIn, webhooks: WebhookRegistrations
) -> None:
    kit.api_faults = lambda request: None if request.method == "GET" else Refuse()
    with pytest.raises(ApiUnavailable) as raised:
        webhooks.ensure(URL)
    assert TOKEN not in str(raised.value)
    assert kit.webhooks.known == {}


def test_refusals_are_final_and_say_what_to_check(kit: RealtimeKitStandIn, webhooks: WebhookRegistrations) -> None:
    refusals: dict[type[ApiRefused], Answer] = {
        ApiRefused: Answer.failure(10000, "Authentication error", 403),
        WebhookNotFound: Answer.refusal(404, "App not found"),
    }
    for kind, refusal in refusals.items():
        kit.api_faults = lambda _, refusal=refusal: refusal
        with pytest.raises(kind, match="Check"):
            webhooks.ensure(URL)
    kit.api_faults = lambda request: (
        None if request.path.endswith("/all") else Answer.json({"success": True, "data": 7})
    )
    with pytest.raises(ApiNonsense, match="a list of webhooks that is none"):
        webhooks.ensure(URL)


def test_entries_that_are_no_webhooks_are_passed_over(kit: RealtimeKitStandIn, webhooks: WebhookRegistrations) -> None:
    entries: list[Any] = [7, None, {}, {"id": "a"}, {"id": "b", "url": 7, "events": "x", "enabled": None, "name": []}]
    kit.api_faults = lambda _: Answer.json({"success": True, "data": entries})
    listed = webhooks.all()
    assert [(one.id, one.url, one.events, one.is_enabled) for one in listed] == [
        ("a", "", (), True),
        ("b", "", (), True),
    ]


def test_only_a_url_of_https_without_secrets_is_one_to_register() -> None:
    assert parse_webhook_url(" https://Hooks.Example.com:443/webhook ") == URL
    assert parse_webhook_url("https://hooks.example.com:8443/a/b") == "https://hooks.example.com:8443/a/b"
    wrong = ["http://hooks.example.com/webhook", "hooks.example.com/webhook", "https://", "https://u:p@h.example/w",
             "https://h.example/w?token=x", "https://h.example/w#x", "https://h.example/w?", "ftp://h.example", "",
             "https://h.example/\na", "https://h.example:99999999/", "https://" + "h" * 100_000]  # fmt: skip
    for text in wrong:
        with pytest.raises(ValueError, match="must be an https:// URL"):
            parse_webhook_url(text)
