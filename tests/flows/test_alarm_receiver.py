"""Who receives the alarms: a block of Prefect's, a webhook, or a service that Apprise knows; no error repeats a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prefect.blocks.notifications import SlackWebhook
from pydantic import SecretStr

from flows import alarms as door
from tasks.errors import SettingsInvalid
from tasks.orchestration.alarm_receiver import BlockAddress, parse_receiver
from tasks.settings import AlarmSettings, load_settings
from tasks.text import redact
from tests.support.chat import PATH, listening_chat

if TYPE_CHECKING:
    from pathlib import Path

SLACK = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.mark.parametrize(
    ("text", "begins", "holds"),
    [
        (f"slack://{SLACK}", f"slack://{SLACK}?", "retry=2"),
        (f" https://hooks.slack.com/services/{SLACK}\n", f"https://hooks.slack.com/services/{SLACK}?", "retry=2"),
        ("https://discord.com/api/webhooks/123456789012345678/abc", "https://discord.com/", "format=text"),
        ("mailtos://user:pw@example.com?to=ops@example.com&retry=5", "mailtos://user:pw@example.com?", "&retry=5&wait"),
        ("https://u:pw@[::1]:8443/a%20b?x=1&y=", "jsons://u:pw@[::1]:8443/a%20b?", "-x=1&-y=&"),
        ("http://chat.example.com", "json://chat.example.com/?", "message=text"),
    ],
)
def test_a_url_is_taken_with_all_that_it_holds(text: str, begins: str, holds: str) -> None:
    url = parse_receiver(text)
    assert isinstance(url, str)
    assert url.startswith(begins)
    assert holds in url
    assert redact(f"sent to {text.strip()}") != f"sent to {text.strip()}"


def test_a_block_is_named_as_everywhere() -> None:
    assert parse_receiver("prefect:ms-teams-webhook/on-call") == BlockAddress("ms-teams-webhook", "on-call")


@pytest.mark.parametrize(
    "text",
    ["nonsense-secret", "https://", "https://example.com:99999/secret", "https://example.com/#secret",
     "secret://example.com", "prefect:secret", "prefect:slack webhook/secret", "https://example.com/se cret"],
)  # fmt: skip
def test_what_is_no_receiver_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SettingsInvalid, match="ALARMS_TO, or --to: must be prefect:TYPE/NAME") as raised:
        parse_receiver(text)
    assert "secret" not in str(raised.value)


def test_a_webhook_gets_its_very_url_and_a_title_and_a_text() -> None:
    with listening_chat() as chat:
        url = parse_receiver(chat.url)
        assert isinstance(url, str)
        SlackWebhook(url=SecretStr(url)).notify("The text", subject="The title")
    assert (chat.messages, chat.paths) == ([{"title": "The title", "text": "The text"}], {PATH})


def test_without_a_server_nothing_can_ring(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert door.main(["--list"]) == 1
    assert "none is configured (PREFECT_API_URL)" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--list", "--remove"], ["--sweep-within", "5"], ["--nonsense"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        door.main(arguments)
    assert ended.value.code == 2


def test_the_setting_names_a_notification_block_as_the_option_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALARMS_TO", "prefect:slack-webhook/team")
    settings = load_settings(AlarmSettings, None)
    assert parse_receiver(settings.alarms_to.get_secret_value()) == BlockAddress("slack-webhook", "team")
