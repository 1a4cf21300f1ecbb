"""What an older checkout read in the table of judge texts, against what the table says.

    git worktree add ../before 3444e78 && python research/judge_texts_before.py ../before

Counts the entries that it read the same, gave a number where the table refuses, refused where it reads, and
read as another number. Only checkouts that have `edit_rrm.profiles` are understood.
"""

import importlib
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "tests" / "rrm" / "judge_texts.toml"
QUESTIONS = {
    "follow": ("Is the car blue?", "Is all of it blue?", "Are there two cars?"),
    "keep": ("Is the sky the same?", "Is the driver the same?", "Is the framing the same?"),
    "quality": ("Is it sharp?", "Is the shadow right?", "Are the seams hidden?"),
}


def read(entry: dict[str, Any], profile: Any, principles: Any) -> object:
    """The verdicts and score, or the categories, that the old code reads; None for a refusal."""
    try:
        if "categories" in entry:
            return "".join(p.category.value[0] for p in profile.parse_principles(entry["text"]))
        questions = {name[0]: iter(texts) for name, texts in QUESTIONS.items()}
        names = {name[0]: name for name in QUESTIONS}
        pairs = [(names[letter], next(questions[letter])) for letter in entry.get("principles", "fkq")]
        trace = profile.parse_trace(entry["text"], principles.numbered(pairs))
        return "".join(str(int(verdict.met)) for verdict in trace.verdicts), trace.score
    except importlib.import_module("edit_rrm.errors").EditRRMError:
        return None


def main(checkout: Path) -> None:
    """Prints the counts."""
    sys.path.insert(0, str(checkout / "rrm"))
    profile = importlib.import_module("edit_rrm.profiles.zero_shot").ZeroShotProfile()
    principles = importlib.import_module("edit_rrm.principles")
    counts: Counter[str] = Counter()
    for entry in tomllib.loads(TABLE.read_text(encoding="utf-8"))["text"]:
        wanted = None
        if not entry.get("refused"):
            wanted = entry.get("categories") or (entry["met"], entry.get("score"))
        found = read(entry, profile, principles)
        if found == wanted:
            counts["the same"] += 1
        elif wanted is None:
            counts["a number where the table refuses"] += 1
        else:
            counts["refused where the table reads" if found is None else "another number"] += 1
    for what, count in counts.most_common():
        print(f"{count:4} {what}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
