"""Written tokens: text, character offset, log-probabilities; and how vLLM's output is read as them."""

import bisect
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

_CUT = "\ufffd"
_LONGEST_CHARACTER = 4  # tokens that may write one character: its bytes
_SPACES = ("\u2581", "\u0120")
"""How vocabularies spell a space at a token's head: SentencePiece, byte-level BPE."""


@dataclass(frozen=True)
class Token:
    """One written token: its text, the character offset of its start, and natural-log probabilities.

    `alternatives` holds, by text, the log-probabilities of other tokens the engine showed at this
    place; tokens that would have written the same text are one. Log-probabilities are the model's own,
    before temperature and top-p.
    """

    text: str
    offset: int
    logprob: float | None
    alternatives: Mapping[str, float] = field(default_factory=dict)


class TokenReader:
    """Reads the output of a model with `tokenizer`.

    A token's text is what it writes behind another one: some tokenizers (SentencePiece) leave out the
    space of a token that is decoded alone, and " 0" would pass for "0". Control tokens write nothing, but
    for those that `shown` is true of: a thought whose tags are gone runs into the answer.
    """

    def __init__(self, tokenizer: Any, shown: Callable[[str], bool] = lambda _: False) -> None:
        self._tokenizer = tokenizer
        # Those it has names for, and those that are merely marked: neither is decoded.
        named = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
        marked = {n: str(token) for n, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._shown: dict[int, str] = {
            n: str(text) for n, text in (named | marked).items() if shown(str(text))
        }
        self._before: list[int] = list(tokenizer.encode("a", add_special_tokens=False))
        self._before_text = self._decode(self._before)
        self._text_of = functools.lru_cache(4096)(lambda token_id: self._behind([token_id]))
        self.watched_ids = functools.lru_cache(16)(self._find_ids)

    def text(self, token_ids: Sequence[int]) -> str:
        """What the tokens write, without control tokens and without a character cut off at the end."""
        return self._decode(token_ids).rstrip(_CUT)

    def tokens(
        self, text: str, token_ids: Sequence[int], logprobs: Sequence[Mapping[int, Any]] | None
    ) -> Sequence[Token]:
        """The tokens that wrote `text`, each read when it is looked at: a judge looks at a few of a thousand.

        `logprobs` has one mapping from token id per token, or is None.
        """

        @functools.cache
        def pieces() -> list[tuple[int, str]]:
            return list(self._pieces(text, token_ids))

        def make(index: int) -> Token:
            shown = logprobs[index] if logprobs is not None else {}
            return self._token(*pieces()[index], token_ids[index], shown)

        return LazyTokens(len(token_ids), make)

    def _token(self, offset: int, piece: str, token_id: int, here: Mapping[int, Any]) -> Token:
        """The token of that id that wrote `piece`, from what the engine showed at its place."""
        own = here.get(token_id)
        # The space before the whole text is left out, so it is none of an alternative's either.
        dropped = offset == 0 and self._text_of(token_id) == f" {piece}"
        alternatives: dict[str, float] = {}
        for number, shown in here.items():
            if number != token_id:
                other = self._text_of(number)
                other = other.removeprefix(" ") if dropped else other
                alternatives[other] = _either(alternatives.get(other), float(shown.logprob))
        return Token(piece, offset, None if own is None else float(own.logprob), alternatives)

    def _find_ids(self, texts: tuple[str, ...]) -> tuple[int, ...]:
        """The ids of those texts that are single tokens, by themselves or within a text."""
        encoded = [self._tokenizer.encode(text, add_special_tokens=False) for text in texts]
        spelled = [self._spelled(text) for text in texts]
        ids = [ids[0] for ids in encoded if len(ids) == 1] + [number for ids in spelled for number in ids]
        return tuple(dict.fromkeys(ids))

    def _spelled(self, text: str) -> list[int]:
        """The ids of the tokens that write exactly this text behind others, found by their spelling."""
        spellings = [space + text[1:] for space in _SPACES] if text.startswith(" ") else [text]
        ids = []
        for spelling in spellings:
            number = self._tokenizer.convert_tokens_to_ids(spelling)
            if isinstance(number, int) and self._text_of(number) == text:
                ids.append(number)
        return ids

    def _pieces(self, text: str, token_ids: Sequence[int]) -> Iterator[tuple[int, str]]:
        """Offset and text of each token; a character that several tokens write belongs to the last of them.

        Tokens that the text leaves out, like the one that ends it, have no text.
        """
        pieces = self._pieces_behind(token_ids)
        joined = "".join(pieces)
        if joined != text and joined == f" {text}":
            first = next(index for index, piece in enumerate(pieces) if piece)
            pieces[first] = pieces[first].removeprefix(" ")
            joined = text
        if joined == text:
            offset = 0
            for piece in pieces:
                yield offset, piece
                offset += len(piece)
            return
        written = 0
        for count in range(1, len(token_ids) + 1):
            sofar = self._decode(token_ids[:count]).rstrip(_CUT)
            end = max(written, min(len(sofar), len(text)))
            yield written, text[written:end]
            written = end

    def _pieces_behind(self, token_ids: Sequence[int]) -> list[str]:
        """What each token adds; the tokens of a character that is not complete add nothing."""
        pieces = [self._text_of(number) for number in token_ids]
        if not any(piece.endswith(_CUT) for piece in pieces):
            return pieces
        pieces = []
        waiting: list[int] = []
        for number in token_ids:
            waiting.append(number)
            piece = self._text_of(number) if len(waiting) == 1 else self._behind(waiting)
            if piece.endswith(_CUT) and len(waiting) < _LONGEST_CHARACTER:
                pieces.append("")
                continue
            pieces.append(piece)
            waiting = []
        return pieces

    def _behind(self, token_ids: Sequence[int]) -> str:
        """What the tokens write behind an "a"."""
        return self._decode([*self._before, *token_ids]).removeprefix(self._before_text)

    def _decode(self, token_ids: Sequence[int]) -> str:
        if self._shown.keys().isdisjoint(token_ids):
            return self._decode_plain(token_ids)
        parts: list[str] = []
        plain: list[int] = []
        for number in token_ids:
            if number in self._shown:
                parts += [self._decode_plain(plain), self._shown[number]]
                plain = []
            else:
                plain.append(number)
        return "".join(parts) + self._decode_plain(plain)

    def _decode_plain(self, token_ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text


class LazyTokens(Sequence[Token]):
    """So many tokens, each made when it is looked at."""

    def __init__(self, count: int, make: Callable[[int], Token]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Token: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Token]: ...

    def __getitem__(self, index: int | slice) -> Token | Sequence[Token]:
        if isinstance(index, slice):
            return [self._make(place) for place in range(*index.indices(self._count))]
        return self._make(range(self._count)[index])


def token_at(tokens: Sequence[Token], position: int) -> Token | None:
    """The token that wrote the character at `position`, found by halving."""
    index = bisect.bisect_right(tokens, position, key=lambda token: token.offset) - 1
    token = tokens[index] if index >= 0 else None
    return token if token is not None and position < token.offset + len(token.text) else None


def _either(one: float | None, other: float) -> float:
    """The log-probability of one or the other of two tokens."""
    if one is None:
        return other
    high, low = max(one, other), min(one, other)
    return high if high == -math.inf else high + math.log1p(math.exp(low - high))
