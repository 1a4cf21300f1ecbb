"""Every judge there is, and texts that no model should write, for tests and for benchmarks/fuzz_judges.py."""

import json
import math
import random
from pathlib import Path

from foreign_checkouts import IMGEDIT, write_checkouts
from judge_contents import EACH, PRINCIPLES, TWO_ASKS

from edit_rrm.judges.importing import IMPORTERS, import_judge
from edit_rrm.judges.importing.imgedit import CATEGORIES
from edit_rrm.judges.judge import Judge, Judgement
from edit_rrm.judges.shelf import find_judge, judge_names
from edit_rrm.judges.spec import judge_spec
from edit_rrm.judges.written import WrittenJudge
from edit_rrm.principles import numbered
from edit_rrm.tokens import Token
from edit_rrm.traces import render_trace

WRITTEN = {content["name"]: content for content in (TWO_ASKS, PRINCIPLES, EACH)}
NAMES = (*judge_names(), *WRITTEN, *IMPORTERS)
"""Ours and those other packages register, some of files, and all that are imported."""
QUESTIONS = numbered([("follow", "Is the car blue?"), ("keep", "Is the street the same?")])
WHOLE = [
    render_trace([("it is blue", True), ("it is wet now", False)], 6.0),
    '```json\n[{"principle": 1, "met": 1}, {"principle": 2, "met": 0}]\n```\n<score>6</score>',
    '{"reasoning": "x", "score": [8, 5, 7]}',
    '{"reasoning": "x", "score": [8]}',
    '{"score": [3]}',
    '{"score": [4, 4]}',
    "1. Text Faithfulness:\n## Score: 4.0\n2. Image Faithfulness:\n## Score: 1.0\n"
    "3. Physical and Visual Quality:\n## Score: 2.5\n4. Text Rendering:\n## Score: N/A",
    "Style Kept: 5\nContent & Layout: 3\nLooks Right: 4",
    "yes",
    "5",
]
LISTS = [
    "1. follow: Is the car blue?\n2. keep: Is the street the same?\n3. quality: Is it clean?",
    '[{"category": "follow", "question": "Is the car blue?"}, {"category": "keep", "question": "Same?"},'
    ' {"category": "quality", "question": "Is it clean?"}]',
]
"""Whole answers to a decomposition."""
PIECES = [
    '{"score": [', '"score":', "8", "-1", "1e999", "NaN", "Infinity", "11", "0.5", "９", "²", "½", "10/10",
    "[", "]", "{", "}", ",", ":", "\n", "<score>", "</score>", "<think>", "</think>", "◁/think▷", "→ 1",
    "→ 0", "1. ", "met", "yes", "no", "N/A", "```json", "```", '"', "\\", "\x00", "\ud800", "\u202e",
    "<|im_end|>", "9" * 400, "follow: ", "keep: ", '{"category": "quality", "question": "',
]  # fmt: skip
WORDS = ("0", "1", " 0", " 1", "5", "yes", " No", "", "é", "10")
LOGPROBS = (0.0, -0.1, -1.0, -50.0, -math.inf, math.nan, 1e-6, 800.0)
LONGEST_TOKEN = 9


def every_judge(root: Path) -> dict[str, Judge]:
    """By the `NAMES`; the imported ones from checkouts that are written below `root`."""
    write_checkouts(root)
    prompts = root / "ImgEdit" / "Benchmark" / "Basic" / "prompts.json"
    prompts.write_text(json.dumps(dict.fromkeys(CATEGORIES, IMGEDIT["style"])), encoding="utf-8")
    found: dict[str, Judge] = {name: find_judge(name) for name in judge_names()}
    found |= {name: WrittenJudge(judge_spec(content, "x")) for name, content in WRITTEN.items()}
    for name, importer in IMPORTERS.items():
        found[name] = WrittenJudge(import_judge(name, root / importer.repository.split("/")[1]))
    return found


def hostile_text(draw: random.Random) -> str:
    """Pieces strung together, signs from anywhere, or a whole answer with up to three things wrong."""
    kind = draw.randrange(6)
    if kind == 0:
        return "".join(draw.choice([*PIECES, *WHOLE, *LISTS]) for _ in range(draw.randrange(14)))
    if kind == 1:
        return "".join(chr(draw.choice([draw.randrange(128), draw.randrange(0x110000)])) for _ in range(40))
    text = draw.choice([*WHOLE, *LISTS])
    for _ in range(draw.randrange(4)):
        at = draw.randrange(len(text) + 1)
        text = text[:at] + draw.choice(["", *PIECES]) + text[at + draw.randrange(7) :]
    return text


def hostile_tokens(draw: random.Random, text: str) -> tuple[Token, ...]:
    """Tokens that write the text, with probabilities that are none of it, or none at all."""
    tokens, at = [], 0
    while at < len(text):
        piece = text[at : at + draw.randrange(1, LONGEST_TOKEN + 1)]
        shown = {draw.choice(WORDS): draw.choice(LOGPROBS) for _ in range(draw.randrange(4))}
        tokens.append(Token(piece, at, draw.choice([None, *LOGPROBS]), shown))
        at += len(piece)
    return tuple(tokens)


def out_of_range(found: Judgement) -> list[str]:
    """Which of a sample's numbers are none, or outside their range; NaN is."""
    wrong = [] if 0.0 <= found.reward <= 1.0 else [f"reward {found.reward}"]
    wrong += [] if 0.0 <= found.score <= 10.0 else [f"score {found.score}"]
    parts = [*found.subscores.items(), *enumerate(found.probabilities)]
    return wrong + [
        f"{name} {value}" for name, value in parts if value is not None and not 0.0 <= value <= 1.0
    ]
