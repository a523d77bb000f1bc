"""The prose of a Markdown page: its paragraphs and list items, without code and tables."""

import re
from dataclasses import dataclass

ITEM = re.compile(r"(?P<marker>\s*(?:[-*+]|\d+\.)\s+)(?P<text>.*)")
LEAD_IN = re.compile(r"\*\*[^*]{1,80}\*\*")
"""A short bold heading within a paragraph stands on the line of the sentence that it leads to."""

END = re.compile(
    r"(?<!\.\.)(?<!\be\.g)(?<!\bi\.e)(?<!\bcf)(?<!\bvs)(?<!\bal)"  # an ellipsis, an abbreviation
    r"""[.?!][)\]"'*_]*(?=\s+[^\s,;)\u2013\u2014-])"""
)
CODE_SPAN = re.compile(r"(`+).*?\1")


@dataclass
class Block:
    """A paragraph or an item of a list: its first line's number, its bullet, its lines."""

    number: int
    marker: str
    lines: list[str]

    @property
    def text(self) -> str:
        """All of it on one line."""
        return " ".join(self.lines)


def sentences(text: str) -> list[str]:
    """Divide the text of one block. What stands in a code span ends no sentence."""
    shown = CODE_SPAN.sub(lambda span: "`" * len(span.group()), text)
    lead_in = LEAD_IN.match(shown)
    ends = [end.end() for end in END.finditer(shown) if not lead_in or end.end() > lead_in.end()]
    pairs = zip([0, *ends], [*ends, len(text)], strict=True)
    return [text[begin:end].strip() for begin, end in pairs]


def blocks(page: str) -> list[Block]:
    """Find the paragraphs and the items of lists, in order."""
    found: list[Block] = []
    inside = fenced = False
    for number, line in enumerate(page.split("\n"), 1):
        fence = line.strip().startswith("```")
        fenced ^= fence
        item = ITEM.fullmatch(line)
        if fence or fenced or not is_prose(line, inside=inside):
            inside = False
        elif item:
            found.append(Block(number, item["marker"], [item["text"].strip()]))
            inside = True
        elif inside:
            found[-1].lines.append(line.strip())
        else:
            found.append(Block(number, line[: -len(line.lstrip())], [line.strip()]))
            inside = True
    return found


def is_prose(line: str, *, inside: bool) -> bool:
    """Say whether a line outside of a fence is prose: no heading, row, image or indented code."""
    if line.startswith("    ") and not inside:
        return False
    return bool(line.strip()) and not line.strip().startswith(("#", "|", "!["))
