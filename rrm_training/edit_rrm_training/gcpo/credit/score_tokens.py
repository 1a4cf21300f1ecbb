"""Which tokens of a trace state its score."""

from collections.abc import Sequence

OPENING, CLOSING = "<score>", "</score>"


def states_score(tokens: Sequence[str]) -> list[bool]:
    """For each token of a trace, given as texts, whether it has a part in what follows the last "<score>", up
    to the next tag. All False without one."""
    text = "".join(tokens)
    opening = text.rfind(OPENING)
    if opening < 0:
        return [False] * len(tokens)
    start = opening + len(OPENING)
    end = text.find("<", start)
    end = len(text) if end < 0 else end
    found, offset = [], 0
    for token in tokens:
        found.append(offset < end and offset + len(token) > start)
        offset += len(token)
    return found
