"""Text for Prefect's UI, which takes text for markdown, and lets any link and any picture through.

What others wrote (a file's name, which may hold a participant's, or a server's message) must not be markdown there.
Source: https://spec.commonmark.org/0.31.2/; GFM's autolinks, https://github.github.com/gfm/#autolinks-extension-.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NOTHING = "\u200b"
"""A space without width: nobody sees it, and it parts what would be markup if it were together."""
_MARKUP = re.compile(r"[\\`*_\[\]<>|~&@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_LEADS = re.compile(r"[<\]@]|:(?=//)|www(?=\.)", re.IGNORECASE)
"""After these, something else would have to follow for a tag, a link or a picture."""
_BLOCK = re.compile(r"^(?=[-+*>#=]|\d+[.)](?:\s|$))")
"""The beginning of what makes a heading, a list or a line of a text that begins with it."""


def literal(text: str) -> str:
    """Return a text for a markdown artifact, in one line, that comes out as it is."""
    return _BLOCK.sub(NOTHING, _MARKUP.sub(r"\\\g<0>", " ".join(text.split())))


def code(text: str) -> str:
    """Return a text as a code span, whose end it cannot be."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def code_in_table(text: str) -> str:
    """Return a text as a code span, which cannot end the cell of a table within markdown."""
    return code(text).replace("|", "\\|")


def cell(text: str, width: int = 80) -> str:
    """Return a text for a table artifact, in lines of at most `width` characters, that is no link and no picture.

    The UI takes a cell for markdown, and breaks no line by itself; the coming one ("V2") takes it for plain text, and
    breaks none at all. So there is nothing in it that could be seen there.
    """
    lines = textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)
    return "  \n".join(_BLOCK.sub(NOTHING, _LEADS.sub(rf"\g<0>{NOTHING}", line)) for line in lines)


def table_of_files(files: Iterable[tuple[str, int, str]]) -> list[str]:
    """Return the lines of a table of files.

    Args:
        files: the path, the size in bytes and the type of each.
    """
    rows = (f"| {code_in_table(path)} | {size:,} | {literal(content_type)} |" for path, size, content_type in files)
    return ["| file | bytes | type |", "|---|---:|---|", *rows]
