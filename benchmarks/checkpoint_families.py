"""What each family of checkpoints makes of a group's prompts in the real engine: the table of docs/judges.md.

    python benchmarks/checkpoint_families.py [--only gemma3] [--write]

Every family is a tiny random checkpoint of its very class (tests/families), started in a process of its own:
half a minute each. `--write` puts the table between the markers of docs/judges.md. Status 1 if something is
not as it must be.
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from families.checkpoints import FAMILIES
from families.looking import look_at, problems

PAGE = Path(__file__).resolve().parents[1] / "docs" / "judges.md"
BEGIN, END = "<!-- families: benchmarks/checkpoint_families.py --write -->", "<!-- /families -->"
HEADER = (
    "| family | class | particular | prompt | shareable | cached: candidates 1 / 2 / 3 | told at start |\n"
    "|---|---|---|---|---|---|---|"
)


def row(key: str, seen: dict[str, Any]) -> str:
    """The table's line of one family."""
    family = FAMILIES[key]
    told = []
    if any("moves images" in warning for warning in seen["warnings"]):
        told.append("images moved")
    if any("share less" in warning for warning in seen["warnings"]):
        told.append(f"sharing lessened ({seen['sharing']})")
    cached = " / ".join(f"{count:,}" for count in seen["cached"])
    cells = (
        family.name,
        f"`{seen['architecture']}`",
        family.shape,
        f"{seen['prompt_tokens']:,}",
        f"{seen['shareable_tokens']:,}",
        cached,
        "; ".join(told) or "–",
    )
    return "| " + " | ".join(cells) + " |"


def main(
    only: Annotated[list[str] | None, typer.Option(help="families, by key; all without it")] = None,
    write: Annotated[bool, typer.Option(help="put the table into docs/judges.md")] = False,
) -> None:
    """See the module."""
    console = Console(stderr=True)
    lines, failed = [], False
    with tempfile.TemporaryDirectory(prefix="families-") as directory:
        for key in only or FAMILIES:
            seen = look_at([key], Path(directory))[key]
            wrong = problems(key, seen)
            failed = failed or bool(wrong)
            console.print(f"{key}: ready in {seen['start_s']:.0f} s, {'; '.join(wrong) or 'as it must be'}")
            lines.append(row(key, seen))
    table = "\n".join([HEADER, *lines])
    print(table)
    if write and not failed:
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.index(BEGIN) + len(BEGIN), page.index(END)
        PAGE.write_text(f"{page[:before]}\n{table}\n{page[after:]}", encoding="utf-8")
    sys.exit(int(failed))


if __name__ == "__main__":
    typer.run(main)
