"""The service's answers to 200 edits of the shapes world, as recorded: no change of the code changes them.

    .venv/bin/edit-rrm-server serve                                    # in one terminal
    .venv/bin/python tests/e2e/recorded_answers.py record http://127.0.0.1:8000
    .venv/bin/python tests/e2e/recorded_answers.py compare http://127.0.0.1:8000

`compare` asks for all 200 (minutes), tests/e2e/served/test_recorded_answers.py for the first of them. Record
again where answers change on purpose, and say in the changelog what changed.
"""

import gzip
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from shape_calls import gold_principles, group_call

from edit_rrm_shapes.world.dataset import EditRecord, make_edit

FILE = Path(__file__).parent / "recorded" / "answers.jsonl.gz"
EDITS, WORLD_SEED, CANDIDATES, AT_ONCE = 200, 4242, 4, 4
TOLERANCE = 1e-5
"""Of a probability or what is made of it: float order differs with what else is in the batch."""
_NOT_OF_THE_ANSWER = ("id", "instance", "timing")


def fields(index: int, edit: EditRecord) -> dict[str, Any]:
    """Five ways to ask, in turn: every aggregator, guard mode and part of an answer is among them."""
    gold = gold_principles(edit)
    tokens = ["reasoning", "tokens"] if index % 8 == 3 else []
    sampling = {"temperature": 0.7, "top_p": 0.95, "seed": index}
    ways: tuple[dict[str, Any], ...] = (
        {"principles": None},
        {"principles": gold, "include": ["reasoning"]},
        {"principles": gold, "aggregator": "soft", "guards": "report"},
        {"principles": None, "aggregator": "gated", "guards": "off", "include": tokens},
        {"principles": gold, "samples": 3, "sampling": sampling, "aggregator": "weighted_mean"},
    )
    return ways[index % len(ways)]


def ask(http: httpx.Client, index: int) -> dict[str, Any]:
    """The answer to one edit, without what differs from call to call."""
    edit = make_edit(WORLD_SEED, index, CANDIDATES)
    response = http.post("/v1/score", **group_call(edit, CANDIDATES, **fields(index, edit)))
    answer = {name: value for name, value in response.json().items() if name not in _NOT_OF_THE_ANSWER}
    if "usage" in answer:
        answer["usage"].pop("cached_prompt_tokens")
    return {"edit": index, "status": response.status_code, "answer": answer}


def ask_for(http: httpx.Client, count: int) -> list[dict[str, Any]]:
    """The answers to the first edits, a few calls at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda index: ask(http, index), range(count)))


def recorded() -> list[dict[str, Any]]:
    """As they were."""
    with gzip.open(FILE, "rt") as file:
        return [json.loads(line) for line in file]


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where `other` differs from what was recorded, by path. Numbers may differ by `TOLERANCE`.

    What `one` did not have is no difference: the contract adds fields.
    """
    if isinstance(one, float) and isinstance(other, int | float):
        return [] if abs(one - other) <= TOLERANCE else [f"{place}: {one} is {other}"]
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for name in sorted(one)
            for line in differences(one[name], other.get(name), f"{place}.{name}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for index, (a, b) in pairs for line in differences(a, b, f"{place}[{index}]")]
    return [] if one == other else [f"{place}: {one!r} is {other!r}"]


def main(command: str, url: str) -> int:
    """`record` or `compare`; the exit status."""
    with httpx.Client(base_url=url, timeout=300.0) as http:
        answers = ask_for(http, EDITS)
    if command == "record":
        lines = [json.dumps(answer, sort_keys=True, ensure_ascii=False) + "\n" for answer in answers]
        FILE.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
        return 0
    found = [line for pair in zip(recorded(), answers, strict=True) for line in differences(*pair)]
    print("\n".join([*found, f"{len(found)} differences in {EDITS} answers"]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
