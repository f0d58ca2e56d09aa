"""The section of a document that a command writes: everything between two comments that name the section."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_section(document: Path, name: str) -> str:
    """Return the text between a section's markers.

    Raises:
        ValueError: the document does not have each of the two markers exactly once, in their order.
    """
    return _split(document, name)[1]


def write_section(document: Path, name: str, text: str) -> None:
    """Replace the text between a section's markers; all else in the document stays as it is.

    Raises:
        ValueError: the document does not have each of the two markers exactly once, in their order.
    """
    before, _, after = _split(document, name)
    document.write_text(f"{before}{text}{after}", encoding="utf-8")


def _split(document: Path, name: str) -> tuple[str, str, str]:
    text = document.read_text(encoding="utf-8")
    begin, end = f"<!-- begin: {name} -->\n\n", f"\n<!-- end: {name} -->\n"
    before, begins, rest = text.partition(begin)
    section, ends, after = rest.partition(end)
    if not (begins and ends) or text.count(begin) + text.count(end) != 2:
        raise ValueError(f"{document}: expected one section {begin.strip()} … {end.strip()}")
    return before + begin, section, end + after
