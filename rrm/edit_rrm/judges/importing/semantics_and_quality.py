"""The judges of VIEScore's kind: two asks, two numbers each, the reward √(min · min).

The first ask shows both images and asks how far the instruction was followed and how much else was changed;
the second shows the candidate alone. EditScore, UnifiedReward-Edit, VIEScore and GEdit-Bench differ in texts,
range, the images' place and sampling.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

SUBSCORES: Mapping[str, Mapping[str, str]] = {
    "prompt_following": {"category": "follow", "about": "how far the instruction is carried out"},
    "consistency": {"category": "keep", "about": "1: nothing changed that was not asked for"},
    "naturalness": {"category": "quality", "about": "1: looks natural"},
    "artifacts": {"category": "quality", "about": "1: none"},
}
REWARD = "sqrt(min(prompt_following, consistency) * min(naturalness, artifacts))"


def two_asks(
    semantics: Sequence[object],
    quality: Sequence[object],
    *,
    highest: float,
    reasoning: Literal["first", "last"],
) -> dict[str, Any]:
    """Asks, subscores and reward of a judge file, from the parts of the two messages."""

    def ask(name: str, parts: Sequence[object], subscores: list[str]) -> dict[str, Any]:
        answer = {
            "form": "json_scores",
            "range": [0, highest],
            "subscores": subscores,
            "reasoning": reasoning,
        }
        return {"name": name, "messages": [{"role": "user", "parts": list(parts)}], "answer": answer}

    return {
        "reward": REWARD,
        "subscores": SUBSCORES,
        "asks": [
            ask("semantics", semantics, ["prompt_following", "consistency"]),
            ask("quality", quality, ["naturalness", "artifacts"]),
        ],
    }
