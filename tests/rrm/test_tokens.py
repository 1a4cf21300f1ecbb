"""vLLM's token ids and log-probabilities become tokens whose offsets fit the text."""

from dataclasses import dataclass
from typing import Any

from transformers import AutoTokenizer

from edit_rrm.tokens import TokenReader
from edit_rrm_server.settings.server import BUNDLED_MODEL

TOKENIZER: Any = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
READER = TokenReader(TOKENIZER)


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
