"""A webhook that RealtimeKit signed becomes one run; whatever else comes, or is away, gets the answer that fits."""

from __future__ import annotations

import asyncio
import signal
import socket
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.webhook import main
from tasks.orchestration import webhook_runs
from tasks.orchestration.webhook_receiver import LARGE_AT_ONCE, LARGEST_BODY, USUAL_BODY, new_app
from tasks.realtimekit import webhook_signature
from tasks.realtimekit.webhook_event import OF_SESSIONS
from tasks.settings import WebhookSettings, load_settings
from tests.flows.duty import listening
from tests.flows.relay import Relay
from tests.flows.world import eventually
from tests.standins.realtimekit import APP_ID, StandInRecording
from tests.standins.signer import ORGANIZATION, KeyPair, Signer, session_event, status_update
from tests.standins.wire import Cut, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.flows.world import World


@pytest.fixture(scope="module")
def running() -> Iterator[Signer]:
    with Signer() as signer:
        yield signer


@pytest.fixture
def signer(running: Signer, monkeypatch: pytest.MonkeyPatch) -> Signer:
    monkeypatch.setattr(webhook_signature, "FETCH_INTERVAL_S", 0.001)
    monkeypatch.setattr(
        "tasks.orchestration.webhook_receiver.ANSWERED_WITHIN_S", 60
    )  # two cores may be busy, and SQLite locked
    running.published = Signer.document(running.keys)
    running.fetches = 0
    return running


PARAMETERS = {"archive-recording": {"wait_timeout": 600, "overwrite": False}, "archive-session": {"captions": True}}
"""Of the deployments that a webhook starts runs of."""


def deployment(api: str, of_flow: str = "archive-recording") -> str:
    """Make a deployment known to Prefect's server, and return its id."""
    flow = httpx.post(f"{api}/flows/", json={"name": of_flow}).raise_for_status().json()
    asked = {"name": "on-demand", "flow_id": flow["id"], "parameters": PARAMETERS[of_flow]}
    # Its SQLite may be locked for a moment.
    made = eventually(
        lambda: (answer := httpx.post(f"{api}/deployments/", json=asked, timeout=30)).is_success and answer
    )
    return str(made.json()["id"])


@pytest.fixture
def deployed(prefect_api: str) -> str:
    """A server that has the deployments; no worker looks at it."""
    for of_flow in PARAMETERS:
        deployment(prefect_api, of_flow)
    return prefect_api


def runs(api: str, what: str) -> list[dict[str, Any]]:
    """Return the runs that there are of a recording, given its id, or of `session ID`."""
    named = {"flow_runs": {"name": {"any_": [f"archive {what}"]}}}
    found: list[dict[str, Any]] = (
        httpx.post(f"{api}/flow_runs/filter", json=named, timeout=30).raise_for_status().json()
    )
    return found


@asynccontextmanager
async def served(signer: Signer, app_ids: tuple[str, ...] = ()) -> AsyncIterator[httpx.AsyncClient]:
    app = new_app(WebhookSettings(realtimekit_app_id=APP_ID, realtimekit_webhook_key_url=signer.url), app_ids)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://webhook.test") as client,
    ):
        yield client


def asking(signer: Signer, ask: Callable[[httpx.AsyncClient], Awaitable[None]], app_ids: tuple[str, ...] = ()) -> None:
    """Let somebody talk with the app."""

    async def go() -> None:
        async with served(signer, app_ids) as client:
            await ask(client)

    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        asyncio.run(go())


def answer_to(signer: Signer, body: bytes, headers: dict[str, str]) -> httpx.Response:
    """Return the answer of an app that nobody has asked yet."""
    answers: list[httpx.Response] = []

    async def ask(client: httpx.AsyncClient) -> None:
        answers.append(await client.post("/webhook", content=body, headers=headers))

    asking(signer, ask)
    return answers[0]


def new_id() -> str:
    return str(uuid.uuid4())


@pytest.mark.parametrize("status", ["UPLOADED", "ERRORED"])
def test_a_signed_announcement_becomes_a_run(deployed: str, signer: Signer, status: str) -> None:
    recording_id = new_id()
    answer = answer_to(signer, *signer.delivery(status_update(recording_id.upper(), status)))
    (run,) = runs(deployed, recording_id)
    assert answer.status_code == 202
    assert answer.json() == {"status": "accepted", "recording_id": recording_id, "flow_run_id": run["id"]}
    assert run["parameters"] == {"recording_id": recording_id, "wait_timeout": 600, "overwrite": False}
    assert "webhook" in run["tags"]
    assert run["state"]["type"] == "SCHEDULED"


def test_repeats_and_replays_are_one_run_whatever_their_headers_say(deployed: str, signer: Signer) -> None:
    recording_id = new_id()
    body, headers = signer.delivery(status_update(recording_id))

    async def ask(client: httpx.AsyncClient) -> None:
        for changed in ({}, {}, {"rtk-uuid": new_id()}, {"rtk-webhook-id": new_id(), "content-type": "text/plain"}):
            answer = await client.post("/webhook", content=body, headers=headers | changed)
            assert answer.status_code == 202
        signature_alone = {"rtk-signature": headers["rtk-signature"]}
        assert (await client.post("/webhook", content=body, headers=signature_alone)).status_code == 202

    asking(signer, ask)
    asking(signer, ask)  # the receiver may be another one, or started again
    assert len(runs(deployed, recording_id)) == 1


def test_another_announcement_of_the_same_recording_is_another_run(deployed: str, signer: Signer) -> None:
    recording_id = new_id()
    for url in ("https://a.example/1?X-Amz-Date=1", "https://a.example/1?X-Amz-Date=2"):
        assert answer_to(signer, *signer.delivery(status_update(recording_id, downloadUrl=url))).status_code == 202
    assert len(runs(deployed, recording_id)) == 2


@pytest.mark.timeout(240)  # the patience of the receiver, twice
def test_concurrent_duplicates_are_one_run(deployed: str, signer: Signer) -> None:
    recording_id = new_id()
    body, headers = signer.delivery(status_update(recording_id))

    async def deliver(client: httpx.AsyncClient) -> httpx.Response:
        """Deliver it as RealtimeKit does: again, if Prefect's server, whose SQLite is locked at times, was silent."""
        answer = await client.post("/webhook", content=body, headers=headers)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            answer = await client.post("/webhook", content=body, headers=headers)
        return answer

    async def ask(client: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*[deliver(client) for _ in range(12)])
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["flow_run_id"] for answer in answers}) == 1

    asking(signer, ask)
    assert len(runs(deployed, recording_id)) == 1


def test_announcements_in_the_wrong_order_start_one_run(deployed: str, signer: Signer) -> None:
    recording_id = new_id()

    async def ask(client: httpx.AsyncClient) -> None:
        for status in ("UPLOADED", "UPLOADING", "RECORDING", "PAUSED", "INVOKED"):
            body, headers = signer.delivery(status_update(recording_id, status))
            answer = await client.post("/webhook", content=body, headers=headers)
            assert (answer.status_code, answer.json()["status"]) == (
                (202, "accepted") if status == "UPLOADED" else (200, "ignored")
            )

    asking(signer, ask)
    assert len(runs(deployed, recording_id)) == 1


def test_what_is_no_business_of_ours_is_delivered_and_starts_nothing(
    deployed: str, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    recording_id = new_id()
    ignored = {
        "meeting.started": {"event": "meeting.started", "recording": {"id": recording_id, "status": "UPLOADED"}},
        "livestreaming.statusUpdate": session_event("livestreaming.statusUpdate", recording_id),
        "no event": {"event": "", "recording": {"id": recording_id, "status": "UPLOADED"}},
        "recording.statusUpdate": status_update(recording_id, ""),
        "another app": status_update(recording_id) | {"appId": "another"},
        "TELEPORTED": status_update(recording_id, "TELEPORTED"),
    }

    async def ask(client: httpx.AsyncClient) -> None:
        for reason, payload in ignored.items():
            body, headers = signer.delivery(payload)
            answer = await client.post("/webhook", content=body, headers=headers)
            assert (answer.status_code, answer.json()) == (200, {"status": "ignored", "reason": reason})
        body, headers = signer.delivery(status_update(new_id()) | {"appId": APP_ID})
        assert (await client.post("/webhook", content=body, headers=headers)).status_code == 202

    asking(signer, ask)
    assert runs(deployed, recording_id) == []
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text for text in told if "another" in text]
    assert [text for text in told if "TELEPORTED" in text]


# Sessions


@pytest.mark.parametrize("event", OF_SESSIONS)
def test_an_event_of_a_session_becomes_a_run_a_little_later(deployed: str, signer: Signer, event: str) -> None:
    session_id, began = new_id(), datetime.now(UTC)
    answer = answer_to(signer, *signer.delivery(session_event(event, session_id.upper())))
    (run,) = runs(deployed, f"session {session_id}")
    assert answer.status_code == 202
    assert answer.json() == {"status": "accepted", "session_id": session_id, "flow_run_id": run["id"]}
    assert run["parameters"] == {"session_id": session_id, "captions": True, "recorded_only": True}
    assert (run["tags"], run["state"]["type"]) == (["webhook"], "SCHEDULED")
    later = webhook_runs.AFTER_THE_END if event == "meeting.ended" else webhook_runs.AFTER_A_DOCUMENT
    assert began + later <= datetime.fromisoformat(run["expected_start_time"]) <= datetime.now(UTC) + later


def begin(api: str, run: dict[str, Any]) -> None:
    """Let a run begin, as a worker does."""
    asked = {"state": {"type": "RUNNING"}, "force": True}
    eventually(lambda: httpx.post(f"{api}/flow_runs/{run['id']}/set_state", json=asked, timeout=30).is_success)


def test_the_events_of_a_session_share_a_run_until_it_begins_and_a_later_one_is_another(
    deployed: str, signer: Signer
) -> None:
    session_id = new_id()

    async def ask(client: httpx.AsyncClient) -> None:
        for event in OF_SESSIONS:
            body, headers = signer.delivery(session_event(event, session_id))
            assert (await client.post("/webhook", content=body, headers=headers)).status_code == 202

    asking(signer, ask)
    (first,) = runs(deployed, f"session {session_id}")
    begin(deployed, first)
    late = session_event("meeting.summary", session_id, summaryDownloadUrlExpiry="2026-12-05T09:31:00.000Z")
    answer = answer_to(signer, *signer.delivery(late))
    assert (answer.status_code, answer.json()["flow_run_id"] != first["id"]) == (202, True)
    assert len(runs(deployed, f"session {session_id}")) == 2


def test_a_replay_of_a_sessions_event_is_no_new_run_however_long_ago_it_began(deployed: str, signer: Signer) -> None:
    session_id = new_id()
    body, headers = signer.delivery(session_event("meeting.transcript", session_id))
    assert answer_to(signer, body, headers).status_code == 202
    (run,) = runs(deployed, f"session {session_id}")
    begin(deployed, run)

    async def ask(client: httpx.AsyncClient) -> None:
        for changed in ({}, {"rtk-uuid": new_id()}, {"rtk-webhook-id": new_id()}):
            answer = await client.post("/webhook", content=body, headers=headers | changed)
            assert (answer.status_code, answer.json()["flow_run_id"]) == (202, run["id"])

    asking(signer, ask)
    assert len(runs(deployed, f"session {session_id}")) == 1


def test_concurrent_repeats_of_a_sessions_event_are_one_run(deployed: str, signer: Signer) -> None:
    session_id = new_id()
    body, headers = signer.delivery(session_event("meeting.ended", session_id))

    async def ask(client: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(client.post("/webhook", content=body, headers=headers) for _ in range(4)))
        assert {answer.status_code for answer in answers} == {202}

    asking(signer, ask)
    assert len(runs(deployed, f"session {session_id}")) == 1


def test_a_run_that_a_person_or_a_sweep_wants_later_takes_no_webhooks_place(deployed: str, signer: Signer) -> None:
    session_id = new_id()
    asked = {"name": f"archive session {session_id}", "tags": ["by hand"], "parameters": {"session_id": session_id}}
    url = f"{deployed}/deployments/{deployment(deployed, 'archive-session')}/create_flow_run"
    eventually(lambda: httpx.post(url, json=asked, timeout=30).is_success)
    assert answer_to(signer, *signer.delivery(session_event("meeting.summary", session_id))).status_code == 202
    assert len(runs(deployed, f"session {session_id}")) == 2


def test_an_event_of_another_apps_session_and_one_without_a_session_start_nothing(
    deployed: str, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    session_id = new_id()
    foreign = session_event("meeting.ended", session_id) | {"appId": "another"}
    answer = answer_to(signer, *signer.delivery(foreign))
    assert (answer.status_code, answer.json()) == (200, {"status": "ignored", "reason": "another app"})
    nameless = answer_to(signer, *signer.delivery(session_event("meeting.ended", "../x")))
    assert (nameless.status_code, nameless.json()["reason"]) == (400, "meeting.ended without a session's id")
    assert runs(deployed, f"session {session_id}") == []
    assert "leak-canary" not in caplog.text


# Several apps


@pytest.mark.parametrize(
    ("path", "named", "app_ids", "app_id"),
    [
        ("", {}, ("another",), ""),
        ("", {"appId": "another"}, ("another",), "another"),
        ("/another", {}, ("another",), "another"),
        (f"/{APP_ID}", {}, (), ""),
        ("", {"appId": APP_ID.replace("-", "").upper()}, ("another",), ""),
        ("", {}, (ORGANIZATION,), ORGANIZATION),
        ("", {}, (ORGANIZATION.replace("-", ""),), ORGANIZATION.replace("-", "")),
        ("/another", {}, (ORGANIZATION, "another"), "another"),
        ("/another", {"appId": APP_ID}, ("another",), ""),
    ],
    ids=str,
)
def test_the_run_of_an_event_is_told_the_app_that_the_event_or_its_url_names(
    deployed: str, signer: Signer, path: str, named: dict[str, str], app_ids: tuple[str, ...], app_id: str
) -> None:
    recording_id, session_id = new_id(), new_id()
    of_app = {"app_id": app_id} if app_id else {}

    async def ask(client: httpx.AsyncClient) -> None:
        for payload in (status_update(recording_id), session_event("meeting.ended", session_id)):
            body, headers = signer.delivery(payload | named)
            answer = await client.post(f"/webhook{path}", content=body, headers=headers)
            assert (answer.status_code, answer.json().get("app_id")) == (202, app_id or None)

    asking(signer, ask, app_ids)
    (run,) = runs(deployed, recording_id)
    assert run["parameters"] == {"recording_id": recording_id, "wait_timeout": 600, "overwrite": False, **of_app}
    (run,) = runs(deployed, f"session {session_id}")
    assert run["parameters"] == {"session_id": session_id, "captions": True, "recorded_only": True, **of_app}


def test_an_event_of_an_app_that_is_not_served_starts_nothing_though_it_is_signed(
    deployed: str, signer: Signer
) -> None:
    recording_id = new_id()

    async def ask(client: httpx.AsyncClient) -> None:
        for path, named in (("", {"appId": "third"}), ("/third", {}), ("/another", {"appId": "third"}), ("/*", {})):
            body, headers = signer.delivery(status_update(recording_id) | named)
            answer = await client.post(f"/webhook{path}", content=body, headers=headers)
            assert (answer.status_code, answer.json()) == (200, {"status": "ignored", "reason": "another app"})
        body, _ = signer.delivery(status_update(recording_id))
        assert (await client.post("/webhook/another", content=body)).status_code == 403
        assert (await client.post("/webhook/another/more", content=body)).status_code == 404

    asking(signer, ask, ("another",))
    assert runs(deployed, recording_id) == []


def test_an_event_that_is_sent_to_a_wrong_apps_url_takes_no_right_ones_place(deployed: str, signer: Signer) -> None:
    recording_id, session_id = new_id(), new_id()

    async def ask(client: httpx.AsyncClient) -> None:
        for payload in (status_update(recording_id), session_event("meeting.ended", session_id)):
            body, headers = signer.delivery(payload)
            for path in ("/another", "/another", "", ""):
                assert (await client.post(f"/webhook{path}", content=body, headers=headers)).status_code == 202

    asking(signer, ask, ("another",))
    for what in (recording_id, f"session {session_id}"):
        apps = [run["parameters"].get("app_id", "") for run in runs(deployed, what)]
        assert sorted(apps) == ["", "another"]


def forged(signer: Signer) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Yield what RealtimeKit never sent."""
    body, headers = signer.delivery(status_update(new_id()))
    good = headers["rtk-signature"]
    yield "another key", body, headers | {"rtk-signature": KeyPair().sign(body)}
    yield "altered", body.replace(b"UPLOADED", b"ERRORED "), headers
    yield "added to", body + b"\n", headers
    yield "emptied", b"", headers
    yield "no JSON either", b"{", headers
    ended, with_signature = signer.delivery(session_event("meeting.ended", new_id()))
    yield "another event's signature", ended, headers
    yield "another event", ended.replace(b"meeting.ended", b"meeting.chats"), with_signature
    yield "unsigned", body, {name: value for name, value in headers.items() if name != "rtk-signature"}
    yield "another header", body, {"dyte-signature": good, "x-rtk-signature": good}
    for name, signature in {"empty": "", "hex": "ab" * 256, "prefixed": f"sha256={good}", "cut": good[:-4]}.items():
        yield name, body, headers | {"rtk-signature": signature}


def test_forgeries_are_refused_for_good(deployed: str, signer: Signer, caplog: pytest.LogCaptureFixture) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for name, body, headers in forged(signer):
            answer = await client.post("/webhook", content=body, headers=headers)
            assert answer.status_code == 403, name
            assert answer.json()["status"] == "refused"

    count = len(runs_since_ever(deployed))
    asking(signer, ask)
    assert len(runs_since_ever(deployed)) == count
    refusals = [record.getMessage() for record in caplog.records if "Refused" in record.getMessage()]
    assert len(refusals) == 1  # not one each


def runs_since_ever(api: str) -> list[dict[str, Any]]:
    tagged = {"flow_runs": {"tags": {"all_": ["webhook"]}}}
    found: list[dict[str, Any]] = httpx.post(f"{api}/flow_runs/filter", json=tagged, timeout=30).json()
    return found


@pytest.mark.parametrize(
    "body", [b"", b"<html></html>", b"{", b"[]", b"\xff", b'{"event": "recording.statusUpdate", "recording": {}}']
)
def test_what_is_signed_but_malformed_is_refused_for_good(prefect_api: str, signer: Signer, body: bytes) -> None:
    assert prefect_api
    answer = answer_to(signer, body, {"rtk-signature": signer.keys.sign(body)})
    assert (answer.status_code, answer.json()["status"]) == (400, "refused")


def test_after_a_rotation_the_new_key_counts(deployed: str, signer: Signer) -> None:
    async def ask(client: httpx.AsyncClient) -> None:
        for _ in range(3):
            old = signer.rotate()
            body, headers = signer.delivery(status_update(new_id()))
            assert (await client.post("/webhook", content=body, headers=headers)).status_code == 202
        stale = headers | {"rtk-signature": old.sign(body)}
        assert (await client.post("/webhook", content=body, headers=stale)).status_code == 403

    assert deployed
    asking(signer, ask)


@pytest.mark.parametrize(
    "published",
    [Reply.of(200, b"<html>"), Reply.of(500), Reply.of(404), Reply(200, cut=Cut(None, "rst"))],
    ids=["HTML", "500", "404", "reset"],
)
def test_while_the_key_cannot_be_had_webhooks_are_to_be_sent_again(
    deployed: str, signer: Signer, published: Reply
) -> None:
    recording_id = new_id()
    body, headers = signer.delivery(status_update(recording_id))

    async def ask(client: httpx.AsyncClient) -> None:
        signer.published = published
        answer = await client.post("/webhook", content=body, headers=headers)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        signer.published = signer.document(signer.keys)
        assert (await client.post("/webhook", content=body, headers=headers)).status_code == 202

    asking(signer, ask)
    assert len(runs(deployed, recording_id)) == 1


class MendableRelay(Relay):
    """A relay that can be mended."""

    def mend(self) -> None:
        """Take connections again, at the same port."""
        port = int(self.url.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", port))
        self.__enter__()


def test_while_prefect_is_away_webhooks_are_to_be_sent_again(
    deployed: str, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    recording_id = new_id()
    body, headers = signer.delivery(status_update(recording_id))

    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.get("/ready")).status_code == 200
        relay.cut()
        answers = [await client.post("/webhook", content=body, headers=headers) for _ in range(2)]
        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].headers["Retry-After"]
        assert (await client.get("/ready")).status_code == 503
        assert (await client.get("/health")).status_code == 200
        relay.mend()
        assert (await client.post("/webhook", content=body, headers=headers)).status_code == 202
        assert (await client.get("/ready")).json() == {"status": "ready"}

    port = int(httpx.URL(deployed).port or 0)
    with MendableRelay(port) as relay, temporary_settings({PREFECT_API_URL: f"{relay.url}/api"}):
        asking(signer, ask)
    assert len(runs(deployed, recording_id)) == 1
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "Prefect" in told


def test_a_server_that_hangs_is_not_waited_for(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.orchestration.webhook_receiver.ANSWERED_WITHIN_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with temporary_settings({PREFECT_API_URL: silent_url}):
            answer = answer_to(signer, *signer.delivery(status_update(new_id())))
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")


def test_a_body_that_does_not_arrive_is_not_waited_for_and_not_given_up(
    prefect_api: str, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prefect_api
    monkeypatch.setattr("tasks.orchestration.webhook_receiver.ANSWERED_WITHIN_S", 0.3)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.post("/webhook", content=stuck())).status_code == 503

    asking(signer, ask)


@pytest.mark.parametrize("of_flow", PARAMETERS)
def test_without_the_deployment_webhooks_are_to_be_sent_again(
    deployed: str, signer: Signer, caplog: pytest.LogCaptureFixture, of_flow: str
) -> None:
    its_id, is_session = new_id(), of_flow == "archive-session"
    payload = session_event("meeting.ended", its_id) if is_session else status_update(its_id)
    body, headers = signer.delivery(payload)
    known = deployment(deployed, of_flow)
    eventually(lambda: httpx.delete(f"{deployed}/deployments/{known}", timeout=30).status_code in {204, 404})

    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.post("/webhook", content=body, headers=headers)).status_code == 503
        assert (await client.get("/ready")).status_code == 503
        deployment(deployed, of_flow)
        assert (await client.post("/webhook", content=body, headers=headers)).status_code == 202

    asking(signer, ask)
    assert f"no deployment {of_flow}/on-demand" in caplog.text
    assert "prefect --no-prompt deploy --all" in caplog.text
    assert len(runs(deployed, f"session {its_id}" if is_session else its_id)) == 1


def test_no_secret_and_no_signature_is_logged_or_answered(
    deployed: str, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    assert deployed
    caplog.set_level("DEBUG")
    told: list[str] = []

    async def ask(client: httpx.AsyncClient) -> None:
        livestream = {"event": "livestreaming.statusUpdate", "streamKey": "leak-canary", "playbackUrl": "leak-canary"}
        payloads = [status_update(new_id()), {"event": 1, "url": "leak-canary"}, livestream]
        for payload in [*payloads, *(session_event(event, new_id()) for event in OF_SESSIONS)]:
            body, headers = signer.delivery(payload)
            for sent in (body, body + b" "):
                answer = await client.post("/webhook", content=sent, headers=headers)
                told.append(answer.text + str(answer.headers))
                signatures_sent.append(headers["rtk-signature"])

    signatures_sent: list[str] = []
    asking(signer, ask)
    told.append(caplog.text)
    assert len(told) == 15
    for secret in ("leak-canary", *signatures_sent):
        assert not [text for text in told if secret in text]
    assert caplog.text


async def endless(count: list[int]) -> AsyncIterator[bytes]:
    while True:
        count[0] += 1
        yield b" " * 65_536


def test_a_body_of_any_length_is_read_up_to_the_limit_only(prefect_api: str, signer: Signer) -> None:
    assert prefect_api
    pieces = [0]

    async def ask(client: httpx.AsyncClient) -> None:
        assert (await client.post("/webhook", content=endless(pieces))).status_code == 413
        for declared in (str(LARGEST_BODY + 1), "9" * 30):
            pieces[0] = 0
            headers = {"content-length": declared}
            assert (await client.post("/webhook", content=endless(pieces), headers=headers)).status_code == 413
            assert pieces[0] == 0
        body = b" " * LARGEST_BODY
        answer = await client.post("/webhook", content=body, headers={"rtk-signature": signer.keys.sign(body)})
        assert answer.status_code == 400

    asking(signer, ask)
    assert signer.fetches == 1


def test_an_announcement_of_thousands_of_tracks_becomes_a_run_like_any_other(deployed: str, signer: Signer) -> None:
    recording_id = new_id()
    urls = {f"{number}.webm": {"download_url": "https://host/" + "x" * 700} for number in range(4000)}
    tracks = [{"layer_name": "default", "download_urls": urls}]
    body, headers = signer.delivery(status_update(recording_id, downloadUrl=tracks))
    assert len(body) > 2 * 1024 * 1024
    assert answer_to(signer, body, headers).status_code == 202
    assert len(runs(deployed, recording_id)) == 1


def test_of_large_bodies_a_few_are_read_at_once_and_the_others_are_to_be_sent_again(
    prefect_api: str, signer: Signer
) -> None:
    assert prefect_api
    going_on = asyncio.Event()
    all_begun = asyncio.Barrier(LARGE_AT_ONCE + 1)

    async def slow() -> AsyncIterator[bytes]:
        yield b" " * (USUAL_BODY + 1)
        if not going_on.is_set():
            await all_begun.wait()
        await going_on.wait()

    async def ask(client: httpx.AsyncClient) -> None:
        async with asyncio.TaskGroup() as group:
            large = [group.create_task(client.post("/webhook", content=slow())) for _ in range(LARGE_AT_ONCE)]
            await all_begun.wait()
            one_more = await client.post("/webhook", content=slow())
            assert (one_more.status_code, one_more.headers["Retry-After"]) == (503, "10")
            assert (await client.post("/webhook", content=b" " * USUAL_BODY)).status_code == 403
            going_on.set()
        assert [answer.result().status_code for answer in large] == [403] * LARGE_AT_ONCE
        assert (await client.post("/webhook", content=slow())).status_code == 403

    asking(signer, ask)


def test_the_key_is_fetched_before_the_first_webhook_comes(prefect_api: str, signer: Signer) -> None:
    assert prefect_api

    async def ask(client: httpx.AsyncClient) -> None:
        await asyncio.to_thread(eventually, lambda: signer.fetches)
        assert (await client.get("/health")).status_code == 200

    asking(signer, ask)


def test_other_methods_and_paths_are_refused(prefect_api: str, signer: Signer) -> None:
    assert prefect_api

    async def ask(client: httpx.AsyncClient) -> None:
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
            assert (await client.request(method, "/webhook")).status_code == 405
        for path in ("/", "/webhook/", "/docs", "/openapi.json"):
            assert (await client.post(path)).status_code in {307, 404}
        assert (await client.get("/health")).json() == {"status": "ok"}

    asking(signer, ask)
    assert signer.fetches <= 1


def test_from_the_socket_to_the_run_and_to_a_graceful_end(world: World, signer: Signer) -> None:
    deployment(world.prefect_api)
    deployment(world.prefect_api, "archive-session")
    recordings = [StandInRecording(new_id()) for _ in range(4)]
    with listening(world, signer) as (process, address):
        assert httpx.get(f"{address}/health").json() == {"status": "ok"}
        for recording in recordings:
            body, headers = signer.delivery(status_update(recording.id))
            send_until_accepted(f"{address}/webhook", body, headers)
        assert cut_off(address, b"Transfer-Encoding: chunked", b"10000\r\n" + b" " * 65_536 + b"\r\n", 1000) == 413
        assert cut_off(address, b"Content-Length: 1000000000", b"{", 1) == 413
        assert httpx.get(f"{address}/ready").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert all(len(world.flow_runs(recording)) == 1 for recording in recordings)
    log = (world.folder / "webhook.log").read_text()
    assert all(log.count(recording.id) == 1 for recording in recordings)
    assert "leak-canary" not in log
    assert "Traceback" not in log


def send_until_accepted(url: str, body: bytes, headers: dict[str, str]) -> None:
    eventually(lambda: httpx.post(url, content=body, headers=headers, timeout=60).status_code == 202)


def cut_off(address: str, header: bytes, piece: bytes, times: int) -> int:
    """Send a body without end until the connection is closed, and return the status of the answer."""
    url = httpx.URL(address)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        connection.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
        try:
            for _ in range(times):
                connection.sendall(piece)
        except ConnectionError:
            assert times > 1
        answer = connection.recv(65_536)
    return int(answer.split()[1])


def test_wrong_settings_are_2_and_told_before_anything_listens(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REALTIMEKIT_APP_ID", "")
    monkeypatch.setenv("REALTIMEKIT_WEBHOOK_KEY_URL", "http://key.example/leak-canary")
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert main(["--port", "0"]) == 2
    told = capsys.readouterr().err
    for name in ("REALTIMEKIT_APP_ID: is missing", "REALTIMEKIT_WEBHOOK_KEY_URL: must begin with https",
                 "PREFECT_API_URL: is missing"):  # fmt: skip
        assert name in told
    assert "leak-canary" not in told


def test_the_key_is_taken_from_https_alone_but_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALTIMEKIT_APP_ID", APP_ID)
    monkeypatch.delenv("REALTIMEKIT_WEBHOOK_KEY_URL", raising=False)
    published = "https://api.realtime.cloudflare.com/.well-known/webhooks.json"
    assert load_settings(WebhookSettings, None).realtimekit_webhook_key_url == published
    for url in (
        "http://127.0.0.1:8080/keys.json",
        "http://localhost/keys",
        "http://[::1]:1/keys",
        "https://a.example/k",
    ):
        monkeypatch.setenv("REALTIMEKIT_WEBHOOK_KEY_URL", url)
        assert load_settings(WebhookSettings, None).realtimekit_webhook_key_url == url


@pytest.mark.parametrize("arguments", [["--port", "65536"], ["--port", "-1"], ["--port", "x"], ["more"]])
def test_bad_arguments_are_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
