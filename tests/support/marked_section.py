"""A section of a document that a command writes: the text between two markers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_section(document: Path, name: str) -> str:
    """Return the text between a document's markers `<!-- begin: NAME, … -->` and `<!-- end: NAME -->`.

    Raises:
        ValueError: the document does not have both markers, exactly once and in this order.
    """
    return _section(document.read_text(encoding="utf-8"), document, name).group("text").strip("\n")


def write_section(document: Path, name: str, text: str) -> None:
    """Replace the text between two markers, and nothing else.

    Raises:
        ValueError: as `read_section`; the document stays as it is.
    """
    whole = document.read_text(encoding="utf-8")
    section = _section(whole, document, name)
    start, end = section.span("text")
    replaced = "\n\n" + text.strip("\n") + "\n\n"
    document.write_text(whole[:start] + replaced + whole[end:], encoding="utf-8")


def _section(whole: str, document: Path, name: str) -> re.Match[str]:
    pattern = rf"<!-- begin: {re.escape(name)}\b.*?-->(?P<text>.*?)<!-- end: {re.escape(name)} -->"
    sections = list(re.finditer(pattern, whole, re.DOTALL))
    if len(sections) != 1:
        raise ValueError(f"{document}: expected one section between the markers of {name!r}, found {len(sections)}")
    return sections[0]
