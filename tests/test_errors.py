"""Errors survive the way between processes, say what to do, and show no secret."""

import inspect
import pickle
from collections.abc import Iterator

import pytest

from tasks import errors
from tasks.errors import ArchiveDamaged, ArchiverError, FinalError, RetryableError, SettingsInvalid

URL = "https://u:pw@files.example.com/a/b.mp4?X-Amz-Signature=leak&X-Amz-Credential=leak#leak"
FACTS: dict[str, object] = {
    "problems": ("ARCHIVE_URL: is missing", URL),
    "findings": (f"{URL} is missing", "data/video/a.mp4 is missing"),
    "status": 403,
    "code": 10000,
    "announced": 10,
    "actual": 9,
    "most": 8,
    "waited_s": 3.7,
    "retry_after": 2.5,
}


def subclasses(kind: type[ArchiverError]) -> Iterator[type[ArchiverError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def made(kind: type[ArchiverError]) -> ArchiverError:
    """Make an error of plausible facts, with a URL in every text."""
    parameters = inspect.signature(kind.__init__).parameters.values()
    named = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD and each.name != "self"]
    return kind(*(FACTS[fact.name] if fact.annotation != "str" and fact.name in FACTS else URL for fact in named))


ALL = list(subclasses(ArchiverError))
KINDS = [kind for kind in ALL if kind not in {ArchiverError, FinalError, RetryableError}]
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
def test_an_error_survives_pickling_with_its_text_and_facts(kind: type[ArchiverError]) -> None:
    error = made(kind)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is kind
    assert (str(again), again.args, again.__dict__) == (str(error), error.args, error.__dict__)
    assert again.retry_after == error.retry_after


@pytest.mark.parametrize("kind", ALL)
def test_no_error_shows_user_query_or_fragment_of_a_url(kind: type[ArchiverError]) -> None:
    error = made(kind) if kind in KINDS else kind(URL)
    for text in (str(error), repr(error)):
        assert "leak" not in text
        assert "pw" not in text


@each_kind
def test_an_error_is_a_sentence_of_printable_text(kind: type[ArchiverError]) -> None:
    text = str(made(kind))
    assert len(text) > 40
    assert text.replace("\n", "").isprintable()
    assert repr(made(kind)).startswith(kind.__name__)


@each_kind
def test_an_error_is_either_final_or_worth_retrying(kind: type[ArchiverError]) -> None:
    assert issubclass(kind, FinalError) != issubclass(kind, RetryableError)
    assert kind.retryable is issubclass(kind, RetryableError)


def test_the_tree_in_the_docstring_names_every_error_in_its_place() -> None:
    tree = errors.__doc__ or ""
    lines = {line.split("─ ")[1].split()[0]: line.index("─ ") for line in tree.splitlines() if "─ " in line}
    assert set(lines) == {kind.__name__ for kind in ALL} - {"ArchiverError"}
    final, _, retryable = tree.partition("RetryableError  ")
    assert all(kind.__name__ in (retryable if kind.retryable else final) for kind in KINDS)
    assert all(lines[kind.__name__] > lines[kind.__mro__[1].__name__] for kind in KINDS)


def test_invalid_settings_are_listed_one_a_line() -> None:
    text = str(SettingsInvalid(("A: is missing", "B: is wrong")))
    assert text.splitlines()[1:] == ["  - A: is missing", "  - B: is wrong"]


def test_a_much_damaged_archive_names_the_first_findings_and_counts_the_rest() -> None:
    text = str(ArchiveDamaged("s3://bucket/a/", tuple(f"{number} is missing" for number in range(5000))))
    assert len(text) < 500
    assert "s3://bucket/a/" in text
    assert "9 is missing; and 4990 more" in text
