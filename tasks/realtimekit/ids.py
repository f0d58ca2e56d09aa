"""The ids of recordings and sessions: UUIDs, which people may write in capitals and with blanks around them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from tasks.errors import RecordingIdInvalid, SessionIdInvalid

_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"


def parse_recording_id(text: str) -> str:
    """Return a recording's id in its canonical form, lower case without blanks around it.

    Raises:
        RecordingIdInvalid: it is not a UUID.
    """
    return _parse_uuid(text, RecordingIdInvalid)


def parse_session_id(text: str) -> str:
    """Return a session's id in its canonical form, lower case without blanks around it.

    Raises:
        SessionIdInvalid: it is not a UUID.
    """
    return _parse_uuid(text, SessionIdInvalid)


def _parse_uuid(text: str, invalid: type[RecordingIdInvalid | SessionIdInvalid]) -> str:
    if not re.fullmatch(_UUID, text.strip()):
        raise invalid(text)
    return text.strip().lower()


RecordingId = Annotated[str, Field(pattern=_UUID), AfterValidator(parse_recording_id)]
SessionId = Annotated[str, Field(pattern=_UUID), AfterValidator(parse_session_id)]
