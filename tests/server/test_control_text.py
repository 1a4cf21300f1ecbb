"""Control tokens found in a checkpoint's files, without its tokenizer."""

import json
from pathlib import Path

import pytest

from edit_rrm.errors import CheckpointError
from edit_rrm_server.engines.control_text import break_control, control_texts, read_added_tokens
from edit_rrm_server.settings.server import BUNDLED_MODEL


def test_the_bundled_checkpoints_control_tokens_are_those_its_template_uses_and_no_plain_words() -> None:
    found = control_texts(read_added_tokens(BUNDLED_MODEL))
    assert {"<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|vision_start|>"} <= set(found)
    assert "top left" not in found
    assert list(found) == sorted(found, key=len, reverse=True)


def test_the_older_form_of_the_list_is_read(tmp_path: Path) -> None:
    decoder = {"7": {"content": "<|im_end|>", "special": True}, "8": {"content": "cat", "special": False}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    assert control_texts(read_added_tokens(tmp_path)) == ("<|im_end|>",)


def test_without_a_tokenizer_there_are_none_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    assert read_added_tokens(tmp_path) == {}
    for broken in ("{", "[]", '{"added_tokens": [{}]}'):
        (tmp_path / "tokenizer.json").write_text(broken)
        with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
            read_added_tokens(tmp_path)


def test_longer_tokens_are_broken_before_those_they_hold() -> None:
    control = control_texts({"<|a|>": True, "<|a|><|b|>": True})
    assert break_control("x<|a|><|b|>y<|a|>", control) == "x< |a|><|b|>y< |a|>"
