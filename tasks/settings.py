"""The settings: which there are, where they come from, and one error that lists all problems.

They are read when a run starts, never at import. The object store's region and endpoint are not here: they are boto3's
own `AWS_*` variables, which a `.env` file may hold as well, as it may proxies and certificates. So are its keys, unless
they stand in a file or in a Prefect block, see `tasks.secret_sources`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, TypeVar

from pydantic import AfterValidator, ByteSize, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks import environment
from tasks.app_ids import AppId, OptionalAppId
from tasks.errors import SettingsInvalid
from tasks.secret_sources import (
    ARCHIVE_STORE,
    STORES,
    StoreKeys,
    StoreVariables,
    Variables,
    find_secrets,
    take_store_keys,
)
from tasks.setting_problems import describe_problems
from tasks.setting_values import (
    clean_api_base,
    clean_archive_url,
    clean_endpoint,
    clean_key_url,
    clean_token,
    parsed_by,
)
from tasks.storage_options import (
    StorageOptions,
    parse_acl,
    parse_encryption,
    parse_lock,
    parse_options,
    parse_storage_class,
    parse_tags,
)
from tasks.text import MIB, register_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=BaseSettings)
_AccountId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_FROM_ENVIRONMENT = SettingsConfigDict(
    frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, str_strip_whitespace=True
)


class ClientOptions(TypedDict):
    """How a store's client is made, but for the number of its connections."""

    keys: StoreKeys | None
    profile: str
    endpoint_url: str
    region: str


class LoadedSettings(BaseSettings):
    """Settings that know where their secrets came from."""

    model_config = _FROM_ENVIRONMENT

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each secret came from, in words, by the name of its variable."""
        return self._origins


class ArchiveSettings(LoadedSettings):
    """What a run needs to know that has to do with the archive alone, and not with Cloudflare.

    The field names in capitals are the names of the environment variables.
    """

    archive_url: Annotated[str, AfterValidator(clean_archive_url)]
    transfer_concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    transfer_patience: _Seconds = 300.0
    task_retries: Annotated[int, Field(ge=0, le=20)] = 3
    metrics_folder: str = ""  # where sweep and audit write their figures for Prometheus; empty for nowhere
    archive_credentials: str = ""
    archive_storage_class: Annotated[str, parsed_by(parse_storage_class)] = ""
    archive_sse: Annotated[str, parsed_by(parse_encryption)] = ""
    archive_object_lock: Annotated[str, parsed_by(parse_lock)] = ""
    archive_tags: Annotated[str, parsed_by(parse_tags)] = ""
    archive_acl: Annotated[str, parsed_by(parse_acl)] = ""

    _keys: dict[StoreVariables, StoreKeys | None] = PrivateAttr(default_factory=dict)

    @property
    def store_keys(self) -> StoreKeys | None:
        """The keys of the store, if they come from files or blocks; None if boto3 finds them by itself."""
        return self._keys.get(ARCHIVE_STORE)

    @property
    def store_access(self) -> ClientOptions:
        """How the store's client is made, see `tasks.s3.new_s3_client`: what boto3 does not find by itself."""
        return {"keys": self.store_keys, "profile": "", "endpoint_url": "", "region": ""}

    @property
    def storage_options(self) -> StorageOptions:
        """How the objects of the archive are stored."""
        return parse_options({name: getattr(self, name) for name in ArchiveSettings.model_fields})

    @property
    def bucket(self) -> str:
        """The bucket named by `archive_url`."""
        return self.archive_url.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """The prefix within the bucket, without slashes at its ends; empty if there is none."""
        return self.archive_url.removeprefix("s3://").partition("/")[2]

    @property
    def root(self) -> str:
        """The prefix of all keys of the archive: with a slash at its end, or empty."""
        return f"{self.prefix}/" if self.prefix else ""


class AuditSettings(ArchiveSettings):
    """What an audit needs to know: the archive, and, for its advice alone, which app this machine archives."""

    realtimekit_app_id: OptionalAppId = ""


class RestoreSettings(ArchiveSettings):
    """What a restore needs to know: the archive, and, for a target in another store, how that one is reached."""

    restore_profile: str = ""  # of AWS's configuration
    restore_endpoint_url: Annotated[str, AfterValidator(clean_endpoint)] = ""


class ApiSettings(LoadedSettings):
    """What a command needs to know that talks with RealtimeKit's API alone."""

    cloudflare_api_token: Annotated[SecretStr, AfterValidator(clean_token)]
    cloudflare_account_id: _AccountId
    realtimekit_app_id: AppId
    cloudflare_base_url: Annotated[str, AfterValidator(clean_api_base)] = "https://api.cloudflare.com/client/v4"


class Settings(ApiSettings, ArchiveSettings):
    """What a run needs to know that brings recordings home."""

    transfer_part_size: Annotated[ByteSize, Field(ge=5 * MIB, le=5 * 1024 * MIB)] = ByteSize(8 * MIB)
    stall_timeout: _Seconds = 30.0
    poll_interval: _Seconds = 10.0


class WebhookSettings(LoadedSettings):
    """What the webhook's receiver needs to know: no token, no store."""

    realtimekit_app_id: AppId
    realtimekit_webhook_key_url: Annotated[str, AfterValidator(clean_key_url)] = (
        "https://api.realtime.cloudflare.com/.well-known/webhooks.json"
    )


class AlarmSettings(BaseSettings):
    """What the alarms need to know: where they are sent, which is a secret unless it is the name of a block."""

    model_config = _FROM_ENVIRONMENT

    alarms_to: SecretStr = SecretStr("")


def load_settings(kind: type[S], env_file: str | None = ".env") -> S:
    """Read settings from the environment, which a `.env` file may complete but never override.

    Only what libraries read by themselves is put into the environment, which children and other libraries see. What
    stands in files or in Prefect blocks is not.

    Args:
        kind: `Settings`, or what a run needs of them: `ArchiveSettings`, `AuditSettings`, `ApiSettings`,
            `WebhookSettings`.
        env_file: path of that file; it need not exist.

    Raises:
        SettingsInvalid: something is missing or malformed; names every problem, and no values.
        PrefectUnavailable: a setting names a Prefect block, and the server does not answer.
        PrefectRefused: the server does not take our credentials.
    """
    lines, problems = environment.read_env_file(env_file) if env_file is not None else ({}, [])
    variables = Variables(dict(os.environ), lines, readable=not problems)
    problems += environment.complete(lines, env_file)
    environment.tidy()
    register_secrets((*environment.secrets(), *environment.secrets(lines)))
    problems += environment.problems()
    secrets = find_secrets(_wanted(kind), variables)
    wanted = [store for store in STORES if store.credentials.lower() in kind.model_fields]
    keys = {store: take_store_keys(secrets, variables, store) for store in wanted}
    given = {name.lower() for name, value in os.environ.items() if value}
    completing: dict[str, Any] = {name.lower(): value for name, value in lines.items() if name.lower() not in given}
    completing |= {name.lower(): value for name, value in secrets.values.items()}
    try:
        settings = kind(**{name: value for name, value in completing.items() if name in kind.model_fields})
    except ValidationError as invalid:
        problems += describe_problems(invalid, secrets)
    problems += secrets.problems.values()
    if problems:
        raise SettingsInvalid(tuple(problems))
    if isinstance(settings, LoadedSettings):
        settings._origins = secrets.origins  # noqa: SLF001 - nobody else sets them
    if isinstance(settings, ArchiveSettings):
        settings._keys = keys  # noqa: SLF001
    return settings


def _wanted(kind: type[BaseSettings]) -> list[str]:
    """Return the names of the variables that settings may have from elsewhere: no more is read than is needed."""
    fields = [name.upper() for name in kind.model_fields]
    return [*fields, *(key for store in STORES if store.credentials in fields for key in store.keys)]


def unreadable(env_file: str) -> list[str]:
    """Return what is wrong with a `.env` file, if it cannot be read."""
    return environment.read_env_file(env_file)[1]
