"""Links of the pages outside the site lead to files and headings; the strict build sees to the site's."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown.extensions.toc import slugify

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*src=\"([^\"]+)\"|!\[[^\]]*\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Every Markdown file of the repository that mkdocs does not build."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [ROOT / name for name in listed if DOCS not in (ROOT / name).parents and (ROOT / name).exists()]


def without_code(path: Path) -> str:
    """A page's text outside of fenced blocks and code."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "`code`", text)


def anchors(path: Path) -> set[str]:
    """What the headings of a page are called in addresses."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return {slugify(re.sub(r"[`*]", "", heading), "-") for heading in re.findall(r"^#+ (.+)$", text, re.M)}


def broken(path: Path) -> Iterator[str]:
    """The links of a page that lead nowhere."""
    for found in _LINK.findall(without_code(path)):
        link = next(part for part in found if part)
        if re.match(r"[a-z]+:", link):
            continue  # elsewhere
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield link


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    assert list(broken(path)) == []


def test_a_link_to_nothing_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "# One thing\n[x](b.md) [y](#one-thing) [z](#gone) ![p](c.png) [w](https://e.org)\n"
    )
    assert list(broken(tmp_path / "a.md")) == ["b.md", "#gone", "c.png"]
