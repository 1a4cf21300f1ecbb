"""The task index of docs/index.md: each row leads to a section that is there, and its command parses."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify
from test_help_examples import command_of, parse

DOCS = Path(__file__).parents[2] / "docs"
MAKEFILE = (DOCS.parent / "Makefile").read_text(encoding="utf-8")
NOT_A_TASK = {"api-reference.md", "index.md"}
_LINK = re.compile(r"\[[^]]+\]\(([^)#]*)(?:#([^)]+))?\)")


def rows() -> list[tuple[str, str]]:
    """What somebody wants, with links to where it is told, and the command."""
    text = (DOCS / "index.md").read_text(encoding="utf-8").partition("|---|---|\n")[2].partition("\n\n")[0]
    return re.findall(r"^\| (.+?) \| (.*?) ?\|$", text, re.M)


def slugs(page: str) -> set[str]:
    """The anchors of a page's headings."""
    text = re.sub(r"^```.*?^```$", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = (re.sub(r"[`*]", "", heading) for heading in re.findall(r"^#+ (.+)$", text, re.M))
    return {slugify(heading, "-") for heading in headings}


def test_it_stands_before_everything_else_and_is_short_enough_for_a_screen() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    assert text.index("## I want to …") < 400
    assert 20 <= len(rows()) <= 26


@pytest.mark.parametrize(("want", "command"), rows(), ids=lambda cell: cell[:40])
def test_a_row_leads_somewhere_and_its_command_parses(want: str, command: str) -> None:
    links = _LINK.findall(want)
    assert links
    for page, anchor in links:
        assert not anchor or anchor in slugs(page or "index.md"), f"{page}#{anchor}"
    for code in re.findall(r"`([^`]+)`", command):
        words = shlex.split(code)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}: ", MAKEFILE, re.M), code
        elif words[0].startswith("edit_rrm"):
            assert importlib.util.find_spec(words[0]) is not None
        elif words[0] != "curl":
            called = command_of(words)
            assert called is not None, code
            if "--help" not in words:
                parse(*called)


def test_every_guide_is_in_it() -> None:
    named = {page for want, _ in rows() for page, _ in _LINK.findall(want) if page}
    guides = {path.name for path in DOCS.glob("*.md")} - NOT_A_TASK
    assert guides - named == set()
