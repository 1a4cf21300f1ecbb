"""Chat templates of the families' kinds: each takes the prompt in some form, and nothing of it is lost."""

from typing import Any

import pytest

from edit_rrm.errors import CheckpointError
from edit_rrm.judges import ZeroShotProfile
from edit_rrm.principles import numbered
from edit_rrm_server.engines.vllm.chat_text import ChatForm, ChatText
from families.vocabularies import byte_level, sentencepiece

PROMPT = ZeroShotProfile().verify("make it blue", numbered([("follow", "is it blue?")]))
PARTS = "{% for p in m.content %}{{ '<image>' if p.type == 'image' else p.text }}{% endfor %}"
PLAIN = "{% for m in messages %}<{{ m.role }}>" + PARTS + "{% endfor %}<answer>"
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    + PARTS
    + "{% endfor %}"
)
SYSTEM_DROPPED = "{% for m in messages if m.role != 'system' %}" + PARTS + "{% endfor %}"
STRINGS = "{% for m in messages %}{{ m.role + ': ' + m.content + ' ' }}{% endfor %}"
LISTS_AS_THEY_STAND = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
STRINGS_NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{{ m.content + '' }}{% endfor %}"
)
IMAGES_DROPPED = "{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}"


def chat(template: str, tokenizer: Any = None, image: str | None = "<image>") -> ChatText:
    tokenizer = tokenizer or byte_level(["<image>", "<|end|>"], eos_token="<|end|>")
    tokenizer.chat_template = template
    return ChatText(tokenizer, image_text=lambda number: image)


@pytest.mark.parametrize(
    ("template", "form"),
    [
        (PLAIN, ChatForm(True, True)),
        (NO_SYSTEM, ChatForm(False, True)),
        (SYSTEM_DROPPED, ChatForm(False, True)),
        (STRINGS, ChatForm(True, False)),
        (LISTS_AS_THEY_STAND, ChatForm(True, False)),
        (STRINGS_NO_SYSTEM, ChatForm(False, False)),
    ],
)
def test_a_template_gets_the_form_it_takes_and_writes_all_of_it_in_order(
    template: str, form: ChatForm
) -> None:
    judge = chat(template)
    assert judge.form_of(template) == form
    text = judge.render(PROMPT)
    places = [text.index(part) for part in ("You verify image edits", "make it blue", "The edited image:")]
    images = [index for index in range(len(text)) if text.startswith("<image>", index)]
    assert len(images) == 2
    assert places[0] < images[0] < places[1] < places[2] < images[1]


@pytest.mark.parametrize(
    ("template", "image", "reason"),
    [
        (IMAGES_DROPPED, "<image>", "leaves out the images"),
        (STRINGS, None, "nothing is known to stand for an image"),
        ("{{ raise_exception('out of order') }}", "<image>", "out of order"),
    ],
)
def test_a_template_that_takes_no_form_is_refused_with_the_reason(
    template: str, image: str | None, reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        chat(template, image=image)


@pytest.mark.parametrize("head", [["<bos>"], ["[gMASK]", "<sop>"]])
def test_what_the_template_wrote_itself_the_tokenizer_does_not_write_again(head: list[str]) -> None:
    """Both do so in Gemma and GLM, and the doubled token is one the model never saw."""
    written = "".join(head)
    for tokenizer in (
        byte_level([*head, "<image>", "<|end|>"], head=head, eos_token="<|end|>"),
        sentencepiece([*head, "<image>"], head=head, first_space=False, eos_token="<image>"),
    ):
        text = chat(written + PLAIN, tokenizer).render(PROMPT)
        assert not chat(written + PLAIN, tokenizer).needs_special_tokens(text)
        bare = chat(PLAIN, tokenizer)
        assert bare.needs_special_tokens(bare.render(PROMPT))


def test_a_tokenizer_that_writes_nothing_of_its_own_is_asked_for_nothing() -> None:
    judge = chat(PLAIN)
    assert not judge.needs_special_tokens(judge.render(PROMPT))
