"""Whatever strangers wrote, a page comes of it, and nothing in it but what the page itself has is markup."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tasks.archive import InspectedBag, SessionBag
from tasks.catalog import COLUMNS
from tasks.library.catalog_cache import Snapshot
from tasks.library.meeting_documents import Line, SpokenLines, read_meeting
from tasks.library.pages import Pages
from tasks.library.recording_facts import RecordingFacts
from tasks.library.search_form import Page, SearchForm
from tasks.library.session_facts import facts_of
from tasks.s3 import StoredObject
from tests.library.test_pages import Elements
from tests.support.anything import ANY_TEXT, ID
from tests.support.strategies import ODD_VALUES, examples

if TYPE_CHECKING:
    from tasks.catalog import Row

ANYBODY: Any = None
PAGES = Pages(ANYBODY, "pre/", ANYBODY, ANYBODY, ANYBODY)
SCRIPT = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}&#60;"
TEXT = st.text(max_size=60) | st.just(SCRIPT)
UPLOAD = f"data/uploads/{SCRIPT}"
OF_STRANGERS = ODD_VALUES | st.just(SCRIPT)
MESSAGE_FIELDS = ("displayName", "payloadType", "payload", "createdAt")
PEOPLE_FIELDS = ("display_name", "custom_participant_id", "preset_name", "joined_at", "left_at")
SESSION_FIELDS = ("meeting_display_name", "started_at", "ended_at")
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "text": st.none() | TEXT,
    "integer": st.none() | st.integers(0, 2**63 - 1),
    "number": st.none() | st.floats(),
    "time": st.none() | st.datetimes(datetime(2000, 1, 1), datetime(8999, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    "texts": st.lists(TEXT, max_size=3),
    "files": st.lists(
        st.fixed_dictionaries({
            "path": TEXT.map("data/video/{}".format) | TEXT.map("data/tracks/{}.mp4".format) | TEXT,
            "size": st.none() | st.integers(0, 2**63 - 1),
            "sha256": st.none() | TEXT,
            "content_type": st.none() | TEXT,
        }),
        max_size=3,
    ),
}  # fmt: skip
IN_PATHS: dict[str, st.SearchStrategy[Any]] = {"app_id": TEXT, "month": TEXT, "documents": st.lists(TEXT, max_size=2)}
ROWS = st.fixed_dictionaries({column.name: KINDS[column.kind] for column in COLUMNS} | IN_PATHS)


def of(fields: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(fields) | ANY_TEXT, OF_STRANGERS, max_size=5)


def require_harmless(template: str, **facts: Any) -> None:
    """Render a page, and check that no element, and no attribute, is there that the templates do not have."""
    page = Elements(bytes(PAGES._html(template, **facts).body).decode())
    assert [its for tag, its in page.found if tag == "script"] == [{"src": "/static/library.js", "defer": None}]
    images = {(its.get("src") or "").rpartition("/")[2] for tag, its in page.found if tag == "img"}
    assert images <= {"icon.svg", "poster.svg", "sound.svg", "words.svg", "poster.jpg"}
    assert not [name for _, its in page.found for name in its if name.startswith("on") or name == "style"]
    addresses = [its[name] or "" for _, its in page.found for name in ("href", "src") if name in its]
    assert not [address for address in addresses if not address.startswith(("/", "#")) or address.startswith("//")]


@examples(30)
@given(ROWS, st.lists(st.builds(Line, st.floats(0, 10**6), TEXT, TEXT), max_size=3))
def test_any_row_of_the_catalog_is_a_page(row: Row, lines: list[Line]) -> None:
    recording, spoken = RecordingFacts(row), SpokenLines(tuple(lines), 7)
    require_harmless(
        "recording.html", recording=recording, is_here=True, spoken=spoken, meeting=None, problem="", begin=""
    )
    snapshot = Snapshot([row], datetime.now(UTC))
    page = Page.of(snapshot.rows, 1)
    require_harmless("list.html", form=SearchForm(), page=page, recordings=[facts_of(row)], snapshot=snapshot)
    assert (recording.at is None) == (recording.session_days == [])


@examples(40)
@given(
    of(SESSION_FIELDS), st.lists(of(PEOPLE_FIELDS), max_size=3) | OF_STRANGERS, st.lists(of(MESSAGE_FIELDS), max_size=3)
)
def test_any_session_is_a_page(details: object, people: object, messages: list[object]) -> None:
    require_session_page(json.dumps(details), json.dumps(people), json.dumps(messages), len(messages))


def test_what_is_nested_very_deeply_is_a_page() -> None:
    deep = "[" * 900 + "]" * 900
    require_session_page(
        "{}", deep, f'[{{"payloadType": "FILE_MESSAGE", "payload": {deep}}}, {{"payload": {deep}}}]', 2
    )


def require_session_page(details: str, people: str, chat: str, messages: int) -> None:
    documents = {"data/chat.json": chat.encode(), "data/summary.md": SCRIPT.encode() + b"\xff", UPLOAD: b""}

    class Bucket:
        bucket = "bucket"

        def get(self, key: str, _most: int) -> bytes:
            return documents[key.removeprefix("folder/")]

    manifest = "".join(f"{'0' * 64}  {path}\n" for path in documents)
    tags = {"session.json": details, "participants.json": people, "manifest-sha256.txt": manifest}
    listed = {path: StoredObject(f"folder/{path}", len(content), "") for path, content in documents.items()}
    bag = InspectedBag({name: content.encode() for name, content in tags.items()}, listed)
    meeting = read_meeting(cast("Any", Bucket()), ID, SessionBag("folder/", 1, bag))
    spoken = SpokenLines((Line(1.0, SCRIPT, SCRIPT),), 1)
    require_harmless("session.html", meeting=meeting, recordings=[], spoken=spoken, problem=SCRIPT)
    assert len(meeting.chat) == messages
