"""Contents of judge files for tests: small, valid, and copied before anything is changed."""

from copy import deepcopy
from typing import Any

TWO_ASKS: dict[str, Any] = {
    "name": "two-asks",
    "reward": "sqrt(min(success, restraint) * clean)",
    "subscores": {"success": {"category": "follow"}, "restraint": {"category": "keep"}},
    "asks": [
        {
            "name": "semantics",
            "messages": [
                {"role": "system", "parts": ["Judge edits."]},
                {
                    "role": "user",
                    "parts": [{"image": "source"}, {"image": "candidate"}, "Asked for: {instruction}"],
                },
            ],
            "answer": {"form": "json_scores", "range": [0, 10], "subscores": ["success", "restraint"]},
        },
        {
            "name": "quality",
            "messages": [{"role": "user", "parts": [{"image": "candidate"}, "Is it clean?"]}],
            "answer": {"form": "json_scores", "range": [0, 10], "subscores": ["clean"]},
        },
    ],
}

PRINCIPLES: dict[str, Any] = {
    "name": "by-principles",
    "aggregator": "weighted_mean",
    "asks": [
        {
            "name": "verify",
            "messages": [
                {
                    "role": "user",
                    "parts": [
                        {"image": "sources", "label": "Source {number}:"},
                        "{instruction}\n{count} principles:\n{principles}",
                        {"image": "candidate"},
                    ],
                }
            ],
            "answer": {"form": "trace", "format": "json"},
        }
    ],
}

EACH: dict[str, Any] = {
    "name": "each",
    "asks": [
        {
            "name": "principle",
            "each": "principle",
            "messages": [
                {"role": "user", "parts": [{"image": "candidate"}, "{number}. {category}: {question}"]},
                {"role": "assistant", "parts": ["Answer:"]},
            ],
            "answer": {"form": "yes_no"},
        }
    ],
}


def changed(content: dict[str, Any], *changes: tuple[str, Any]) -> dict[str, Any]:
    """A copy with other values at dotted paths (a number is a place in a list); None removes."""
    copied = deepcopy(content)
    for path, value in changes:
        *steps, last = path.split(".")
        at: Any = copied
        for step in steps:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        key: Any = int(last) if isinstance(at, list) else last
        if value is None:
            del at[key]
        else:
            at[key] = value
    return copied
