"""The probability of "met" at a verdict's token, read by the service and by training in one way."""

import math
from collections.abc import Sequence

from edit_rrm.tokens import Token, token_at

# The texts a verdict token may have; engines are asked for all of them at every place.
VERDICT_TEXTS = ("0", "1", " 0", " 1")
_SWAPPED = {"0": "1", "1": "0"}


def met_probability(tokens: Sequence[Token], position: int) -> float | None:
    """The model's probability of "1" against "0" at the token that covers `position`, in [0, 1].

    The other verdict token is the same text with the digit swapped. None when the engine did not show it,
    when the token is not a lone digit, or when its log-probability is absent or NaN: nothing is guessed.
    """
    token = token_at(tokens, position)
    if token is None or token.logprob is None:
        return None
    digit = token.text.strip()
    if digit not in _SWAPPED:
        return None
    other = token.alternatives.get(token.text.replace(digit, _SWAPPED[digit]))
    if other is None:
        return None
    further = other - token.logprob
    if math.isnan(further):  # both impossible, or a model that is broken
        return None
    written = 1.0 / (1.0 + math.exp(min(further, 700.0)))
    return written if digit == "1" else 1.0 - written
