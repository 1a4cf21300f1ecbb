"""Where an answer begins: after a finished thought in any spelling, and nowhere in an unfinished one."""

import contextlib

import pytest
from growth import assert_grows_as_its_text
from hypothesis import given
from hypothesis import strategies as st

from edit_rrm.errors import DecompositionError, TraceError
from edit_rrm.judges.texts.thinking import answer_start, opens_thought, thought_tokens

SPELLINGS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<thought>", "</thought>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<think:opensource>", "</think:opensource>"),
    ("<ifm|think_fast>", "</ifm|think_fast>"),
    ("<思考>", "</思考>"),
    ("◁think▷", "◁/think▷"),
    ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("[THINK]", "[/THINK]"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("【思考】", "【/思考】"),
]
DRAFT = 'a draft: {"scores": [0, 0, 0]} <score>1</score>'
ANSWER = '{"scores": [1, 0, 1]}\n<score>6</score>'


def answer(text: str, opened: bool | None = None) -> str:
    return text[answer_start(text, TraceError, opened=opened) :].strip()


@pytest.mark.parametrize(("opening", "closing"), SPELLINGS)
def test_a_thought_ends_where_its_family_ends_it(opening: str, closing: str) -> None:
    for before, after in (("", ""), ("\n", "\n"), ("\n", "\n\n"), (" ", " ")):
        text = f"{opening}{before}{DRAFT}{before}{closing}{after}{ANSWER}"
        assert answer(text) == ANSWER
        assert answer(text, opened=False) == ANSWER
        assert answer(text.removeprefix(opening), opened=True) == ANSWER
        assert answer(text.removeprefix(opening)) == ANSWER


@pytest.mark.parametrize(("opening", "closing"), SPELLINGS)
def test_a_thought_without_an_end_has_no_answer(opening: str, closing: str) -> None:
    for text in (
        f"{opening}{DRAFT}",
        f"\n {opening}\n{DRAFT}\n",
        f"Let me see.\n{opening}\n{DRAFT}",
        opening,
    ):
        with pytest.raises(TraceError, match="not finished") as caught:
            answer_start(text, TraceError)
        assert caught.value.text == text
    with pytest.raises(TraceError, match="not finished"):
        answer_start(DRAFT, TraceError, opened=True)


@pytest.mark.parametrize(("opening", "closing"), SPELLINGS)
def test_tags_named_in_a_thought_neither_begin_nor_end_one(opening: str, closing: str) -> None:
    tags = f'I open with "{opening.strip()}", close with "{closing}" or \'{closing}\', then answer.'
    text = f"{opening}{tags}\n{DRAFT}\n{closing}\n{ANSWER}"
    assert answer(text) == ANSWER
    assert answer(text.removeprefix(opening), opened=True) == ANSWER


def test_a_text_without_a_thought_is_the_answer() -> None:
    for text in ("", ANSWER, f"Sure!\n{ANSWER}", "I think <this> [is] fine."):
        assert answer_start(text, TraceError) == answer_start(text, TraceError, opened=False) == 0


def test_the_caller_chooses_the_error() -> None:
    with pytest.raises(DecompositionError, match="not finished"):
        answer_start("<think>", DecompositionError)


def test_a_quotation_mark_may_end_the_last_words_of_a_thought() -> None:
    assert answer(f'<think>The sign reads "SALE"</think>\n{ANSWER}') == ANSWER


def test_prose_between_two_ends_belongs_to_the_thought() -> None:
    text = f"<think>\n{DRAFT}\n</think>\nNow I write it down.\n</think>\n{ANSWER}"
    assert answer(text) == ANSWER


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"<think>a</think>{ANSWER}\n</think>\n{ANSWER}", "end twice"),
        (f"{ANSWER}\n<think>a</think>\n{ANSWER}", "begins after the answer"),
        ('{"note": "it says\n</think>\n", "scores": [1]}', "within JSON"),
        (f"<think>{DRAFT} as </think> foo, as </think> bar", "not finished"),
    ],
)
def test_where_a_thought_may_end_twice_there_is_no_answer(text: str, fault: str) -> None:
    with pytest.raises(TraceError, match=fault):
        answer_start(text, TraceError)


def test_after_a_prompt_that_opened_none_an_end_takes_no_answer_back() -> None:
    text = f"{ANSWER}\n</think>\n{ANSWER}"
    with pytest.raises(TraceError, match="that nothing opened"):
        answer_start(text, TraceError, opened=False)
    assert answer(text, opened=True) == ANSWER
    assert answer(f"Hm.\n</think>\n{ANSWER}", opened=False) == ANSWER


@pytest.mark.parametrize(
    ("end", "opens"),
    [
        ("<|im_start|>assistant\n<think>\n", True),
        ("<|assistant|>\n<think>", True),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
        ("<|im_start|>assistant\n", False),
        ("<|turn>model\n<|channel>thought\n", True),
        ("<|turn>model\n<|channel>thought\n<channel|>", False),
        ("[/INST][THINK]", True),
        ("put it between <think> and </think>.<|im_end|>\n<|im_start|>assistant\n", False),
        ("", False),
    ],
)
def test_a_rendered_prompt_tells_whether_it_opens_a_thought(end: str, opens: bool) -> None:
    assert opens_thought("<|im_start|>user\nMake it <think> blue." * 50 + end) is opens


@pytest.mark.parametrize(
    ("tokens", "pair"),
    [
        (["<|im_end|>", "<tool_call>", "</tool_call>", "</think>", "<think>"], ("<think>", "</think>")),
        (["<reasoning>", "</think>", "</reasoning>", "<think>"], ("<think>", "</think>")),
        (["<reasoning>", "</think>"], None),
        (["◁think▷", "◁/think▷"], ("◁think▷", "◁/think▷")),
        (["[THINK]", "[/THINK]", "[INST]"], ("[THINK]", "[/THINK]")),
        (["<image>", "</image>"], None),
        ([], None),
    ],
)
def test_a_tokenizers_pair_of_tags_is_found(tokens: list[str], pair: tuple[str, str] | None) -> None:
    assert thought_tokens(tokens) == pair


FRAGMENTS = [tag for pair in SPELLINGS for tag in pair] + [
    "\n", " ", '"', "{", "[", "<score>", "hm", "Thinking Process:", "Final answer:\n", "thought\n",
    "analysis", "A", "\n1. ",
]  # fmt: skip


@given(
    st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join) | st.text(max_size=80),
    st.sampled_from([None, True, False]),
)
def test_any_text_has_a_start_within_it_or_is_refused(text: str, opened: bool | None) -> None:
    with contextlib.suppress(TraceError):
        assert 0 <= answer_start(text, TraceError, opened=opened) <= len(text)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join), st.sampled_from(SPELLINGS))
def test_what_follows_the_last_end_of_an_opened_thought_is_all_that_is_read(
    thought: str, spelling: tuple[str, str]
) -> None:
    text = f"{thought}\n{spelling[1]}\n{ANSWER}"
    with contextlib.suppress(TraceError):
        assert answer(text, opened=True).endswith(ANSWER)


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", [*FRAGMENTS, "<think></think>", "<think>[</think>", '</think>"', "<|channel|>"]
)
@pytest.mark.parametrize("opening", ["", "<think>", "Thinking Process:"])
def test_a_hundred_kilobytes_take_time_as_their_length(unit: str, opening: str) -> None:
    def read(text: str) -> None:
        for opened in (None, True, False):
            with contextlib.suppress(TraceError):
                answer_start(text, TraceError, opened=opened)

    assert_grows_as_its_text(read, opening, unit)
