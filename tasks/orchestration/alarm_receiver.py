"""Where alarms are sent: a notification block that Prefect has, or a URL, which becomes a block of ours.

The block of ours is of Prefect's type Slack Webhook, whatever the URL: of Prefect's blocks, only this type hides its
whole URL, takes any URL of the library Apprise, and reports a failure as an event. The block Custom Webhook
shows its URL to all, and when the receiver answers with an error, the server logs the URL and sends the message four
times.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from apprise import Apprise
from prefect.blocks.notifications import SlackWebhook
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from tasks.errors import SettingsInvalid
from tasks.text import register_secrets

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import BlockDocument

BLOCK, BLOCK_TYPE = "realtimekit-alarms", "slack-webhook"
_ADDRESS = re.compile(r"prefect:([a-z0-9-]{1,100})/([a-z0-9][a-z0-9-]{0,199})")
_JSON = {"http": "json", "https": "jsons"}
_FIELDS = {":message": "text", ":version": "", ":attachments": "", ":type": ""}
"""The fields of the JSON document that a webhook gets: as chat programs take them, and none besides."""
_AGAIN = {"retry": "2", "wait": "3"}
"""A message that is not taken is sent again after so many seconds: Prefect itself tries once."""
_EXPECTED = (
    "must be prefect:TYPE/NAME of a notification block, the https URL of a webhook, or a URL of Apprise such as "
    "slack://TOKEN/TOKEN/TOKEN or mailtos://USER:PASSWORD@HOST?to=ADDRESS"
)


@dataclass(frozen=True)
class BlockAddress:
    """A block of Prefect's, by its type and name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"prefect:{self.kind}/{self.name}"


OURS = BlockAddress(BLOCK_TYPE, BLOCK)


def parse_receiver(text: str) -> BlockAddress | str:
    """Return the block that a text names, or the URL for Apprise.

    Raises:
        SettingsInvalid: it is neither; the text is not repeated, as it may be a secret.
    """
    text = text.strip()
    if text.startswith("prefect:"):
        matched = _ADDRESS.fullmatch(text)
        if not matched:
            raise _invalid(_EXPECTED)
        return BlockAddress(matched[1], matched[2])
    register_secrets([text])
    url = _complete_url(text)
    if not url:
        raise _invalid(_EXPECTED)
    return url


def _invalid(problem: str) -> SettingsInvalid:
    return SettingsInvalid((f"ALARMS_TO, or --to: {problem}",))


def _complete_url(text: str) -> str:
    """Return a URL that Apprise takes; empty if there is none."""
    if not re.fullmatch(r"[!-~]+", text) or "://" not in text:
        return ""
    if (kind := _apprise_kind(text)) is None:
        return _json_url(text)
    options = {} if kind == "NotifySlack" else {"format": "text"}  # others make HTML of it, without ends of lines
    return _with_options(text, _AGAIN | options)


def _apprise_kind(url: str) -> str | None:
    logger = logging.getLogger("apprise")
    before, logger.disabled = logger.disabled, True  # its warnings repeat the URL
    try:
        known = Apprise.instantiate(url)
    finally:
        logger.disabled = before
    return type(known).__name__ if known else None


def _with_options(url: str, options: dict[str, str]) -> str:
    """Return a URL with options of Apprise that it does not have."""
    present = {name.lower() for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)}
    missing = urlencode({name: value for name, value in options.items() if name not in present})
    return f"{url}{'&' if '?' in url else '?'}{missing}" if missing else url


def _json_url(text: str) -> str:
    """Return Apprise's URL of a webhook that takes JSON; empty if it has no host."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme.lower() in _JSON and parts.hostname and (parts.port or 1) <= 65_535
    except ValueError:
        usable = False
    if not usable or parts.fragment:
        return ""
    query = [(f"-{name}", value) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    options = urlencode([*query, *_FIELDS.items(), *_AGAIN.items()], quote_via=quote)
    url = f"{_JSON[parts.scheme.lower()]}://{parts.netloc}{parts.path or '/'}?{options}"
    return url if _apprise_kind(url) else ""


def provide_block(client: SyncPrefectClient, receiver: BlockAddress | str) -> UUID:
    """Return the id of the notification block, which is made, or changed, if the receiver is a URL.

    Raises:
        SettingsInvalid: there is no such block, or the block sends no notifications.
    """
    if isinstance(receiver, str):
        SlackWebhook(url=SecretStr(receiver)).save(BLOCK, overwrite=True)
        receiver = OURS
    block = find_block(client, receiver)
    if block is None:
        raise _invalid(f"Prefect has no block {receiver}: make it in the UI (Blocks), or correct the name")
    schema = block.block_schema
    if schema is None or "notify" not in schema.capabilities:
        raise _invalid(f"the block {receiver} sends no notifications")
    return block.id


def find_block(client: SyncPrefectClient, address: BlockAddress) -> BlockDocument | None:
    """Return a block without its secrets; None if there is none."""
    try:
        return client.read_block_document_by_name(address.name, address.kind, include_secrets=False)
    except ObjectNotFound:
        return None


def name_receivers(client: SyncPrefectClient, block_ids: set[UUID]) -> str:
    """Return the addresses of blocks, which hold no secrets; empty if there are none."""
    names = []
    for block_id in sorted(block_ids):
        try:
            block = client.read_block_document(block_id, include_secrets=False)
        except ObjectNotFound:
            names.append("a block that is gone: give the receiver again, with --to")
        else:
            names.append(str(BlockAddress(block.block_type.slug if block.block_type else "", block.name or "")))
    return ", ".join(names)
