"""The documentation's form: one sentence a line, so that a diff shows sentences."""

from pathlib import Path

import pytest

from tests.prose import blocks, sentences

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_line_of_prose_is_one_sentence(page: Path) -> None:
    wrong = [
        f"{page.name}:{block.number} should be\n" + "\n".join(sentences(block.text))
        for block in blocks(page.read_text())
        if block.lines != sentences(block.text)
    ]
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two? (Three!) `four.` five.", ["One.", "Two?", "(Three!)", "`four.` five."]),
        ("It is, e.g. a fork (i.e. a copy) ... of one (Hussa et al. 2009).", []),
        ("Run `a. B` and `c.py`.", []),
        ('He says "yes." Then it ends.', ['He says "yes."', "Then it ends."]),
        ("**A lead-in.** Its sentence. More.", ["**A lead-in.** Its sentence.", "More."]),
        ("Version 3.11 takes 1.5 s.", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, parts: list[str]) -> None:
    assert sentences(text) == (parts or [text])


def test_code_tables_and_headings_are_no_prose() -> None:
    code = "```\nx. y\n```\n\n    1. 2\n"
    page = f"# A. B\n\nOne.\nTwo.\n\n| a. b |\n\n{code}\n- three\n  four.\n  - Five.\n"
    assert [(block.number, block.lines) for block in blocks(page)] == [
        (3, ["One.", "Two."]),
        (14, ["three", "four."]),
        (16, ["Five."]),
    ]
