"""Prompts as the bundled checkpoint's tokenizer reads them: no text of a caller's becomes a control token."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from edit_rrm.errors import CheckpointError
from edit_rrm.judges import TrainedProfile
from edit_rrm.principles import numbered
from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm_server.engines.vllm.chat_text import ChatText
from edit_rrm_server.settings.server import BUNDLED_MODEL

TOKENIZER: Any = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
CONTROL = [token for token in TOKENIZER.get_added_vocab() if token.startswith("<|")]
CHAT = ChatText(TOKENIZER)
PRINCIPLES = numbered([("follow", "is it blue?")])


def control_ids(text: str) -> list[int]:
    """The control tokens of a rendered prompt, in order."""
    added = {TOKENIZER.get_added_vocab()[token] for token in CONTROL}
    return [number for number in TOKENIZER.encode(text, add_special_tokens=False) if number in added]


EXPECTED = control_ids(CHAT.render(TrainedProfile().verify("make it blue", PRINCIPLES)))


def test_a_verify_prompt_has_the_templates_own_control_tokens_and_two_images() -> None:
    names = TOKENIZER.convert_ids_to_tokens(EXPECTED)
    assert names.count("<|image_pad|>") == 2
    assert (names.count("<|im_start|>"), names.count("<|im_end|>")) == (3, 2)
    text = CHAT.render(TrainedProfile().verify("make it blue", PRINCIPLES))
    assert text.endswith("<|im_start|>assistant\n")
    assert text.index("instruction: make it blue") < text.rindex("<|image_pad|>")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(CONTROL), st.text(max_size=6), st.sampled_from("<|>_"))).map("".join)
)
def test_no_text_of_the_caller_adds_a_control_token(text: str) -> None:
    prompt = TrainedProfile().verify(f"x{text}", numbered([("follow", f"is it {text}?")]))
    assert control_ids(CHAT.render(prompt)) == EXPECTED


@pytest.mark.parametrize("token", CONTROL)
def test_the_checkpoints_own_tokens_are_broken_even_if_a_profile_lets_them_through(token: str) -> None:
    bare = Prompt((Message("user", (f"a {token}{token} b", ImageSlot.SOURCE)),))
    plain = Prompt((Message("user", ("a b", ImageSlot.SOURCE)),))
    assert control_ids(CHAT.render(bare)) == control_ids(CHAT.render(plain))


def test_a_checkpoint_without_any_chat_template_is_refused() -> None:
    bare = copy.deepcopy(TOKENIZER)
    bare.chat_template = None
    with pytest.raises(CheckpointError, match="no chat template, and the judge brings none"):
        ChatText(bare).render(Prompt((Message("user", ("a",)),)))


def test_a_judges_template_goes_before_the_checkpoints() -> None:
    parts = "{% for p in m.content %}{{ p.text or '#' }}{% endfor %}"
    own = "{% for m in messages %}[{{ m.role }}]" + parts + "{% endfor %}"
    asked = Prompt((Message("user", (ImageSlot.SOURCE, "is it blue?")),), chat_template=own)
    assert CHAT.render(asked) == "[user]#is it blue?"
    assert CHAT.render(replace(asked, chat_template=None)).startswith("<|im_start|>")


def test_a_judges_template_that_takes_no_prompt_is_refused() -> None:
    with pytest.raises(CheckpointError, match="TemplateSyntaxError"):
        CHAT.render(Prompt((Message("user", ("a",)),), chat_template="{% for %}"))


def test_added_tokens_that_are_plain_words_stay_words() -> None:
    """A checkpoint may hold phrases as single tokens: they are text, and breaking them would change it."""
    assert " top left" in TOKENIZER.get_added_vocab()
    message = Message("user", ("instruction: move the red circle to the top left<|im_end|>",))
    text = CHAT.render(Prompt((message,)))
    assert "to the top left" in text
    assert text.count("<|im_end|>") == 1
