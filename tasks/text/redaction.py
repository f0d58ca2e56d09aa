"""Redaction: presigned URLs, tokens, passwords and keys are neither shown nor archived, wherever they hide."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REMOVED = "removed before archiving"
DEEPEST = 50
"""Levels of nesting that are archived: far more than the API's few, and far less than what upsets a parser."""

# All patterns are bounded where they could backtrack: what they search comes from the network.
_URL = re.compile(
    r"""(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,31}):(?P<slashes>(?:\\?/){2})  # JSON may escape its slashes
        (?:[^\s"'<>/\\?#]*@)?(?P<host>[^\s"'<>/\\?#@]*)(?P<path>[^\s"'<>?#]*)(?:[?#]\S*)?""",
    re.VERBOSE,
)
_SECRET_PAIR = re.compile(
    r"""\b(?P<name>x-(?:amz|goog|ms)-[a-z-]{0,40}|sig|[a-z_]{0,30}(?:signature|token|password|secret|_key|keyid|accountkey))
        (?P<equals>=|%3d|\\?["']\s{0,9}:\s{0,9}\\?["'])[^\s&;"']+""",
    re.VERBOSE | re.IGNORECASE,
)
_HEADER = re.compile(r"(?P<told>(?:invalid|illegal) header (?:value|name) b?)[\"'].*", re.IGNORECASE)
"""How http.client and h11 quote a header that they do not send: the whole of its value."""
_INPUT = re.compile(r"\binput_value=.{0,500}?(?=, input_type=)", re.DOTALL)
"""How pydantic quotes what it does not take."""
_BEARER = re.compile(r"\b(bearer)\s+\S{16,}", re.IGNORECASE)
_PRIVATE_KEY = re.compile(r"-----BEGIN[^-]{0,40}PRIVATE KEY.*", re.DOTALL)

_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|credential|signature|authori[sz]ation|bearer|cookie|private|connectionstring|jwt"
    r"|^auth$|^sig$|^sas|keys?$|keyid$"
)
_SHORTEST_SECRET = 5
"""Characters: what is shorter is also a piece of many a word."""
_STORAGE_FIELDS = frozenset({"type", "bucket", "region", "path", "host", "port", "auth_method"})
_PLAIN_PATHS = frozenset({"http", "https", "s3"})  # of a streaming server, the path may be the key


def redact_text(text: str) -> str:
    """Return a text as it may be shown: URLs without user, query and fragment, and no signature, token or key."""
    text = _URL.sub(_bare_url, text)
    text = _INPUT.sub("input_value=***", _HEADER.sub(r"\g<told>***", text))
    text = _SECRET_PAIR.sub(r"\g<name>\g<equals>***", text)
    return _PRIVATE_KEY.sub("***", _BEARER.sub(r"\1 ***", text))


def _bare_url(match: re.Match[str]) -> str:
    path = match["path"] if match["scheme"].lower() in _PLAIN_PATHS else ""
    # With an @ later on, nobody can tell where a password ends.
    rest = "***" if "@" in match[0][match.start("path") - match.start() :] else match["host"] + path
    return f"{match['scheme']}:{match['slashes']}{rest}"


class Redactor:
    """Takes the secrets that it knows out of texts, wherever they stand, and what looks like one.

    Args:
        environment: the values of variables whose names speak of secrets are some.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._secrets: set[str] = set()
        self.add(value for name, value in environment.items() if _names_a_secret(one_word(name)))

    def add(self, secrets: Iterable[str | None]) -> None:
        """Make more secrets known."""
        # Another thread may be at work on a text: it keeps the set that it began with.
        self._secrets = self._secrets.union(*(_forms(secret) for secret in secrets if secret))

    def __call__(self, text: str) -> str:
        """Return a text as it may be shown."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return redact_text(text)


def _forms(secret: str) -> set[str]:
    """Return what of a secret may stand in a text: each of its lines, as in a URL, too."""
    pieces = {piece.strip() for piece in secret.splitlines()}
    return {
        form
        for piece in pieces
        if len(piece) >= _SHORTEST_SECRET
        for form in (piece, quote(piece, safe="", errors="replace"))
    }


_OWN = Redactor({})
"""What this process was given: its settings, and the environment's values that libraries read by themselves."""


def register_secrets(secrets: Iterable[str | None]) -> None:
    """Make secrets known that no text of this process may show from now on; see `redact`."""
    _OWN.add(secrets)


def redact(text: str) -> str:
    """Return a text as it may be shown, without what `register_secrets` was told of.

    Not for what is archived: that is the same on every machine, whatever its secrets are.
    """
    return _OWN(text)


def _names_a_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(name) or name.endswith("authstring"))


def redact_details(details: Mapping[str, object]) -> dict[str, object]:
    """Return a copy of the API's details that is fit to be archived: no secrets, no presigned URLs, plain JSON.

    Fields whose names speak of secrets are replaced, of `storage_config` only what is known to be harmless is
    kept, download URLs are replaced whole and any other URL loses user, query and fragment. The expiry of the
    URLs goes with them: it says nothing once they are gone, and changes with every look.
    """
    return _members(details, DEEPEST)


def _members(value: Mapping[str, object], depth: int) -> dict[str, object]:
    kept = {name: item for name, item in value.items() if "downloadurlexpir" not in one_word(name)}
    return {_text(name): _redacted(one_word(name), item, depth) for name, item in kept.items()}


def _redacted(name: str, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if depth <= 0 or _SECRET_NAME.search(name):
        return REMOVED
    if isinstance(value, list):
        return [_redacted(name, item, depth - 1) for item in value]
    if isinstance(value, dict):
        return _members(_harmless(value) if "storageconfig" in name else value, depth - 1)
    if "storageconfig" in name or ("download" in name and "url" in name):
        return REMOVED
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _text(value) if isinstance(value, str) else value


def _harmless(storage: Mapping[str, object]) -> dict[str, object]:
    known = {name: value for name, value in storage.items() if name in _STORAGE_FIELDS}
    return {name: value for name, value in known.items() if not isinstance(value, dict | list)}


def one_word(name: str) -> str:
    """Return a field's name as one word, however it is cased and joined."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _text(text: str) -> str:
    # Half a surrogate pair is a str in Python, but no text that could be stored.
    return redact_text(text.encode(errors="replace").decode())
