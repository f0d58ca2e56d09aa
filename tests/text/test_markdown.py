"""What others wrote comes out as they wrote it, and never as a link, a picture or anything else."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.text.markdown import NOTHING, cell, code, code_in_table, literal

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "![a](http://a.example/x.png)",
    "[click](javascript:alert(1))",
    "[click][x] [x]: javascript:x",
    "<https://a.example>",
    "# head",
    "1. one",
    "7) seven",
    "- x",
    "--- ",
    "===",
    "> x",
    "+ x",
    "*e* _d_ __f__ `c` ~~s~~ a|b",
    "x &lt; y &amp;",
    "a\\",
    "```",
    "~~~",
    "line\n\n# line",
    "    indented",
]
texts = st.one_of(st.text(r"[]()<>!#*_`~|&;:/\-+=.1ax " + "\n", max_size=40), st.text(max_size=20))


def shown(markdown: str) -> tuple[str, set[str]]:
    """Return the text that a reader sees, with all white space as one, and the tags that he gets it in."""
    page = READER.render(markdown)
    return visible(html.unescape(re.sub(r"<[^>]*>", " ", page))), set(re.findall(r"<(\w+)", page))


def visible(text: str) -> str:
    return " ".join(text.replace(NOTHING, "").replace("\0", "\ufffd").split())


@given(texts)
@example("</p><script>")
def test_a_text_comes_out_as_it_is_and_as_nothing_else(text: str) -> None:
    assert shown(f"before\n\n{literal(text)}\n") == (visible(f"before {text}"), {"p"})


@pytest.mark.parametrize("text", HOSTILE)
def test_not_even_a_hostile_text_is_more_than_text(text: str) -> None:
    assert shown(literal(text)) == (visible(text), {"p"})
    assert shown(f"- {literal(text)}") == (visible(text), {"ul", "li"})
    assert shown(f"| {literal(text)} |\n|---|") == (visible(text), {"table", "thead", "tr", "th"})


@pytest.mark.parametrize("text", ["https://a.example/x", "WWW.a.example", "somebody@a.example"])
def test_an_address_is_no_link(text: str) -> None:
    """GFM makes links of them as they are."""
    for written in (literal(text), cell(text)):
        assert not re.search(r"\w://|www\.|\w@\w", written, re.IGNORECASE)


@given(texts)
def test_a_code_span_ends_where_it_should_in_a_table_as_well(text: str) -> None:
    name = f"data/{text}.mp4"
    assert shown(code(name)) == (visible(name.replace("`", "'")), {"p", "code"})
    assert shown(f"| {code_in_table(name)} | x |\n|---|---|") == (
        visible(f"{name.replace('`', chr(39))} x"),
        {"table", "thead", "tr", "th", "code"},
    )


@given(texts, st.integers(10, 60))
@example(" -", 10)
def test_a_cell_has_neither_links_nor_pictures_nor_html_and_no_line_that_is_too_long(text: str, width: int) -> None:
    written = cell(text, width)
    assert shown(written)[1] <= {"p", "br", "em", "strong", "code", "pre", "s"}
    assert all(len(line.replace(NOTHING, "").rstrip(" ")) <= width for line in written.split("\n"))
    assert written.replace(NOTHING, "").split() == " ".join(text.split()).split() or max(map(len, text.split())) > width


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_reads_the_same_for_who_takes_it_for_markdown_and_for_who_does_not(text: str) -> None:
    """Prefect's present UI does, the coming one does not. Only emphasis is worth no more trouble."""
    assert visible(cell(text)) == visible(text)
    assert "\\" not in cell(text) or "\\" in text
    assert not shown(cell(text))[1] & {"a", "img", "h1", "h2", "ul", "ol", "li", "blockquote", "hr", "table"}


def test_a_long_text_is_broken_where_words_end() -> None:
    assert cell("one two-three four", 13).split("  \n") == ["one two-three", "four"]
