"""The boto3 client of a store: its time-outs, its credentials, and what boto3 does that costs time or breaks stores.

boto3's defaults are changed where a store refuses them, where they repeat work for each request, or where they wait
without an end; each hook below says which.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.utils import parse_timestamp

from tasks.errors import StoreRefused
from tasks.process_tuning import send_in_pieces
from tasks.s3.credentials import Provider, RenewedCredentials

if TYPE_CHECKING:
    from botocore.client import BaseClient

    from tasks.secret_sources import StoreKeys

CONNECT_TIMEOUT_S = 10.0
AMAZON = (".amazonaws.com", ".amazonaws.com.cn")


def new_s3_client(
    connections: int,
    answer_timeout_s: float = 60.0,
    *,
    keys: StoreKeys | None = None,
    profile: str = "",
    endpoint_url: str = "",
    region: str = "",
) -> BaseClient:
    """Return a boto3 client that reads its credentials, region and endpoint as boto3 always does.

    AWS_REGION counts too, as for every other program of Amazon's: boto3 alone knows AWS_DEFAULT_REGION only.

    Args:
        connections: how many requests may be under way at once.
        answer_timeout_s: seconds without a byte of an answer after which a connection counts as dead; a store needs
            some time to assemble a large object.
        keys: from files or Prefect blocks; None for what boto3 finds by itself.
        profile: of AWS's configuration: its credentials, region and endpoint count, and not those of the environment.
        endpoint_url: of the store; it counts more than what is configured.
        region: of the bucket; it counts more than what is configured, too.
    """
    config = Config(
        # Without these two boto3 adds checksum trailers that some stores refuse and one kept inside the object.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"total_max_attempts": 1},  # `tasks.s3.caller` retries, with patience that progress refills
        max_pool_connections=connections,
        connect_timeout=min(CONNECT_TIMEOUT_S, answer_timeout_s),
        read_timeout=answer_timeout_s,
        tcp_keepalive=True,
    )
    send_in_pieces()
    try:
        core = botocore.session.Session(profile=profile or None)
        _list_services_quickly(core)
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_timestamp)
        # Each object and part is sent with its MD5 or CRC64NVME, in a signed header. boto3 adds a SHA-256 over plain
        # http and if there is no MD5; that is a third of all work, so it is only added if the profile asks for it.
        signed = _asks_for_signed_bodies(core)
        provider = Provider(core.get_component("credential_provider"), profile or None, keys)
        core.register_component("credential_provider", provider)
        session = boto3.Session(botocore_session=core)
        config = config.merge(Config(s3={"payload_signing_enabled": signed}, user_agent=_compose_user_agent(core)))
        configured = session.region_name or os.environ.get("AWS_REGION")
        if profile:
            configured = core.get_scoped_config().get("region", configured)
            endpoint_url = endpoint_url or _endpoint_of_profile(core)
            config = config.merge(Config(ignore_configured_endpoint_urls=True))  # type: ignore[call-arg]
        client: BaseClient = session.client(
            "s3", region_name=region or configured, config=config, endpoint_url=endpoint_url or None
        )
        client.meta.events.register("before-call.s3.HeadBucket", _refuse_second_redirect)
        client.meta.events.register_last("before-call.s3", _remove_expect)
        if isinstance(credentials := core.get_credentials(), RenewedCredentials):
            client.meta.events.register("after-call.s3", credentials.note)
    except (BotoCoreError, ValueError) as error:
        refusal = StoreRefused("the configuration", "the AWS_* settings", type(error).__name__, str(error).rstrip("."))
    else:
        return client
    raise refusal


def _list_services_quickly(core: botocore.session.Session) -> None:
    """Have botocore take each folder of its data for a service.

    botocore looks into all of the 400 folders, twice for each client: 16 ms, a fifth of the time that making takes. A
    folder that has no data is found out all the same, when the data is read.
    """
    loader = core.get_component("data_loader")
    folders = [path for path in map(Path, loader.search_paths) if path.is_dir()]
    loader.list_available_services = lambda _type: [path.name for folder in folders for path in folder.iterdir()]


def _endpoint_of_profile(core: botocore.session.Session) -> str:
    """Return the endpoint that a profile names, alone or in a section of services; empty for Amazon's own.

    boto3 would take the environment's before it, which is another store's.
    """
    scoped = core.get_scoped_config()
    services = core.full_config.get("services", {}).get(scoped.get("services"), {})
    of_s3 = services.get("s3", {}) if isinstance(services, dict) else {}
    return str((of_s3.get("endpoint_url") if isinstance(of_s3, dict) else "") or scoped.get("endpoint_url") or "")


def _asks_for_signed_bodies(core: botocore.session.Session) -> bool:
    """Tell whether the AWS profile asks for signed bodies, as the policy of some buckets requires."""
    options = core.get_scoped_config().get("s3")
    return isinstance(options, dict) and str(options.get("payload_signing_enabled", "")).lower() == "true"


def _compose_user_agent(core: botocore.session.Session) -> str | None:
    """Return boto3's User-Agent, which boto3 would compose twice for each request: a tenth of its processor time.

    None if the settings hold an app id, which only the longer User-Agent of a request contains.
    """
    return None if core.get_config_variable("user_agent_appid") else core.user_agent()


def _parse_timestamp(value: str) -> datetime:
    """Parse a store's timestamp; botocore's parser would take most of the time of a listing, which has one per key."""
    try:
        if value.endswith(" GMT"):
            return parsedate_to_datetime(value).replace(tzinfo=UTC)
        return datetime.fromisoformat(value) if "T" in value else parse_timestamp(value)
    except (ValueError, OverflowError):
        return parse_timestamp(value)


def _refuse_second_redirect(params: dict[str, Any], **_: object) -> None:
    """Let boto3 look for a redirected bucket's region once: if that request is redirected too, boto3 would not end."""
    params["context"].setdefault("s3_redirect", {})["redirected"] = True


def _remove_expect(params: dict[str, Any], **_: object) -> None:
    """Send bodies without "Expect: 100-continue": some proxies answer 417 to that header, others do not answer."""
    params["headers"].pop("Expect", None)


def are_in_one_store(first: BaseClient, second: BaseClient) -> bool:
    """Tell whether two clients speak to one store, where a name of a bucket means one bucket: Amazon's is one."""
    hosts = [urlsplit(client.meta.endpoint_url) for client in (first, second)]
    names = {"Amazon" if (host.hostname or "").endswith(AMAZON) else (host.hostname, host.port) for host in hosts}
    return len(names) == 1
