"""Anything that the network may send: strategies of hypothesis, and the details of a recording to be varied."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from tests.standins.realtimekit import MediaSource, StandInRecording

ID = "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"
NINE, NOON = datetime(2026, 11, 20, 9, tzinfo=UTC), datetime(2026, 11, 20, 12, tzinfo=UTC)

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "normal")
FACTOR = float(os.environ.get("EXAMPLES_FACTOR", "20" if PROFILE == "long" else "0.5"))
"""How many times as many examples are tried as usual."""
steady = settings(deadline=None, derandomize=True, max_examples=round(40 * FACTOR))
"""The same examples in every run, and no failure because a machine is busy."""


def described(**changed: object) -> dict[str, Any]:
    """Return the details of a recording as the API sends them, with these fields changed."""
    video, audio = MediaSource(b"12345"), MediaSource(b"1")
    recording = StandInRecording(ID, video=video, audio=audio, details=changed, invoked_time=NINE)
    return recording.describe(lambda path: f"https://files.example.com/{path}?X-Amz-Signature=s", NOON)


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
"""Half surrogate pairs are among it: JSON can say them."""
_ODD = ["https://host/a.webm?sig=s", "https://[", "http://\ud800", "2026-11-20T12:00:00+23:59", "0001-01-01T00:00:00Z"]
_SCALARS = st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | ANY_TEXT | st.sampled_from(_ODD)
_NAMES = (
    st.sampled_from([*described(), "download_urls", "layer_name", "download_audio_url", "storage_config"]) | ANY_TEXT
)
_JSON = st.recursive(_SCALARS, lambda below: st.lists(below) | st.dictionaries(_NAMES, below), max_leaves=20)
ANY_DETAILS = st.dictionaries(_NAMES, _JSON)
