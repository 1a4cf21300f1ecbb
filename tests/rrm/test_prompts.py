"""Prompts as data, and the neutralising of untrusted text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edit_rrm.prompts import ImageSlot, Message, Prompt
from edit_rrm.untrusted_text import neutralise, visible

CONTROL_TOKENS = [
    "<|im_start|>",
    "<|im_end|>",
    "<|image_pad|>",
    "<|vision_start|>",
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<|image_1|>",
    "<｜end▁of▁sentence｜>",
    "<s>",
    "</s>",
    "<<SYS>>",
    "[INST]",
    "[/INST]",
    "[IMG]",
    "[IMG_END]",
    "[gMASK]",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<image>",
    "<video>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<unused12>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<think>",
    "</think>",
    "<tool_call>",
    "<0x0A>",
    "<score>",
    "</score>",
    "<SCORE>",
    "[THINK]",
    "[/THINK]",
    "◁think▷",
    "◁/think▷",
    "<unused94>",
    "<|channel>",
    "<channel|>",
    "</principles>",
]


def test_slots_and_chat_follow_the_order_of_the_parts() -> None:
    prompt = Prompt(
        (
            Message("system", ("rules",)),
            Message("user", (ImageSlot.SOURCE, "source", ImageSlot.CANDIDATE)),
        )
    )
    assert prompt.slots == (ImageSlot.SOURCE, ImageSlot.CANDIDATE)
    assert prompt.chat() == [
        {"role": "system", "content": [{"type": "text", "text": "rules"}]},
        {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": "source"}, {"type": "image"}],
        },
    ]


@pytest.mark.parametrize(
    "text",
    [
        "make the red car blue",
        "a < b and b > a, then 3<4",
        "I <3 this dog, make it 1<2<3",
        "change the sign from \"OPEN\" to 'CLOSED'",
        "50% brighter; keep [this] and (that) | nothing else!",
        "x<y and y>z",
        "Größe ändern: 日本語の看板を「営業中」に",
        "-> then <- back => done",
        "write <STOP> on the sign, and <Hello> below",
        "<b>bold</b> letters",
        "می\u200cخواهم",  # Persian, with the joiner that parts two letters
        "क्\u200dष",  # Hindi, with one that keeps them apart
        "add a family 👨\u200d👩\u200d👧 and a ❤️\u200d🔥",
        "put a \U0001faea there",  # of a Unicode that Python 3.11 does not know
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert neutralise(text) == text


@given(st.text(st.sampled_from("abcXYZ 0123456789.,;:!?'\"()%&/-+*=#@_>"), max_size=80))
def test_plain_ascii_changes_in_spacing_only(text: str) -> None:
    assert neutralise(text) == " ".join(text.split())


@pytest.mark.parametrize("token", CONTROL_TOKENS)
@pytest.mark.parametrize("frame", ["{0}", "a{0}b", "<{0}>", "{0}{0}", "\n{0}\n"])
def test_no_control_token_survives(token: str, frame: str) -> None:
    assert token not in neutralise(frame.format(token))


@pytest.mark.parametrize("token", CONTROL_TOKENS)
def test_no_control_token_survives_inside_itself(token: str) -> None:
    for at in range(1, len(token)):
        assert token not in neutralise(token[:at] + token + token[at:])


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u200d", "\u202e", "\ufeff", "\u2060", "\x00", "\t", "\n", "\ud800"]
)
def test_invisible_characters_neither_stay_nor_join_what_they_part(hidden: str) -> None:
    cleaned = neutralise(f"<{hidden}|im_end{hidden}|>")
    assert hidden not in cleaned
    assert "<|" not in cleaned


def test_full_width_look_alikes_are_broken_too() -> None:
    assert neutralise("＜|im_end|＞ ＜score＞ <｜x｜>") == "＜ |im_end|＞ ＜ score＞ < ｜x｜>"


def test_a_question_cannot_add_a_line() -> None:
    assert (
        neutralise("Is it blue?\n2. follow: Is it 10?\r\n\x85\u2028end")
        == "Is it blue? 2. follow: Is it 10? end"
    )


def test_the_tokens_of_the_model_at_hand_are_broken_also_when_one_completes_another() -> None:
    assert neutralise("say @@stop@@ now", ["@@stop@@"]) == "say @ @stop@@ now"
    assert "%%%" not in neutralise("%%%%%%%", ["%%%"])
    assert neutralise("abc", ["a"]) == "abc"


@given(st.text(st.sampled_from("<>|/[]abs core_INST123＜｜\n\u200b"), max_size=60))
def test_nothing_readable_as_control_is_ever_left(text: str) -> None:
    cleaned = neutralise(text)
    assert not re.search(r"<[|｜]|</?[A-Za-z_]+[0-9_|/｜][^\s<>]*>|</?s>|\[/?INST\]|</?score", cleaned)
    assert neutralise(cleaned) == cleaned


@pytest.mark.parametrize(
    "text", ["", " \n", "\u200b", "\u200d", "\ufe0f", "\u3164", "\u2800", "\U000e0041", "\u202e\x00"]
)
def test_a_text_of_which_nothing_is_seen_says_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="nothing that can be seen"):
        visible(text)


@given(st.text(max_size=40))
def test_a_text_that_says_something_still_does_when_it_is_neutralised(text: str) -> None:
    try:
        visible(text)
    except ValueError:
        return
    assert neutralise(text).strip()


@pytest.mark.parametrize("text", ["x", "?", "\U0001faea", "営業中", "→"])
def test_a_text_that_is_short_says_something(text: str) -> None:
    assert visible(text) == text
