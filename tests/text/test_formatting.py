"""What others wrote becomes one safe line."""

from __future__ import annotations

import pytest

from tasks.text import safe_line
from tasks.text.redaction import register_secrets


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("no such\r\n\tbucket.", "no such bucket"),
        ("\x1b[31mred\x00\u202e end. . ", "[31mred end"),
        ("https://host/a?X-Amz-Signature=1", "https://host/a"),
        ("", ""),
    ],
)
def test_a_text_of_others_becomes_one_printable_line_without_secrets(text: str, line: str) -> None:
    assert safe_line(text) == line


def test_a_line_is_cut_to_the_length_that_is_asked_for_and_ends_with_no_dot_even_then() -> None:
    assert safe_line("ab. cd", 4) == "ab"
    assert len(safe_line("a" * 1000)) == 300


def test_a_secret_that_would_be_cut_in_two_is_removed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.text.redaction._OWN._secrets", set())
    register_secrets(["very-secret-value"])
    assert safe_line("x very-secret-value", 8) == "x ***"
