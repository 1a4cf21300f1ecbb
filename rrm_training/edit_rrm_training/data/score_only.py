"""The holistic scorer, the baseline the verifier is compared with: the instruction in, a score out.

No principles, no reasoning, no verdicts: EditScore's way. It exists for training and evaluation; the service
serves verifiers.
"""

import re

from edit_rrm.errors import TraceError
from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm.traces import MAX_SCORE, format_score
from edit_rrm.untrusted_text import neutralise

SCORE_ONLY_SYSTEM = "Score the edit from 0 to 10."
_SCORE = re.compile(r"\s*<score>(?P<score>[0-9]{1,2}(?:\.[0-9]{1,4})?)</score>\s*")


def score_only_prompt(instruction: str) -> Prompt:
    """System, source, instruction, candidate: the verification's order without its principles."""
    shared = f"instruction: {neutralise(instruction)}\nedited:"
    user = Message("user", (ImageSlot.SOURCE, shared, ImageSlot.CANDIDATE))
    return Prompt((Message("system", (SCORE_ONLY_SYSTEM,)), user))


def render_score(score: float) -> str:
    """The whole completion of a scorer."""
    return f"<score>{format_score(score)}</score>"


def parse_score(text: str) -> float:
    """τ from a scorer's completion, 0 to 10, strictly. Raises TraceError."""
    match = _SCORE.fullmatch(text)
    if match is None or float(match["score"]) > MAX_SCORE:
        raise TraceError(f"expected '<score>0.0</score>' and nothing else, got {text[:80]!r}", text)
    return float(match["score"])
