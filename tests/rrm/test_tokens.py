"""vLLM's token ids and log-probabilities become tokens whose offsets fit the text."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from edit_rrm.tokens import TokenReader, token_at
from edit_rrm.verdict_probability import VERDICT_TEXTS, met_probability
from edit_rrm_server.settings.server import BUNDLED_MODEL

TOKENIZER: Any = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
READER = TokenReader(TOKENIZER)
SPACE = "\u2581"


def sentencepiece_like(*pieces: str) -> PreTrainedTokenizerFast:
    """A Llama-like tokenizer of these pieces: a space is "▁", an unknown character bytes."""
    words = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), SPACE, "a", *pieces]
    core = Tokenizer(
        models.BPE({word: i for i, word in enumerate(words)}, [], byte_fallback=True, unk_token="<unk>")
    )
    core.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    core.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


@dataclass(frozen=True)
class Shown:
    """What vLLM shows of one token."""

    logprob: float


def test_offsets_reach_each_token_and_the_end_token_has_no_text() -> None:
    text = "1. top right: red/blue differs => 0\n2. clean => 1"
    ids = [*TOKENIZER.encode(text, add_special_tokens=False), TOKENIZER.eos_token_id]
    tokens = READER.tokens(text, ids, None)
    assert "".join(token.text for token in tokens) == text
    assert all(text[token.offset :].startswith(token.text) for token in tokens)
    assert tokens[-1].text == ""
    digit = text.index("=> 0") + 3
    assert [token.text for token in tokens if token.offset == digit] == ["0"]


def test_the_control_tokens_that_are_to_be_shown_stand_in_the_text() -> None:
    words = [TOKENIZER.eos_token, "<|vision_start|>"]
    reader = TokenReader(TOKENIZER, shown=lambda text: text == words[1])
    ids = TOKENIZER.encode(f"{words[1]}red 1{words[1]} blue 1{words[0]}", add_special_tokens=False)
    text = reader.text(ids)
    assert text == f"{words[1]}red 1{words[1]} blue 1"
    tokens = reader.tokens(text, ids, None)
    assert "".join(token.text for token in tokens) == text
    assert all(text[token.offset :].startswith(token.text) for token in tokens)
    assert READER.text(ids) == "red 1 blue 1"


def test_a_tag_that_is_marked_as_special_and_has_no_name_is_shown_too() -> None:
    tokenizer = copy.deepcopy(TOKENIZER)
    tokenizer.add_tokens([AddedToken("</think>", special=True)])
    assert "</think>" not in tokenizer.all_special_tokens
    reader = TokenReader(tokenizer, shown=lambda text: text == "</think>")
    ids = tokenizer.encode("red</think> blue 1", add_special_tokens=False)
    assert reader.text(ids) == "red</think> blue 1"


def test_a_character_of_several_tokens_belongs_to_the_last_of_them() -> None:
    text = "café ☃ 1"
    ids = TOKENIZER.encode(text, add_special_tokens=False)
    tokens = READER.tokens(text, ids, None)
    assert len(tokens) == len(ids)
    assert "".join(token.text for token in tokens) == text
    assert tokens[-1].text == "1"
    assert tokens[-1].offset == len(text) - 1


def test_the_text_leaves_out_control_tokens_and_a_character_cut_off_at_the_end() -> None:
    ids = TOKENIZER.encode("keep ☃", add_special_tokens=False)
    assert READER.text([*ids, TOKENIZER.eos_token_id]) == "keep ☃"
    assert READER.text(ids[:-1]) == "keep "


def test_log_probabilities_of_other_tokens_are_known_by_their_text() -> None:
    zero, one = READER.watched_ids(("0", "1"))
    (token,) = READER.tokens("1", [one], [{one: Shown(-0.1), zero: Shown(-2.4)}])
    assert (token.logprob, dict(token.alternatives)) == (-0.1, {"0": -2.4})


def test_only_single_tokens_can_be_watched() -> None:
    assert READER.watched_ids(("0", "no single token of it")) == READER.watched_ids(("0",))


@pytest.mark.parametrize("zero", ["0", f"{SPACE}0"])
def test_a_verdict_of_a_sentencepiece_tokenizer_has_the_probability_of_its_own_spelling(zero: str) -> None:
    """Decoded alone both spellings are "0": the space of the one was lost, and with it the other verdict."""
    one = zero.replace("0", "1")
    tokenizer = sentencepiece_like("0", "1", f"{SPACE}0", f"{SPACE}1", f"{SPACE}=>", ".")
    reader = TokenReader(tokenizer)
    id_of = tokenizer.convert_tokens_to_ids
    ids = [id_of(piece) for piece in ("1", ".", f"{SPACE}=>", one)]
    text = reader.text(ids)
    assert text == f"1. =>{one}".replace(SPACE, " ")
    shown = {id_of(piece): Shown(math.log(p)) for piece, p in ((one, 0.6), (zero, 0.4), (".", 1e-9))}
    other = f"{SPACE}0" if zero == "0" else "0"
    shown[id_of(other)] = Shown(math.log(1e-6))
    tokens = reader.tokens(text, ids, [{}, {}, {}, shown])
    assert "".join(token.text for token in tokens) == text
    assert met_probability(tokens, len(text) - 1) == pytest.approx(0.6)


def test_the_space_that_a_text_begins_with_is_left_out_of_its_alternatives_too() -> None:
    tokenizer = sentencepiece_like(f"{SPACE}0", f"{SPACE}1")
    reader = TokenReader(tokenizer)
    zero, one = tokenizer.convert_tokens_to_ids([f"{SPACE}0", f"{SPACE}1"])
    (token,) = reader.tokens("1", [one], [{one: Shown(-0.1), zero: Shown(-2.4)}])
    assert (token.text, dict(token.alternatives)) == ("1", {"0": -2.4})


def test_verdicts_are_watched_by_their_spelling_where_no_text_of_its_own_is_that_token() -> None:
    """Encoded alone "0" is two tokens, "▁" and "0": within a text it is one."""
    tokenizer = sentencepiece_like("0", "1", f"{SPACE}1")
    assert len(tokenizer.encode("0", add_special_tokens=False)) == 2
    watched = TokenReader(tokenizer).watched_ids(VERDICT_TEXTS)
    assert sorted(watched) == sorted(tokenizer.convert_tokens_to_ids(["0", "1", f"{SPACE}1"]))


def test_tokens_that_would_write_the_same_text_are_one_alternative() -> None:
    tokenizer = sentencepiece_like("0", "1")
    reader = TokenReader(tokenizer)
    zero, byte, one = tokenizer.convert_tokens_to_ids(["0", "<0x30>", "1"])
    ids = [one, one]
    here = {one: Shown(math.log(0.6)), zero: Shown(math.log(0.3)), byte: Shown(math.log(0.1))}
    token = reader.tokens("11", ids, [{}, here])[1]
    assert token.alternatives["0"] == pytest.approx(math.log(0.4))


def test_characters_of_several_byte_tokens_keep_their_places() -> None:
    tokenizer = sentencepiece_like("0", "1")
    reader = TokenReader(tokenizer)
    ids = tokenizer.encode("\u2603 1 caf\u00e9", add_special_tokens=False)
    text = reader.text(ids)
    tokens = reader.tokens(text, ids, None)
    assert "".join(token.text for token in tokens) == text == "\u2603 1 caf\u00e9"
    assert [token.offset for token in tokens if token.text == "1"] == [2]


def test_only_the_tokens_that_are_looked_at_are_read() -> None:
    """Of 300 tokens a verdict costs a few looks, not 300."""
    text = "it is red, " * 100 + "=> 1"
    ids = TOKENIZER.encode(text, add_special_tokens=False)
    looked: list[int] = []

    class Counted(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            looked.append(index)
            return super().__getitem__(index)

    tokens = READER.tokens(text, ids, Counted([{number: Shown(-0.1)} for number in ids]))
    found = token_at(tokens, len(text) - 1)
    assert (found is not None, len(ids) > 300, len(looked) <= 12) == (True, True, True)
    assert (found.text, found.offset, found.logprob) == ("1", len(text) - 1, -0.1)  # type: ignore[union-attr]
    assert (token_at(tokens, len(text)), token_at(tokens, -1), token_at((), 0)) == (None, None, None)
    assert list(tokens) == [tokens[place] for place in range(len(tokens))] == list(tokens[:])
    assert tokens[-1] == tokens[len(tokens) - 1]
    with pytest.raises(IndexError):
        tokens[len(tokens)]
