"""Written tokens: text, character offset, log-probabilities; and how vLLM's output is read as them."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Token:
    """One written token: its text, the character offset of its start, and natural-log probabilities.

    `alternatives` holds, by text, the log-probabilities of other tokens the engine showed at this
    place. Log-probabilities are the model's own, before temperature and top-p.
    """

    text: str
    offset: int
    logprob: float | None
    alternatives: Mapping[str, float] = field(default_factory=dict)


class TokenReader:
    """Reads the output of a model with `tokenizer`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._text_of = functools.lru_cache(4096)(lambda token_id: self._decode([token_id]))
        self.watched_ids = functools.lru_cache(16)(self._find_ids)

    def text(self, token_ids: Sequence[int]) -> str:
        """What the tokens write, without control tokens and without a character cut off at the end."""
        return self._decode(token_ids).rstrip("\ufffd")

    def tokens(
        self, text: str, token_ids: Sequence[int], logprobs: Sequence[Mapping[int, Any]] | None
    ) -> tuple[Token, ...]:
        """The tokens that wrote `text`. `logprobs` has one mapping from token id per token, or is None."""
        found = []
        for index, (offset, piece) in enumerate(self._pieces(text, token_ids)):
            here = logprobs[index] if logprobs is not None else {}
            own = here.get(token_ids[index])
            alternatives = {
                self._text_of(number): float(shown.logprob)
                for number, shown in here.items()
                if number != token_ids[index]
            }
            found.append(Token(piece, offset, None if own is None else float(own.logprob), alternatives))
        return tuple(found)

    def _find_ids(self, texts: tuple[str, ...]) -> tuple[int, ...]:
        """The ids of those texts that are single tokens."""
        encoded = (self._tokenizer.encode(text, add_special_tokens=False) for text in texts)
        return tuple(dict.fromkeys(ids[0] for ids in encoded if len(ids) == 1))

    def _pieces(self, text: str, token_ids: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Offset and text of each token; a character that several tokens write belongs to the last of them.

        Tokens that the text leaves out, like the one that ends it, have no text.
        """
        pieces = [self._text_of(number) for number in token_ids]
        if "".join(pieces) == text:
            offset = 0
            for piece in pieces:
                yield offset, piece
                offset += len(piece)
            return
        written = 0
        for count in range(1, len(token_ids) + 1):
            sofar = self._decode(token_ids[:count]).rstrip("\ufffd")
            end = max(written, min(len(sofar), len(text)))
            yield written, text[written:end]
            written = end

    def _decode(self, token_ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text
