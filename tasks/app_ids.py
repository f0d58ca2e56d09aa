"""Ids of RealtimeKit's apps: what they look like, and when two of them are the same.

Source: https://developers.cloudflare.com/api/resources/realtime_kit/subresources/apps/methods/get/
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

APP_ID = r"[A-Za-z0-9_-]{1,64}"
"""A regular expression: UUIDs today, 32 hexadecimal digits in some older accounts."""
ALL_APPS = "*"

AppId = Annotated[str, Field(pattern=f"^{APP_ID}$")]
OptionalAppId = Annotated[str, Field(pattern=f"^(?:{APP_ID})?$")]
"""Empty for the app of the settings."""
AppIdOrAll = Annotated[str, Field(pattern=rf"^(?:{APP_ID}|\*)$")]
"""`ALL_APPS` for all apps of the account."""


def same_app(first: str, second: str) -> bool:
    """Tell whether two ids are of one app: Cloudflare has UUIDs with hyphens and without."""
    return first.replace("-", "").lower() == second.replace("-", "").lower()
