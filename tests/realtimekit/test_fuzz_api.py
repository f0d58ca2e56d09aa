"""Whatever answers in the API's place: a recording or one of our errors, and no secret in what is shown or kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.archive.file_names import payload_paths
from tasks.errors import ArchiverError
from tasks.realtimekit.availability import require_media
from tasks.realtimekit.parsing import parse_recording
from tasks.realtimekit.recordings import RealtimeKit
from tasks.text.redaction import redact_details
from tests.standins.realtimekit import LEAKY_STORAGE_CONFIG
from tests.support.anything import ANY_DETAILS, ID, described
from tests.support.calling import TOKEN, NoWaits, everything
from tests.support.strategies import ANY_VALUE, ODD_VALUES, damaged, examples, mutilated, require_presentable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.realtimekit.models import Recording

CANARY = "leak-canary"
SECRETS = (TOKEN, CANARY)
SIGNED = f"https://files.example.com/a/b.mp4?X-Amz-Signature={CANARY}&x-id=GetObject"


def track(name: str, url: object) -> dict[str, object]:
    return {"layer_name": "default", "download_urls": {name: {"download_url": url}}}


RECORDINGS = st.sampled_from(
    [
        described(storage_config=LEAKY_STORAGE_CONFIG),
        described(download_url=[track("a.webm", SIGNED), track("b.webm", SIGNED)]),
        described(download_url=SIGNED, storage_config=[dict(LEAKY_STORAGE_CONFIG)]),
        described(download_url={"download_urls": {SIGNED: SIGNED}, "layer_name": SIGNED}),
        described(download_url=[SIGNED, SIGNED], meta={"notes": f"see {SIGNED}, password={CANARY}"}),
        described(download_url=None, audio_download_url=SIGNED, status="ERRORED", err_message=f"no {SIGNED}"),
    ]
)
ENVELOPES = st.one_of(
    st.builds(lambda data: {"success": True, "data": data}, mutilated(RECORDINGS)),
    st.builds(lambda data: {"success": True, "data": data | {"id": ID}}, ANY_DETAILS),
    st.builds(lambda data: {"success": True, "data": data}, st.lists(mutilated(RECORDINGS), max_size=3)),
    mutilated(
        st.sampled_from(
            [
                {"success": False, "errors": [{"code": 10001, "message": f"token {TOKEN}, {SIGNED}"}], "data": None},
                {"success": False, "error": {"code": 404, "message": TOKEN}},
                {"success": True, "data": [described()], "paging": {"total_count": 1, "page_no": 1}},
            ]
        )
    ),
)


def spelled(document: object, twice: object) -> bytes:
    """Return the document's JSON; with `twice`, a member comes a second time."""
    text = json.dumps(document)
    again = f', "data": {json.dumps(twice)}}}' if twice is not None and text.endswith("}") else ""
    return (text[: len(text) - bool(again)] + again).encode()


BODIES = st.one_of(
    damaged(st.builds(spelled, ENVELOPES, st.none() | ODD_VALUES)),
    st.binary(max_size=100),
    st.integers(900, 1000).map(lambda depth: b'{"success": false, "errors": [{"code": ' + b"[" * depth + b"]" * depth),
    st.sampled_from([b"", b"null", b"[]", b'{"success": true}', b'{"success": true, "data": ' + b"9" * 5000 + b"}"]),
)
HEADERS = st.dictionaries(st.sampled_from(["Content-Type", "Content-Encoding", "Retry-After", "Location"]), ANY_VALUE)
ANSWERS = st.tuples(st.sampled_from([200, 200, 200, 200, 204, 302, 400, 401, 404, 418, 429, 500, 599]), HEADERS, BODIES)


def asked(answers: list[Any], question: Callable[[RealtimeKit], Recording | list[Recording]]) -> list[Recording]:
    """Ask the API, whose answers come in turn, the last one for ever."""
    coming = iter(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        status, headers, body = next(coming, answers[-1])
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        return httpx.Response(status, headers=raw, stream=httpx.ByteStream(body))

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        found = question(
            RealtimeKit(http, "https://api.example.com", "acc", "app", TOKEN, stop=NoWaits(), patience_s=0)
        )
    return found if isinstance(found, list) else [found]


def require_harmless(recording: Recording) -> None:
    """Check all that is made of a recording before anything is moved."""
    shown = [repr(recording), *(media.label for media in recording.media), *recording.without_url]
    kept = json.dumps(redact_details(recording.details), indent=2, sort_keys=True, allow_nan=False)
    paths = payload_paths(recording)
    assert len({path.casefold() for path in paths.values()}) == len(recording.media)
    assert not any(secret in text for text in [*shown, *paths.values(), kept] for secret in SECRETS)
    try:
        require_media(recording)
    except ArchiverError as error:
        require_presentable(error, *SECRETS)


@examples(150)
@given(st.lists(ANSWERS, min_size=1, max_size=2))
def test_whatever_the_api_says_of_a_recording_is_read_or_refused_without_leaking(answers: list[Any]) -> None:
    try:
        found = asked(answers, lambda api: api.recording(ID))
    except ArchiverError as error:
        require_presentable(error, *SECRETS)
    else:
        for recording in found:
            assert recording.id == ID
            require_harmless(recording)


@examples(60)
@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_whatever_the_api_lists_is_read_or_refused_without_leaking(answers: list[Any]) -> None:
    try:
        found = asked(answers, lambda api: list(everything(api, {"status": ["UPLOADED"]})))
    except ArchiverError as error:
        require_presentable(error, *SECRETS)
    else:
        assert len({recording.id for recording in found}) == len(found)
        for recording in found:
            require_harmless(recording)


@pytest.mark.parametrize(
    "download_url",
    [
        [{"layer_name": "default", "download_urls": {SIGNED: {"download_url": SIGNED}}}],
        [{"layer_name": SIGNED, "download_urls": {"a.webm": {"download_url": SIGNED}}}],
        ["https://host/b.mp4%3FX-Amz-Signature=leak-canary"],
    ],
)
def test_a_track_whose_name_is_a_presigned_url_is_called_by_what_stays_the_same_of_it(download_url: object) -> None:
    recording = parse_recording(described(download_url=download_url))
    require_harmless(recording)
    fresh = json.loads(json.dumps(download_url).replace(CANARY, "another-signature"))
    again = parse_recording(described(download_url=fresh))
    assert [media.label for media in again.media] == [media.label for media in recording.media]
