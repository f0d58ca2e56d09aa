"""The settings of the second copy: where it lies, and how its store is reached.

What is not set is as for the archive: another bucket or region of the same store needs its URL alone.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from tasks.errors import SettingsInvalid
from tasks.secret_sources import COPY_STORE, StoreKeys
from tasks.setting_values import clean_endpoint, parse_archive_url
from tasks.settings import ArchiveSettings, ClientOptions


def _usable_url(url: str) -> str:
    bucket, prefix = parse_archive_url(url)
    return f"s3://{bucket}/{prefix}".rstrip("/")


def _optional_url(url: str) -> str:
    return _usable_url(url) if url else url


class CopyStoreSettings(ArchiveSettings):
    """What has to be known of the second copy's store, if there is one."""

    archive_copy_url: Annotated[str, AfterValidator(_optional_url)] = ""
    archive_copy_endpoint_url: Annotated[str, AfterValidator(clean_endpoint)] = ""
    archive_copy_region: str = ""
    archive_copy_profile: str = ""  # of AWS's configuration
    archive_copy_credentials: str = ""

    def of_copy(self) -> CopyArchiveSettings:
        """Return the settings of the second copy, as if it were the archive.

        What is set for the archive's objects alone (`ARCHIVE_…`) does not count there.

        Raises:
            SettingsInvalid: they name two accounts.
        """
        if self.archive_copy_profile and self._keys.get(COPY_STORE):
            raise SettingsInvalid(("ARCHIVE_COPY_PROFILE: is set, and so are keys for the copy; keep one of them",))
        names = [name for name in ArchiveSettings.model_fields if not name.startswith("archive_")]
        shared = {name: getattr(self, name) for name in names}
        settings = CopyArchiveSettings.model_construct(**shared | {"archive_url": self.archive_copy_url})
        settings._source = self  # noqa: SLF001
        return settings


class CopySettings(CopyStoreSettings):
    """What a run needs to know that writes or compares the second copy."""

    archive_copy_url: Annotated[str, AfterValidator(_usable_url)]


class CopyArchiveSettings(ArchiveSettings):
    """The second copy as an archive: read and audited like any other."""

    _source: CopyStoreSettings

    @property
    def store_keys(self) -> StoreKeys | None:
        """The keys of the second copy's store, or those of the archive's."""
        source = self._source
        return source._keys.get(COPY_STORE) or (None if source.archive_copy_profile else source.store_keys)  # noqa: SLF001

    @property
    def store_access(self) -> ClientOptions:
        """How the client of the second copy's store is made."""
        source = self._source
        return {
            "keys": self.store_keys,
            "profile": source.archive_copy_profile,
            "endpoint_url": source.archive_copy_endpoint_url,
            "region": source.archive_copy_region,
        }
