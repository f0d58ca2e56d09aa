"""What property tests and fuzzing share: how many examples, mutilated documents and answers, and all an error shows.

The normal suite runs the same few examples every time. Many random ones, for as long as they take:

    HYPOTHESIS_PROFILE=long uv run pytest --timeout 0 -k "fuzz or property"

`EXAMPLES_FACTOR` says how many times as many as the tests state: 20 if not set, and a half without the profile, where
the examples are always the same. What fails in a long run is kept in `.hypothesis/`, and tried first in the next one;
`--hypothesis-seed` repeats one.
"""

from __future__ import annotations

import json
import pickle
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.support.anything import ANY_TEXT, FACTOR, PROFILE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.errors import ArchiverError

_ANYHOW: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("normal", derandomize=True, database=None, **_ANYHOW)
settings.register_profile(
    "long", derandomize=False, database=DirectoryBasedExampleDatabase(".hypothesis/examples"), **_ANYHOW
)
settings.load_profile(PROFILE)


def examples(count: int, **more: Any) -> settings:
    """Return settings for `FACTOR` times so many examples: half as many every day."""
    return settings(max_examples=max(1, round(count * FACTOR)), **more)


def shown(error: BaseException) -> str:
    """Return all that anybody can get to see of an error: its text, its facts, its pickle, and of what it came from."""
    chain, texts = [error], []
    for each in chain:
        texts += [f"{each!s} {each!r} {each.args!r} {vars(each)!r}", *traceback.format_exception(each)]
        chain += [other for other in (each.__cause__, each.__context__) if other is not None and other not in chain]
    return "\n".join([*texts, pickle.dumps(error).decode("latin-1")])


def require_presentable(error: ArchiverError, *secrets: str) -> None:
    """Check that an error survives pickling, tells something that can be stored, and shows no secret."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(again), str(again), again.retryable) == (type(error), str(error), error.retryable)
    assert str(error).encode()
    everything = shown(error)
    assert not [secret for secret in secrets if secret in everything]


# Documents

_ODD_NUMBERS = st.sampled_from([0, -1, 1.5, 2**53 + 1, 2**63, -(2**63), 10**400, 1e308, float("nan"), float("-inf")])
_ODD_SCALARS = st.none() | st.booleans() | _ODD_NUMBERS | ANY_TEXT | st.sampled_from(["", " ", "\ud800", "9" * 400])


def _nested(depth: int, leaf: object, *, lists: bool) -> object:
    for _ in range(depth):
        leaf = [leaf] if lists else {"a": leaf}
    return leaf


ODD_VALUES: st.SearchStrategy[object] = st.one_of(
    _ODD_SCALARS,
    st.lists(_ODD_SCALARS, max_size=3),
    st.dictionaries(ANY_TEXT, _ODD_SCALARS, max_size=3),
    st.builds(_nested, st.sampled_from([1, 49, 51, 300]), _ODD_SCALARS, lists=st.booleans()),
    st.integers(1, 20_000).map("x".__mul__),
)
"""What no answer should have where it has it."""


def _places(document: object, here: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    inside: list[tuple[object, ...]] = [here]
    members = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for name, value in members:
        inside += _places(value, (*here, name))
    return inside


def _changed(document: Any, place: Sequence[Any], change: Callable[[Any], Any]) -> Any:
    if not place:
        return change(document)
    copy = document.copy()
    copy[place[0]] = _changed(copy[place[0]], place[1:], change)
    return copy


_CHANGES: st.SearchStrategy[Callable[[Any], Any]] = st.one_of(
    ODD_VALUES.map(lambda odd: lambda _: odd),
    st.sampled_from([lambda it: [it], lambda it: {"a": it}, str, lambda it: [it, it], json.dumps]),
)


@st.composite
def mutilated(draw: st.DrawFn, documents: st.SearchStrategy[Any], most: int = 3) -> Any:
    """Draw a document with a few of its values replaced, wrapped, doubled or made text of."""
    document = draw(documents)
    for _ in range(draw(st.integers(0, most))):
        document = _changed(document, draw(st.sampled_from(_places(document))), draw(_CHANGES))
    return document


@dataclass(frozen=True)
class Damage:
    """Something that happens to a text on its way."""

    kind: str
    place: int
    junk: bytes = b""

    def to(self, data: bytes) -> bytes:
        """Return what arrives."""
        at = self.place % (len(data) + 1)
        return {
            "cut": data[:at],
            "gap": data[:at] + data[at + 1 + len(self.junk) :],
            "junk": data[:at] + self.junk + data[at:],
            "swap": data[:at] + self.junk + data[at + len(self.junk) :],
            "twice": data + data,
            "again": data[:at] + data,
            "utf-16": data.decode(errors="replace").encode("utf-16"),
            "utf-32": data.decode(errors="replace").encode("utf-32"),
            "latin-1": data.decode(errors="replace").encode("latin-1", "replace"),
            "marked": b"\xef\xbb\xbf" + data,
        }[self.kind]


_KINDS = ["cut", "gap", "junk", "swap", "twice", "again", "utf-16", "utf-32", "latin-1", "marked"]
DAMAGES = st.builds(Damage, st.sampled_from(_KINDS), st.integers(0, 100_000), st.binary(max_size=20))


def damaged(texts: st.SearchStrategy[bytes], most: int = 2) -> st.SearchStrategy[bytes]:
    """Draw a text to which a few things have happened, often none."""

    def arrived(data: bytes, damages: list[Damage]) -> bytes:
        for damage in damages:
            data = damage.to(data)
        return data

    return st.builds(arrived, texts, st.lists(DAMAGES, max_size=most))


# Headers

ANY_VALUE = st.one_of(
    st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60).map(str.strip),
    st.sampled_from(["", "9" * 5000, "-1", "1e9", "0x10", "\xb2", "gzip, gzip", "chunked", "a=\xe9; path=/", "0, 0"]),
    st.integers(-1, 10**20).map(str),
)
"""A header's value, of any characters that get past the parser."""
