"""Do imported judges send what their projects send, and read what their projects read? Checkouts are needed.

    .venv/bin/python research/judge_parity.py --checkouts FOLDER [--extra PACKAGES] [--show NAME]

FOLDER holds checkouts named as their repositories (EditScore, UnifiedReward, RationalRewards, FIRM-Reward,
VIEScore, Step1X-Edit, Edit-R1, ImgEdit). PACKAGES is a folder with what EditScore imports beside ours
(`pip install --target PACKAGES json_repair regex`). Their code runs in processes of its own, and none of it
stands here (`judge_parity_theirs.py`); the answers are ours (`judge_parity_texts.py`). An answer counts for
every ask of a judge. What came out: docs/notes/judges-imported.md.
"""

import json
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from judge_parity_texts import digit_probabilities, json_pairs, json_singles, lines, sections
from judge_parity_theirs import IMAGE, INSTRUCTION
from rich.console import Console
from rich.table import Table

from edit_rrm.errors import TraceError
from edit_rrm.judges.forms.answers import LabelledScores
from edit_rrm.judges.importing import IMPORTERS, import_judge
from edit_rrm.judges.judge import Written
from edit_rrm.judges.written import WrittenJudge
from edit_rrm.prompts import ImageSlot
from edit_rrm.tokens import Token

JUDGES = [
    *("editscore", "editscore (batch)", "editscore-qwen2.5-vl", "unifiedreward-edit", "rationalrewards-edit"),
    *("firm-edit", "viescore", "gedit", "edit-r1", "imgedit-add", "imgedit-style", "imgedit-action"),
]
KINDS = ("same number", "both refuse", "ours refuses, theirs invents", "ours refuses", "ours reads", "differ")
TOLERANCE = 0.005 + 1e-9  # ImgEdit rounds to two decimals


def answers(name: str, judge: WrittenJudge) -> list[Any]:
    """The answers that a judge is tried with."""
    answer = judge.spec.asks[0].answer
    if name == "rationalrewards-edit":
        return sections()
    if isinstance(answer, LabelledScores):
        return lines([labels[0] for labels in answer.labels.values()])
    if name == "firm-edit":
        return json_singles()
    return (
        digit_probabilities()
        if name == "edit-r1"
        else json_pairs(10 if name in ("viescore", "gedit") else 25)
    )


def ours(name: str, judge: WrittenJudge, answer: Any) -> float | str:
    """Our number on their scale, or why there is none."""
    text: str = answer
    tokens: tuple[Token, ...] = ()
    if isinstance(answer, dict):
        shown = {spelled: math.log(share) for spelled, share in answer.items()}
        text = max(shown, key=lambda spelled: shown[spelled])
        tokens = (Token(text, 0, shown.pop(text), shown),)
    try:
        readings = [judge.read(ask, Written(text, tokens), ()) for ask in judge.asks(INSTRUCTION, (), 1)]
        found = judge.judgement(readings, (), "model_score")
    except TraceError as error:
        return str(error)
    if name.startswith("imgedit-"):
        return 1 + 4 * found.reward
    return found.reward if name in ("firm-edit", "rationalrewards-edit", "edit-r1") else found.score


def prompts(judge: WrittenJudge) -> list[str]:
    """The messages that we would send, images as signs."""
    return [
        "".join(IMAGE if isinstance(part, ImageSlot) else part for part in message.parts)
        for ask in judge.asks(INSTRUCTION, (), 1)
        for message in ask.prompt.messages
    ]


def kind(mine: float | str, theirs: dict[str, Any]) -> str:
    """How the two readings of an answer stand to each other."""
    number, invented = theirs["value"], theirs["invented"]
    if isinstance(mine, str):
        return "both refuse" if number is None else KINDS[2] if invented else "ours refuses"
    if number is None or invented:
        return "ours reads"
    return "same number" if abs(mine - number) <= TOLERANCE else "differ"


def main(
    checkouts: Annotated[Path, typer.Option(help="The folder of checkouts.")],
    extra: Annotated[Path | None, typer.Option(help="A folder of packages for their code.")] = None,
    show: Annotated[str, typer.Option(help="Show every answer of this judge that is not the same.")] = "",
) -> None:
    """Prints a line a judge."""
    console = Console()
    table = Table("judge", "prompts", "answers", *KINDS)
    for name in [one for one in JUDGES if show in ("", one)]:
        importer = name.removesuffix(" (batch)")
        root = checkouts / IMPORTERS[importer].repository.split("/")[1]
        judge = WrittenJudge(import_judge(importer, root))
        tried = answers(importer, judge)
        program = Path(__file__).with_name("judge_parity_theirs.py")
        ended = subprocess.run(
            [sys.executable, str(program), name, str(root), str(checkouts / "EditScore")],
            input=json.dumps(tried),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(extra or "")},
        )
        if ended.returncode:
            raise SystemExit(f"{name}: {ended.stderr[-2000:]}")
        found = json.loads(ended.stdout)
        mine = [ours(importer, judge, answer) for answer in tried]
        kinds = [kind(*pair) for pair in zip(mine, found["results"], strict=True)]
        counted = Counter(kinds)
        # The instruction is a stranger's text: ours breaks its tags, theirs sends them on.
        sent = [text.replace("< b>", "<b>").replace("< /b>", "</b>") for text in prompts(judge)]
        alike = "equal" if sent == found["prompts"] else "DIFFER"
        table.add_row(name, alike, str(len(tried)), *(str(counted[one]) for one in KINDS))
        if show == name:
            for answer, one, own, other in zip(tried, kinds, mine, found["results"], strict=True):
                if one not in ("same number", "both refuse"):
                    console.print(f"[bold]{one}[/]", markup=True)
                    console.print(f"  {str(answer)[-160:]!r}\n  ours {own}\n  theirs {other}", markup=False)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
